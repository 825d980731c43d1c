"""Pods for rules of the playbook crashloop that tell a class of causes by what programs say of it."""

from typing import Any

JAVA = "UnsupportedClassVersionError: com/x/Main has been compiled by a more recent version of the Java Runtime (class file version 65.0)"
BEGIN = "Container app exits with code 1 because "


def case(rule: str, log: str, said: str, **more: Any) -> tuple[str, dict[str, Any], str]:
    return rule, {"log": f"starting\n{log}\n", **more}, BEGIN + said


# id of the rule, the pod, its sentence
CASES: list[tuple[str, dict[str, Any], str]] = [
    case(
        "runtime-of-another-version", f"java.lang.{JAVA}",
        "it needs another version of its language than image registry.example.com/shop/web:2.3 has: com/x/Main has been compiled by a more recent version of the Java Runtime (class file version 65.0)",
    ),
    case(
        "data-of-another-cluster",
        "java.lang.RuntimeException: Invalid cluster.id in: /data/meta.properties. Expected A, but read B",
        "the data that it finds in its volumes are those of another cluster or member: Invalid cluster.id in: /data/meta.properties. Expected A, but read B",
        mounts=["/data"],
    ),
    case(
        "data-damaged", "PANIC:  could not locate a valid checkpoint record",
        "it finds its data damaged: could not locate a valid checkpoint record",
    ),
    case(
        "lease-lost", 'E1129 06:00:00.000000       1 server.go:242] "leaderelection lost"',
        "it could not renew its lease as the leader in time, which it ends for on purpose: leaderelection lost",
    ),
    case(
        "clock-wrong", "ClientError: An error occurred (RequestTimeTooSkewed): the difference is too large",
        "the clock of its node node-1 and that of the other side differ too much: RequestTimeTooSkewed): the difference is too large",
    ),
    case(
        "user-without-name", "KeyError: 'getpwuid(): uid not found: 10001'",
        "the user that it runs as is not in /etc/passwd of image registry.example.com/shop/web:2.3: getpwuid(): uid not found: 10001",
    ),
    case(
        "gpu-missing", "RuntimeError: Found no NVIDIA driver on your system.",
        "it finds no GPU on node node-1: Found no NVIDIA driver",
    ),
    case(
        "gpu-missing", "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "it finds no GPU on node node-1: libcuda.so.1: cannot open",
    ),
    case(
        "key-of-another-certificate", "panic: tls: private key does not match public key",
        "its private key is not that of its certificate: private key does not match public key",
    ),
    case(
        "host-with-carriage-return", "Error: getaddrinfo ENOTFOUND redis\n  hostname: 'redis\\r'",
        "the host redis of its configuration ends in a carriage return and does not resolve like that.",
    ),
    case(
        "authentication-failed",
        "ActiveRecord::DatabaseConnectionError: There is an issue connecting to your database with your username/password, username: shop",
        "the other side does not accept its credentials: issue connecting to your database with your username/password, username: shop.",
    ),
]  # fmt: skip
