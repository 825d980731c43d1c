"""What looks like a cause and is none: the playbook crashloop is certain only of what was seen."""

from collections.abc import Sequence

import msgspec
import pytest

from runner.model.report import Finding
from runner.playbook import resolve
from tests.unit.examinations import STARTED, event, examination, exited, findings_of, waiting
from tests.unit.examinations import crashloop_steps as steps

CRASHLOOP = resolve("crashloop")
TRACEBACK = 'Traceback (most recent call last):\n  File "/app/main.py", line 9, in <module>\n'
TRACING = "endpoint env:TRACING_URL kubernetes.default.svc 9411 dns=ok tcp=timeout\n"
CACHE = "endpoint env:CACHE_URL cache.shop9 6379 dns=fail tcp=none\n"


def told(log: str, endpoints: str = "") -> list[Finding]:
    return findings_of(CRASHLOOP, examination(log=log, steps=steps(endpoints)))


def brief(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(each.rule, each.confidence) for each in findings]


@pytest.mark.parametrize(
    "trace",
    [
        f"{TRACEBACK}    prices['EUR']\n    ~~~~~~^^^^^^^\nKeyError: 'EUR'\n",
        f"{TRACEBACK}    limits['MAX_RATE']\nKeyError: 'MAX_RATE'\n",
        f"loading os.environ\nworking\n{TRACEBACK}    prices['EUR']\nKeyError: 'EUR'\n",
        f"{TRACEBACK}KeyError: 'EUR'\n",
        f"{TRACEBACK}    rates[os.environ['CURRENCY']]\nKeyError: 'EUR'\n",
    ],
)
def test_a_key_that_is_missing_in_a_dict_is_no_variable(trace: str) -> None:
    findings = told(trace)
    assert brief(findings) == [("uncaught-exception", "likely")]
    assert trace.splitlines()[-1] in findings[0].message


@pytest.mark.parametrize(
    "hint",
    [
        "WARN SENTRY_DSN is not set, error reporting disabled",
        "2026-11-23T06:31:19.123Z WARN  SENTRY_DSN is not set",
        "2026-11-23 06:31:19,123 - shop.main - WARNING - SENTRY_DSN is not set",
        "[warn] SENTRY_DSN is not set",
        "WARNING:root:SENTRY_DSN is not set",
        "npm WARN SENTRY_DSN is not set",
        "W1123 06:31:19.000000       1 main.go:5] SENTRY_DSN is not set",
        'time="2026-11-23T06:31:19Z" level=warning msg="SENTRY_DSN is not set"',
        '{"level":"info","msg":"SENTRY_DSN is not set"}',
        '{"level":40,"msg":"SENTRY_DSN is not set"}',
        "SENTRY_DSN is not set, error reporting disabled",
        "SENTRY_DSN not set, using default",
        "DEBUG: environment variable SENTRY_DSN is not set",
        "SENTRY_DSN is not set",
    ],
)
@pytest.mark.parametrize("between", ["", "loading schema\nconnected\n"])
def test_a_variable_that_the_program_does_without(hint: str, between: str) -> None:
    log = f"starting\n{hint}\n{between}{TRACEBACK}    check(version)\nValueError: unsupported schema version 7\n"
    findings = told(log)
    assert brief(findings) == [("uncaught-exception", "likely")]
    assert "ValueError: unsupported schema version 7" in findings[0].message


def test_a_variable_some_lines_before_the_end_is_no_cause() -> None:
    assert brief(told("SENTRY_DSN is not set\n" + "working\n" * 5)) == [("exits", "possible")]


def test_a_stack_trace_after_the_sentence_does_not_hide_it() -> None:
    frames = "".join(f"    at f{i} (/app/main.js:{i}:7)\n" for i in range(30))
    findings = told(f"Error: LEDGER_URL is not set\n{frames}\nNode.js v20.11.0\n")
    assert brief(findings) == [("variable-missing", "certain")]
    assert "LEDGER_URL" in findings[0].message
    assert "Error: LEDGER_URL is not set" in findings[0].evidence[0].excerpt


def test_a_warning_does_not_hide_the_variable_that_is_missing() -> None:
    log = "WARN environment variable SENTRY_DSN is not set\nFATAL: LEDGER_URL must be set\n"
    (finding,) = told(log)
    assert "the environment variable LEDGER_URL is not set" in finding.message


@pytest.mark.parametrize(
    "words",
    [
        "cannot reach payments-internal.shop9: [Errno -2] Name or service not known",
        "payments: payments-internal.shop9: socket.gaierror: [Errno -2] Name or service not known",
        "connecting to payments-internal.shop9:8080\n"
        + TRACEBACK
        + "    connect()\nsocket.gaierror: [Errno -2] Name or service not known",
        (
            "requests.exceptions.ConnectionError: HTTPConnectionPool(host='payments-internal.shop9', port=80): Max retries exceeded"
            ' with url: / (Caused by NameResolutionError("<urllib3.connection.HTTPConnection object>: Failed to resolve'
            " 'payments-internal.shop9' ([Errno -2] Name or service not known)\"))"
        ),
        "Error: getaddrinfo ENOTFOUND payments-internal.shop9",
    ],
)
@pytest.mark.parametrize(
    "before",
    ["cache at cache.shop9:6379\n", "cache.shop9: Name or service not known\n", "WARN no cache.shop9\n"],
)  # fmt: skip
def test_the_host_of_the_last_words_is_to_blame(words: str, before: str) -> None:
    findings = told(f"starting\n{before}{words}\n", CACHE)
    assert brief(findings) == [("host-unresolvable-by-log", "likely")]
    assert "the host payments-internal.shop9 does not resolve" in findings[0].message
    assert "payments-internal.shop9" in findings[0].evidence[0].excerpt


@pytest.mark.parametrize(
    ("endpoint", "words", "rule"),
    [
        (CACHE, "lookup cache.shop9 on 10.96.0.10:53: no such host", "host-unresolvable"),
        ("endpoint env:C cache 6379 dns=ok tcp=refused\n", "connect to cache:6379 refused", "connection-refused"),
        ("endpoint env:C cache 6379 dns=ok tcp=timeout\n", "dial tcp cache:6379: i/o timeout", "connection-timed-out"),
    ],
)  # fmt: skip
def test_the_line_that_names_the_host_is_shown(endpoint: str, words: str, rule: str) -> None:
    findings = told("starting\n" + words + "\n" + "bye\n" * 4, endpoint)
    assert brief(findings) == [(rule, "certain")]
    assert words in findings[0].evidence[0].excerpt


@pytest.mark.parametrize(
    "log",
    [
        "lookup cache.shop9: no such host\n" + "working\n" * 10,
        "using cache.shop9:6379\nbye\n",
        "WARN lookup cache.shop9: no such host\nbye\n",
        "lookup x.cache.shop9.example.com: no such host, continuing\nbye\n",
    ],
)
def test_a_host_that_the_last_words_do_not_blame_is_possible_at_most(log: str) -> None:
    assert {each.confidence for each in told(log, CACHE)} == {"possible"}


@pytest.mark.parametrize(
    "early",
    [
        "exporting traces to kubernetes.default.svc:9411",
        "timeout for kubernetes.default.svc:9411 set to 5 s",
        "failed to export traces to kubernetes.default.svc:9411: timeout",
    ],
)
def test_the_fatal_line_wins_over_an_endpoint_that_was_only_mentioned(early: str) -> None:
    log = f"{early}\nFATAL invalid config: replicas must be positive\n"
    findings = told(log, TRACING)
    assert brief(findings) == [("configuration-invalid", "likely")]
    assert findings[0].message == (
        "Container app exits with code 1 because it does not understand its configuration:"
        " FATAL invalid config: replicas must be positive"
    )
    assert "FATAL invalid config: replicas must be positive" in findings[0].evidence[0].excerpt
    assert not any("because kubernetes.default.svc" in each.message for each in findings)


def test_of_a_port_only_that_it_is_in_use_is_known() -> None:
    findings = told("OSError: [Errno 98] listen tcp 0.0.0.0:8080: bind: address already in use\n")
    assert brief(findings) == [("port-in-use", "likely")]
    assert "another container" not in findings[0].message


@pytest.mark.parametrize(
    ("log", "port"),
    [
        ("2026/11/23 06:31:19 listen tcp :8080: bind: address already in use", "8080"),
        ("2026/11/23 06:31:19 listen tcp 0.0.0.0:8080: bind: address already in use", "8080"),
        ("ERROR: [Errno 98] bind on address ('0.0.0.0', 8080): address already in use", "8080"),
        ("Error: listen EADDRINUSE: address already in use :::3000", "3000"),
    ],
)
def test_the_port_is_not_taken_from_the_time_of_day(log: str, port: str) -> None:
    assert f"port {port} is already in use" in told(f"{log}\n")[0].message


@pytest.mark.parametrize(
    "log",
    [
        "2026/11/23 06:31:19 connection refused\n",
        "exporting to tracing:9411\nbad timeout value\n",
    ],
)
def test_no_target_is_made_up(log: str) -> None:
    (finding,) = told(log)
    assert (finding.rule, finding.confidence) == ("last-words", "likely")
    last = log.splitlines()[-1]
    assert finding.message == f"Container app exits with code 1; its log says why: {last}"


def test_without_a_port_in_the_log_none_is_named() -> None:
    findings = told("2026/11/23 06:31:19 address already in use\n")
    assert brief(findings) == [("address-in-use", "likely")]
    assert "31" not in findings[0].title + findings[0].message


def test_an_error_in_the_last_line_is_quoted() -> None:
    findings = told("error: replicas must be positive\n", TRACING)
    assert brief(findings) == [("last-words", "likely"), ("connection-unmentioned", "possible")]
    assert "replicas must be positive" in findings[0].message


def test_what_the_demo_shows_is_still_named() -> None:
    host = "orders-db.demo.svc.cluster.local"
    (ledger,) = told("fatal: required environment variable LEDGER_URL is not set\n")
    (orders,) = told(
        f"orders: could not connect to database: lookup {host}: no such host\n",
        f"endpoint env:DB_URL {host} 5432 dns=fail tcp=none\n",
    )
    assert brief([ledger, orders]) == [
        ("variable-missing", "certain"),
        ("host-unresolvable", "certain"),
    ]
    assert "LEDGER_URL" in ledger.message
    assert host in orders.message


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ('Back-off pulling image "web:2"', "image-not-found"),
        (
            'Back-off pulling image "web:2": ErrImagePull: no such host',
            "image-registry-unreachable",
        ),
    ],
)
def test_how_an_earlier_pull_failed_is_no_cause_of_the_last_failure(
    message: str, rule: str
) -> None:
    limited = event("Failed", 'Failed to pull image "web:1": toomanyrequests: slow down')
    limited = msgspec.structs.replace(limited, last_timestamp=STARTED)
    missing = event("Failed", 'Failed to pull image "web:2": manifest unknown')
    one = examination(
        state=waiting("ImagePullBackOff", message),
        restarts=0,
        events=[limited, missing, event("Failed", "Error: ErrImagePull")],
    )
    assert [each.rule for each in findings_of(resolve("image-pull"), one)] == [rule]


def test_a_variable_that_the_pod_sets_is_not_missing() -> None:
    """What its log says of it may be about its value, or about the place where it is looked for."""
    one = examination(env=["LEDGER_URL"], log="fatal: LEDGER_URL is not set\n", steps=steps())
    assert brief(findings_of(CRASHLOOP, one)) == [("last-words", "likely")]


def test_a_shell_replaces_what_its_command_line_names() -> None:
    command = ["sh", "-c", "exec app --db=$DB_URL"]
    one = examination(
        env=["DB_URL"], command=command, log='fatal: "$DB_URL" is bad\n', steps=steps()
    )
    assert "argument-not-expanded" not in [rule for rule, _ in brief(findings_of(CRASHLOOP, one))]


@pytest.mark.parametrize(
    ("log", "seen", "rule"),
    [
        ("connect to db:5432 failed: connection refused\n", "timeout", "connection-refused-by-log"),
        ("connect to db:5432 failed: timed out\n", "refused", "connection-timed-out-by-log"),
    ],
)
def test_another_failure_than_the_log_tells_of_makes_nothing_certain(
    log: str, seen: str, rule: str
) -> None:
    endpoints = f"endpoint env:DB db 5432 dns=ok tcp={seen}\n"
    assert brief(told(log, endpoints)) == [(rule, "likely")]


REFUSED = """Unhandled exception. Npgsql.NpgsqlException (0x80004005): Failed to connect to 10.96.10.2:5432
 ---> System.Net.Sockets.SocketException (111): Connection refused
   at Npgsql.Internal.NpgsqlConnector.Connect(NpgsqlTimeout timeout)
"""
SERVICES = (
    "Unhandled exception. System.AggregateException: Some services are not able to be constructed "
    "(Error while validating the service descriptor 'Shop.ICart')\n   at Program.Main()\n"
)
ICU = (
    "Process terminated. Couldn't find a valid ICU package.\n   at System.Environment.FailFast()\n"
)


@pytest.mark.parametrize(
    ("log", "rule"),
    [
        (REFUSED, "connection-refused-by-log"),
        (REFUSED.replace("(111): Connection refused", "(110): Connection timed out"), "connection-timed-out-by-log"),
        (SERVICES, "unhandled-exception"),
        (ICU, "unhandled-exception"),
    ],
)  # fmt: skip
def test_what_programs_of_dotnet_say_first(log: str, rule: str) -> None:
    one = examination(state=exited(134), log=log, steps=steps())
    assert brief(findings_of(CRASHLOOP, one))[0] == (rule, "likely")
