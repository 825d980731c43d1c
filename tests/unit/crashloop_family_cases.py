"""Pods for rules of the playbook crashloop that tell a family of causes in whatever language."""

from typing import Any

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
]  # fmt: skip
