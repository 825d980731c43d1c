"""What a log says again and again: a program that runs, and whose work fails."""

from collections.abc import Sequence

import pytest

from runner.analyze.repeats import complaint, repeats

START = ["web 2.3 starting", "listening on :8080"]


def every(seconds: int, line: str, times: int = 6) -> list[str]:
    """The line with {time} and {n} put in."""
    return [
        line.replace("{time}", f"08:{n * seconds // 60:02}:{n * seconds % 60:02}").replace(
            "{n}", str(n + 1)
        )
        for n in range(times)
    ]


@pytest.mark.parametrize(
    ("kind", "target", "line"),
    [
        ("refused", "mq:5672", "2026-11-28T{time}Z ERROR amqp: dial tcp mq:5672: connect: connection refused, attempt {n}"),
        ("refused", "10.96.1.4:6379", "[ioredis] Unhandled error event: Error: connect ECONNREFUSED 10.96.1.4:6379"),
        ("refused", "kafka:9092", "[2026-11-28 {time},123] WARN [Producer clientId=p-1] Connection to node -1 (kafka/10.96.1.7) could not be established: connection refused kafka:9092"),
        ("refused", "10.96.1.9:8080", '2026/11/28 {time} [error] 7#7: *{n} connect() failed (111: Connection refused) while connecting to upstream, client: 10.244.0.1, server: _, request: "GET / HTTP/1.1", upstream: "http://10.96.1.9:8080/", host: "shop"'),
        ("unresolved", "", '{"level":"error","ts":1764316442.{n},"msg":"lookup db.shop: no such host"}'),
        ("unresolved", "", "redis.exceptions.ConnectionError: Error -2 connecting to cache: Name or service not known"),
        ("rejected", "", '2026-11-28 {time}.001 ERROR pq: password authentication failed for user "shop"'),
        ("rejected", "", "E1128 {time}.000000       1 sync.go:71] pull failed: 401 Unauthorized"),
        ("rejected", "", "WARN  poll failed: com.acme.ApiException: invalid token (attempt {n})"),
        ("denied", "", "{time} cannot write /data/spool/{n}.tmp: Permission denied"),
        ("denied", "", 'E1128 {time}.1 1 reflector.go:158] pods is forbidden: User "system:serviceaccount:shop:web" cannot list resource "pods"'),
        ("absent", "", "[Consumer clientId=c-1] Error while fetching metadata with correlation id {n} : {clicks=UNKNOWN_TOPIC_OR_PARTITION}"),
        ("absent", "", "{time} ERROR sqs: queue orders does not exist"),
        ("locked", "", "2026-11-28 {time}.004 INFO liquibase.lockservice: Waiting for changelog lock...."),
        ("starting", "", "2026-11-28 {time} WARN db: FATAL: the database system is starting up (SQLSTATE 57P03)"),
        ("broken", "", "{time} rates call failed: upstream connect error or disconnect/reset before headers"),
        ("locked", "", "sqlite3.OperationalError: database is locked ({n})"),
        ("exhausted", "", "session not stored: ReplyError: OOM command not allowed when used memory > 'maxmemory'."),
        ("exhausted", "", "bulk failed: index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"),
        ("limited", "", "{time} poll https://rates.example.com/v2 -> 429 Too Many Requests"),
        ("untrusted", "", '2026-11-28T{time}Z error Get "https://idp/keys": x509: certificate signed by unknown authority'),
        ("silent", "db:5432", "2026/11/28 {time} dial tcp db:5432: i/o timeout"),
        ("full", "", "28 Nov 2026 {time}.11 # Write error saving DB on disk: No space left on device"),
        ("limit", "", "2026/11/28 {time} http: Accept error: accept tcp [::]:80: accept4: too many open files; retrying in 5ms"),
        ("schema", "", 'Nov 28 {time} web[1]: ERROR:  relation "orders" does not exist'),
        ("slow", "", "[2026-11-28 {time} +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:{n})"),
        ("rejected", "", "2026-11-28T{time}.1Z [ERROR] auth.handler: error authenticating: error=denied backoff={n}s"),
        ("broken", "queue:9092", "2026-11-28T{time}Z  WARN 1 --- [p-1] NetworkClient : [Consumer groupId=g] Connection to node -1 (queue/10.96.1.7:9092) could not be established. Node may not be available."),
        ("broken", "", "2026-11-28 {time} warn: payments answered 503 Service Unavailable, retry {n}"),
    ],
)  # fmt: skip
def test_the_same_error_again_and_again(kind: str, target: str, line: str) -> None:
    (one,) = repeats("\n".join([*START, *every(10, line)]))
    assert (one["kind"], one["target"], one["count"], one["lines"]) == (kind, target, 6, 8)


def test_rate_and_times_are_those_that_the_lines_tell() -> None:
    line = "2026-11-28T{time}Z ERROR dial tcp mq:5672: connection refused, attempt {n}"
    (one,) = repeats("\n".join(every(15, line, 9)))
    assert one == {
        "kind": "refused",
        "target": "mq:5672",
        "line": "2026-11-28T08:02:00Z ERROR dial tcp mq:5672: connection refused, attempt 9",
        "words": "ERROR dial tcp mq:5672: connection refused, attempt …",
        "count": 9,
        "lines": 9,
        "first": "2026-11-28T08:00:00",
        "last": "2026-11-28T08:02:00",
        "perMinute": 4.0,
    }


def test_what_is_not_yet_well_is_no_better_news() -> None:
    log = [
        *every(2, "{time} db:5432: connection refused"),
        "08:00:11 not yet connected",
        "08:00:12 not ready",
        "08:00:13 no channel: it could not be established",
    ]
    assert [one["kind"] for one in repeats("\n".join(log))] == ["refused"]


def test_what_differs_is_left_out_and_the_rest_is_told() -> None:
    line = "2026-11-28 {time},004 ERROR cannot write '/spool/part-{n}.ts': Permission denied"
    (one,) = repeats("\n".join(every(15, line)))
    assert one["words"] == "ERROR cannot write '/spool/part-….ts': Permission denied"


def test_what_goes_on_below_the_line_is_told_with_it() -> None:
    line = "{time} [ERROR] login failed:\n  error=\n  | Code: 403. Errors:\n  |\n  | * permission denied\n  backoff={n}s"
    (one,) = repeats("\n".join(every(15, line)))
    assert one["words"] == ("[ERROR] login failed: error= Code: 403. Errors: permission denied")


def test_work_in_between_does_not_hide_it() -> None:
    errors = every(60, "2026-11-28 {time} ERROR charge failed: 401 Unauthorized", 8)
    work = [f"2026-11-28 08:00:{n:02} GET /cart/{n} in 3 ms" for n in range(30)]
    log = [line for error in errors for line in (*work[:30], error)]
    assert [one["kind"] for one in repeats("\n".join(log))] == ["rejected"]


HEALTHY: list[Sequence[str]] = [
    every(5, "info: error_rate=0.0 errors=0 failed=0 last_error=none", 20),
    # a start that had to wait
    [*every(2, "{time} db:5432: connection refused, waiting"), "08:00:20 INFO connected to db", "08:00:21 INFO stored"],
    [*every(2, "db:5432: connection refused, waiting"), "connected to db", *["tick"] * 3],
    # once, and long ago
    [*every(2, "2026-11-28 {time} dial tcp mq:5672: connection refused"), *["2026-11-28 09:00:00 tick"] * 20],
    ["connection refused", "connection refused", *["tick"] * 9],
    # what clients did
    every(1, '10.0.0.7 - - [28/Nov/2026:{time} +0000] "GET /admin HTTP/1.1" 401 19 "-" "curl/8.5"', 20),
    every(1, '2026/11/28 {time} [error] 7#7: *{n} open() "/usr/share/nginx/html/wp-login.php" failed (2: No such file or directory), client: 10.0.0.7, request: "GET /wp-login.php HTTP/1.1"', 20),
    # what a server says of those who come
    every(1, "2026/11/28 {time} http: TLS handshake error from 10.0.0.{n}:4711: remote error: tls: bad certificate", 20),
    every(1, '2026-11-28 {time}.001 UTC [5{n}] FATAL:  password authentication failed for user "root"', 20),
    every(1, "2026-11-28T{time}.1Z 1{n} [Warning] [MY-010926] [Server] Access denied for user 'root'@'10.0.0.9'", 20),
    every(1, "{time} write tcp 10.0.0.1:80->10.0.0.9:3{n}: write: broken pipe", 20),
    every(1, "{time} WARN login failed for bob from 10.0.0.9", 20),
    every(1, "DEBUG {time} pool: connection refused, next host", 20),
    # another one each time
    [f"user {name} not found: unauthorized guest" for name in ("ann", "bob")],
    ["retrying", "ok"] * 20,
    [],
]  # fmt: skip


@pytest.mark.parametrize("log", HEALTHY, ids=range(len(HEALTHY)))
def test_nothing_is_claimed_of(log: Sequence[str]) -> None:
    assert repeats("\n".join(log)) == []


def test_a_certificate_tells_more_than_the_login_that_it_stops() -> None:
    line = "error authenticating: x509: certificate is valid for vault.ops.svc, not vault"
    (found,) = repeats("\n".join([line] * 6))
    assert found["kind"] == "untrusted"


@pytest.mark.parametrize(
    "lines",
    [
        [
            "WARN upstream answered 503 Service Unavailable",
            "INFO batch delivered on second attempt",
        ],
        ["WARN upstream answered 503 Service Unavailable", "INFO saved after 2 retries"],
        ["ERROR duplicate key - (connection refused earlier, recovered)", "INFO next"],
    ],
)
def test_what_is_done_after_all_is_none(lines: list[str]) -> None:
    """Also when the log ends in the middle of one."""
    assert repeats("\n".join([*lines * 8, lines[0]])) == []


def test_what_is_given_up_is_not_done() -> None:
    lines = ["WARN upstream answered 503 Service Unavailable", "failed, completed 3 attempts"]
    assert [each["kind"] for each in repeats("\n".join(lines * 8))] == ["broken"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("INFO waiting for schema 42", True),
        ("DEBUG waiting for schema 42", False),
        ("INFO served 12 requests", False),
    ],
)
def test_what_an_ill_program_says_of_whatever_kind(line: str, said: bool) -> None:
    assert complaint("\n".join([*START, *[line] * 6])) == (line if said else "")
    assert repeats("\n".join([*START, *[line] * 6])) == []
    assert complaint("\n".join([line] * 6 + ["ready to serve"] * 5)) == ""
