"""Pods for rules of the playbook crashloop that tell a family of causes in whatever language."""

from typing import Any

from runner.model.pod import EnvVar, Volume, VolumeMount
from tests.unit.examinations import waiting

IMAGE = "registry.example.com/shop/web:2.3"
BEGIN = "Container app exits with code 1 because "


def case(rule: str, log: str, said: str, **more: Any) -> tuple[str, dict[str, Any], str]:
    return rule, {"log": f"starting\n{log}\n", **more}, said


# id of the rule, the pod, its sentence
CASES: list[tuple[str, dict[str, Any], str]] = [
    case(
        "characters-beyond-ascii",
        "UnicodeEncodeError: 'ascii' codec can't encode character '\\xfc' in position 1: ordinal not in range(128)",
        "Container app exits with code 1 at a character beyond ASCII, which its locale does not know: UnicodeEncodeError: 'ascii' codec can't encode character '\\xfc' in position 1: ordinal not in range(128)",
    ),
    case(
        "time-zone-unknown", "panic: unknown time zone Europe/Kyiv",
        f"Container app exits with code 1 because, as its log says, the time zone Europe/Kyiv is not known to it: image {IMAGE} has none (tzdata), or older ones, or the name is wrong.",
    ),
    case(
        "inotify-limit", "Error: ENOSPC: System limit for number of file watchers reached, watch '/app/src'",
        BEGIN + "the containers of node node-1 that run as its user watch as many files as the node allows one user: Error: ENOSPC: System limit for number of file watchers reached, watch '/app/src'",
    ),
    case(
        "crypto-too-old", "Error: error:0308010C:digital envelope routines::unsupported",
        BEGIN + "its cryptographic library and what it meets have no algorithm or TLS version in common, as one of them is too old: digital envelope routines::unsupported",
    ),
    case(
        "client-certificate-wanted", "fatal: Get https://bank/: remote error: tls: certificate required",
        BEGIN + "the server that it connects to asks clients for a certificate (mutual TLS) and gets none from it: fatal: Get https://bank/: remote error: tls: certificate required",
    ),
    case(
        "tls-on-one-side-only", 'error: no pg_hba.conf entry for host "10.0.0.7", user "a", database "a", no encryption',
        BEGIN + 'the server that it connects to takes encrypted connections only (TLS), and it asks for one without: error: no pg_hba.conf entry for host "10.0.0.7", user "a", database "a", no encryption',
    ),
    case(
        "cloud-permission-missing", "AccessDenied: User: arn:aws:iam::1:role/x is not authorized to perform: s3:PutObject on resource: b",
        BEGIN + "the cloud knows who it is and does not allow it what it asks for: AccessDenied: User: arn:aws:iam::1:role/x is not authorized to perform: s3:PutObject on resource: b",
    ),
    case(
        "cloud-credentials-missing", "NoCredentialProviders: no valid providers in chain. Deprecated.",
        BEGIN + "it finds no credentials anywhere that it looks for them: NoCredentialProviders: no valid providers in chain. Deprecated.",
    ),
    case(
        "needs-root", "dnsmasq: must be run as root",
        BEGIN + "what it does needs the rights of root: dnsmasq: must be run as root",
    ),
    case(
        "refuses-root", "java.lang.RuntimeException: can not run elasticsearch as root",
        BEGIN + "it does not want to run as root: java.lang.RuntimeException: can not run elasticsearch as root",
    ),
    case(
        "asked-too-often", "fatal: GET /v2/latest -> 429 Too Many Requests",
        BEGIN + "the service that it asks limits how often it may (429): fatal: GET /v2/latest -> 429 Too Many Requests",
    ),
    case(
        "licence-not-valid", "ERROR License key expired on 2026-10-31.",
        BEGIN + "of its licence: ERROR License key expired on 2026-10-31.",
    ),
    case(
        "sqlite-file-refused", "sqlite3.OperationalError: attempt to write a readonly database",
        BEGIN + "its user may not write to the file of its SQLite database or to the folder that it is in (volumes are mounted at /data): sqlite3.OperationalError: attempt to write a readonly database",
        mounts=["/data"],
    ),
    case(
        "value-with-quotes", 'invalid value for Integer(): "\\"4\\"" (ArgumentError)',
        BEGIN + 'a value of its configuration begins and ends with quotation marks, which belong to the value: invalid value for Integer(): "\\"4\\"" (ArgumentError)',
    ),
    (
        "script-without-interpreter-line",
        {"state": waiting("CrashLoopBackOff", "exec /scripts/run.sh: exec format error"), "log": "exec /scripts/run.sh: exec format error\n"},
        "Container app does not start because the kernel does not know what to run the script /scripts/run.sh with (exec format error): its very first characters have to be #! and the path of its interpreter.",
    ),
    case(
        "deadlock-in-program", "fatal error: all goroutines are asleep - deadlock!",
        BEGIN + "everything in it waits, and nothing is left that could wake it: all goroutines are asleep - deadlock!",
    ),
    case(
        "versions-do-not-fit", "ImportError: cannot import name 'url_quote' from 'werkzeug.urls'",
        BEGIN + f"one of the libraries in image {IMAGE} wants of another what that, in its version, does not have: cannot import name 'url_quote' from 'werkzeug.urls'",
    ),
    case(
        "socket-file-missing", "dial unix /cloudsql/acme.sock: connect: no such file or directory",
        BEGIN + "it cannot connect to the Unix socket /cloudsql/acme.sock: no such file or directory.",
    ),
    case(
        "host-alias-in-the-way", "batch: cannot reach debt-db:5433: timed out",
        BEGIN + "it does not get to debt-db: hostAliases of its pod template write 10.255.7.7 for that name into /etc/hosts, past DNS. Its log says: batch: cannot reach debt-db:5433: timed out",
        pod_spec={"host_aliases": ({"ip": "10.255.7.7", "hostnames": ["debt-db"]},)},
    ),
    case(
        "address-not-its-own", "OSError: [Errno 99] Cannot assign requested address: ('10.20.0.5', 3999)",
        BEGIN + "the address that it is told to listen on is none of its pod's, whose own is a new one with each start: OSError: [Errno 99] Cannot assign requested address: ('10.20.0.5', 3999)",
    ),
    case(
        "address-family-missing", "nginx: [emerg] socket() [::]:8080 failed (97: Address family not supported by protocol)",
        BEGIN + "the network of its pod knows no IPv6: nginx: [emerg] socket() [::]:8080 failed (97: Address family not supported by protocol)",
    ),
    case(
        "environment-too-large", "exec /usr/bin/sh: argument list too long",
        "Container app does not start because its variables and arguments together, or one of them, are larger than the kernel takes (128 KiB for one, about 2 MiB for all): exec /usr/bin/sh: argument list too long",
    ),
    case(
        "login-method-unknown", "error: Authentication plugin 'caching_sha2_password' cannot be loaded: x.so at /app/ledger.pl line 14.",
        BEGIN + "its client library and the server have no way to log in in common: Authentication plugin 'caching_sha2_password' cannot be loaded",
    ),
    case(
        "proxy-refuses", "curl: (56) CONNECT tunnel failed, response 407",
        BEGIN + "what it asks goes through a proxy (HTTP_PROXY, HTTPS_PROXY), and that wants a login: curl: (56) CONNECT tunnel failed, response 407",
    ),
    case(
        "key-not-readable", "panic: signing key: error:0480006C:PEM routines::no start line",
        BEGIN + "what it is given for a key or certificate is not in the form that it expects: panic: signing key: error:0480006C:PEM routines::no start line",
    ),
    case(
        "stale-lock-file", "A server is already running (pid: 1, file: /app/tmp/pids/server.pid).",
        BEGIN + "it finds a lock or pid file (volumes are mounted at /app/tmp) and takes it that another instance runs: A server is already running (pid: 1, file: /app/tmp/pids/server.pid).",
        mounts=["/app/tmp"],
    ),
    case(
        "server-still-starting", "FATAL: the database system is starting up (SQLSTATE 57P03)",
        BEGIN + "the server that it connects to is there and does not serve yet: FATAL: the database system is starting up (SQLSTATE 57P03)",
    ),
    case(
        "unknown-to-server", "fatal: rpc error: code = Unimplemented desc = unknown service offers.v2.Pricing",
        BEGIN + "the server has no such service or method: fatal: rpc error: code = Unimplemented desc = unknown service offers.v2.Pricing",
    ),
    case(
        "schema-not-made", "ERROR: You need to initialize the database. Please run `airflow db init`.",
        BEGIN + "its database does not have the tables of this version: ERROR: You need to initialize the database. Please run `airflow db init`.",
    ),
    case(
        "variable-empty", "config: TENANT must not be empty",
        "Container app exits with code 1 because, as its log says, TENANT has no value: its pod template sets it, from metadata.annotations['acme.io/tenant'] of the pod, but there is nothing in it.",
        spec={"env": (EnvVar(name="TENANT", value_from={"fieldRef": {"fieldPath": "metadata.annotations['acme.io/tenant']"}}),)},
    ),
    case(
        "variable-empty", "FATAL SMTP_PASSWORD is required",
        "Container app exits with code 1 because, as its log says, SMTP_PASSWORD has no value: its pod template sets it, from key password of Secret smtp, but there is nothing in it.",
        spec={"env": (EnvVar(name="SMTP_PASSWORD", value_from={"secretKeyRef": {"name": "smtp", "key": "password"}}),)},
    ),
    case(
        "permission-denied-on-node", "sh: can't create /tiles/index: Permission denied",
        BEGIN + "its user may not use /tiles/index: /tiles is a hostPath, and what is there belongs to whom it belongs to on node node-1.",
        spec={"volume_mounts": (VolumeMount(name="tiles", mount_path="/tiles"),)},
        pod_spec={"volumes": (Volume(name="tiles", host_path={"path": "/var/tiles"}),)},
    ),
    case(
        "usage-shown", "Usage: sleep [N]...\n\nPause for a time equal to the total of the args given",
        "Container app exits with code 1 after it printed its usage, as programs do whose command line is not complete or not understood: sleep [N]...",
        command=["sleep"],
    ),
    case(
        "data-directory-not-empty", 'initdb: error: directory "/var/lib/pg/data" exists but is not empty',
        BEGIN + 'it wants to set up its data in a folder that has files in it (volumes are mounted at /var/lib/pg): initdb: error: directory "/var/lib/pg/data" exists but is not empty',
        mounts=["/var/lib/pg"],
    ),
    case(
        "file-open-to-others", "[error] Cookie file /var/lib/rabbitmq/.erlang.cookie must be accessible by owner only",
        BEGIN + "it does not accept a file that others than its owner may read or write: [error] Cookie file /var/lib/rabbitmq/.erlang.cookie must be accessible by owner only",
    ),
    case(
        "held-by-earlier-run", "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
        BEGIN + "an operation that was begun before it has not ended, or was ended in the middle: Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
    ),
]  # fmt: skip
