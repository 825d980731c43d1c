"""A single-node Kubernetes in a network namespace of its own, for tests and the demo."""
