"""More pods for the playbook crashloop: causes that take what the log says and what the cluster holds
together."""

from typing import Any

from runner.model.changes import ConfigurationChange
from runner.model.pod import EnvVar, Proxied
from runner.model.subject import PodRef
from tests.unit.crashloop_cases import pending
from tests.unit.examinations import FINISHED, SHOP, event, running
from tests.unit.examinations import crashloop_steps as steps

UNHEALTHY = event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
SILENT = event(
    "Unhealthy", "Readiness probe failed: dial tcp 10.244.0.17:8080: connect: connection refused"
)
REFUSED = "ERROR cannot reach db:5432: connection refused\n" * 6
GATEWAY = (
    '[error] connect() failed (111: Connection refused) while connecting to upstream, upstream: "fastcgi://127.0.0.1:9000"\n'
    * 6
)
UPSTREAM = GATEWAY.replace("fastcgi://127.0.0.1:9000", "http://10.96.1.9:8080/")
LEASES = (
    'error retrieving lock: leases is forbidden: User "system:serviceaccount:shop:web" cannot get resource "leases"\n'
    * 6
)
BROKER = (
    "WARN [Consumer clientId=c] Connection to node 2 (localhost/127.0.0.1:9092) could not be established. Node may not be available.\n"
    * 6
)
STALE = ConfigurationChange(
    workload=SHOP, container="app", name="routes", changed_at=FINISHED, used_as=("subPath",),
    stale=True, pods=(PodRef(namespace="shop", name="web-5d9c7-abcde"),),
)  # fmt: skip
DB = steps("endpoint env:DB_URL db 5432 dns=ok tcp=open\n")


def not_ready(log: str, **more: Any) -> dict[str, Any]:
    return {
        "state": running(), "restarts": 0, "readiness_probe": True, "log": log,
        "events": [UNHEALTHY], **more,
    }  # fmt: skip


def from_secret(*, optional: bool) -> dict[str, Any]:
    reference = {"name": "shop-db", "key": "password", "optional": optional}
    return {"env": (EnvVar(name="DB_PASSWORD", value_from={"secretKeyRef": reference}),)}


# id of the rule, the pod, its sentence
CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "not-ready-by-its-log",
        not_ready(LEASES, steps=steps(sockets="listen 8080 all\n")),
        'Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails (HTTP probe failed with statuscode: 503), and its log says again and again: error retrieving lock: leases is forbidden: User "system:serviceaccount:shop:web" cannot get resource "leases"',
    ),
    (
        "not-ready-by-its-log",
        not_ready(REFUSED, events=[SILENT]),
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails (dial tcp 10.244.0.17:8080: connect: connection refused), and its log says again and again: ERROR cannot reach db:5432: connection refused",
    ),
    (
        "not-ready-by-its-log",
        not_ready(UPSTREAM, steps=steps(sockets="listen 8080 all\n"), called={"10.96.1.9": "prices"}),
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails (HTTP probe failed with statuscode: 503), and its log says again and again that Service prices (10.96.1.9:8080) refuses the connection.",
    ),
    (
        "not-ready-and-refused",
        not_ready(REFUSED, steps=steps("endpoint env:DB_URL db 5432 dns=ok tcp=refused\n", sockets="listen 8080 all\n")),
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails, and db:5432 (env:DB_URL), which its log complains of again and again, refuses connections.",
    ),
    (
        "not-ready-and-localhost-refused",
        not_ready(GATEWAY, steps=steps(sockets="listen 8080 all\nlisten 9001 loopback\n")),
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails (HTTP probe failed with statuscode: 503), and its log says again and again that 127.0.0.1:9000 refuses the connection: that is the pod itself, where nothing listens on that port.",
    ),
    (
        "localhost-in-place-of-host",
        not_ready("dial tcp 127.0.0.1:9092: connect: connection refused\n" * 6, steps=steps("endpoint env:KAFKA_BROKERS kafka 9092 dns=ok tcp=open\n", sockets="listen 8080 all\n")),
        "Container app runs but gets no traffic because its readiness probe fails, and its log says again and again that localhost:9092 refuses the connection, while its configuration names kafka:9092 (env:KAFKA_BROKERS), which accepts connections.",
    ),
    (
        "not-ready-with-old-file",
        not_ready(REFUSED, configuration_changes=[STALE]),
        "Container app runs but gets no traffic because its readiness probe fails; it still has its file of ConfigMap routes as that was before the last change, since a mount by subPath never follows, and its log says again and again: ERROR cannot reach db:5432: connection refused",
    ),
    (
        "kafka-advertises-localhost",
        not_ready(BROKER, steps=steps("endpoint env:KAFKA kafka 9092 dns=ok tcp=open\n", sockets="listen 8080 all\n")),
        "Container app does not get to Kafka: the broker that it asked (kafka:9092) tells its clients to go on to localhost/127.0.0.1:9092, its advertised listener, and in this pod nothing listens there.",
    ),
    (
        "readiness-failing",
        not_ready("prisma:error\nTimed out fetching a connection from the pool (limit: 5)\n" * 6, steps=steps(sockets="listen 8080 all\n")),
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails: HTTP probe failed with statuscode: 503. Meanwhile its log says again and again: Timed out fetching a connection from the pool (limit: 5)",
    ),
    (
        "readiness-port-closed",
        not_ready("INFO Waiting for schema 42, have 41\n" * 6, events=[SILENT]),
        "Container app runs but gets no traffic because its readiness probe asks port 8080, where nothing listens; no port is open in the pod. Meanwhile its log says again and again: INFO Waiting for schema 42, have 41",
    ),
    (
        "server-full",
        {"log": "pq: sorry, too many clients already\n", "steps": DB},
        "Container app exits with code 1 because the server that it connects to (its configuration names db:5432 (env:DB_URL)) has no connection left: sorry, too many clients already",
    ),
    (
        "pool-exhausted",
        {"log": "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00\n"},
        "Container app exits with code 1 because it waits for a connection of its own pool in vain: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
    ),
    (
        "server-without-room",
        {"log": "redis.exceptions.ResponseError: OOM command not allowed when used memory > 'maxmemory'.\n"},
        "Container app exits with code 1 because the server that it writes to has no disk or memory left and takes nothing more: OOM command not allowed when used memory > 'maxmemory'.",
    ),
    (
        "missing-on-server",
        {"log": "amqp.exceptions.NotAllowed: Connection.open: (530) NOT_ALLOWED - vhost billing not found\n"},
        "Container app exits with code 1 because, as its log says, the server has no vhost billing.",
    ),
    (
        "data-directory-mode",
        {"log": 'FATAL:  data directory "/data/pg" has invalid permissions\nDETAIL:  Permissions should be u=rwx (0700) or u=rwx,g=rx (0750).\n'},
        "Container app exits with code 1 because its data directory /data/pg has invalid permissions: nobody but its owner may write to it (mode 0700 or 0750).",
    ),
    (
        "server-read-only",
        {"log": "ERROR:  cannot execute INSERT in a read-only transaction\n", "steps": DB},
        "Container app exits with code 1 because the server that it writes to (its configuration names db:5432 (env:DB_URL)) is a read-only replica: cannot execute INSERT in a read-only transaction",
    ),
    (
        "data-of-another-version",
        {"log": "cannot downgrade a node from version [8.13.0] to version [8.11.1]\n", "mounts": ["/data"]},
        "Container app exits with code 1 because image registry.example.com/shop/web:2.3 does not read the data that it finds in its volumes (/data): cannot downgrade a node from version [8.13.0] to version [8.11.1]",
    ),
    (
        "shared-memory-full",
        {"log": 'ERROR:  could not resize shared memory segment "/PostgreSQL.7" to 134217728 bytes: No space left\n'},
        'Container app exits with code 1 because it needs more shared memory than there is in /dev/shm, where a container has 64 MiB unless a volume is mounted there: could not resize shared memory segment "/PostgreSQL.7" to 134217728 bytes: No space left',
    ),
    (
        "shared-memory-full",
        {"log": "File train.py, open /dev/shm/batch0\nOSError: [Errno 28] No space left on device\n"},
        "Container app exits with code 1 because it needs more shared memory than there is in /dev/shm, where a container has 64 MiB unless a volume is mounted there: OSError: [Errno 28] No space left on device",
    ),
    (
        "password-not-given",
        {"log": "connection to server failed: fe_sendauth: no password supplied\n", "spec": from_secret(optional=True)},
        "Container app exits with code 1 because it comes without a password (no password supplied); its variable DB_PASSWORD takes key password of Secret shop-db, and as that is optional, it is not set where the Secret has no such key.",
    ),
    (
        "authentication-failed",
        {"log": "connection to server failed: fe_sendauth: no password supplied\n", "spec": from_secret(optional=False)},
        "Container app exits with code 1 because the other side does not accept its credentials: connection to server failed: fe_sendauth: no password supplied. From Secrets it has DB_PASSWORD (Secret shop-db, key password).",
    ),
    (
        "migration-locked",
        {"log": "LockException: Could not acquire change log lock.  Currently locked by web-7f-x2 (10.244.3.17) since 2:14 AM\n"},
        "Container app exits with code 1 because it may not migrate its database while another holds the lock: LockException: Could not acquire change log lock. Currently locked by web-7f-x2 (10.244.3.17) since 2:14 AM",
    ),
    (
        "api-token-not-mounted",
        {"log": "kubernetes.config.config_exception.ConfigException: Service token file does not exist.\n"},
        "Container app exits with code 1 because it wants to use the Kubernetes API and Service token file is not there: automountServiceAccountToken is false, in its pod template or in its ServiceAccount.",
    ),
    (
        "port-privileged-perhaps",
        {"log": "thread 'main' panicked at src/main.rs:4:8: PermissionDenied: \"Permission denied\"\n", "ports": [80], "spec": {"security_context": {"runAsUser": 1000}}},
        "Container app exits with code 1 because a permission is denied to it, most likely that to listen on port 80 of its pod template: it runs as user 1000, and ports below 1024 need root or NET_BIND_SERVICE. Its log says: thread 'main' panicked at src/main.rs:4:8: PermissionDenied: \"Permission denied\"",
    ),
    (
        "service-through-proxy",
        {"log": "HTTPError: 503 Server Error for url: http://prices.shop.svc:8080/v1\n", "spec": {"proxied": (Proxied(host="prices.shop.svc", variable="HTTP_PROXY"),)}},
        "Container app exits with code 1 after a request to http://prices.shop.svc:8080/v1 that failed; NO_PROXY does not leave prices.shop.svc out, so that it goes to the proxy that HTTP_PROXY names instead of to the Service.",
    ),
    (
        "port-of-neighbour",
        {"log": "Port 8080 was already in use.\n", "steps": steps(sockets="listen 8080 all\n"), "beside": {"envoy": (running(), "")}},
        "Container app exits with code 1 because it wants to listen on port 8080, on which container envoy of the same pod listens: all containers of a pod share one network.",
    ),
    (
        "sidecar-not-started",
        {
            "state": running(), "restarts": 1, "init": True, "startup_probe": True,
            "spec": {"restart_policy": "Always"}, "steps": steps(sockets="listen 5432 loopback\n"),
            "events": [event("Unhealthy", "Startup probe failed: dial tcp 10.244.0.17:8080: connect: connection refused")],
        },
        "The other containers of the pod are not started because the startup probe (GET / on port 8080) of its sidecar app does not succeed: dial tcp 10.244.0.17:8080: connect: connection refused. Open in the pod: 5432 (localhost only).",
    ),
    (
        "volume-on-another-node",
        pending("0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) had untolerated taint(s). no new claims."),
        "The pod waits for a node because the volume of its claim can be used only on nodes that are not there, or that it may not run on (of another zone, or the one node that has a local volume).",
    ),
]  # fmt: skip
