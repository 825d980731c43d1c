"""`podmedic serve`: webhooks in, Kubernetes Jobs out. The API server is the queue."""
