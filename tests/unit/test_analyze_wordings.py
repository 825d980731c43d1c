"""The playbook crashloop understands what programs of many languages say before they die."""

import pytest

from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import examination, findings_of

CRASHLOOP = resolve("crashloop")

BY_LOG = [
    ("host-unresolvable-by-log", log, f"the host {host} does not resolve")
    for log, host in [
        ('psql: error: could not translate host name "db.prod" to address: Name or service not known', "db.prod"),
        ("Error: getaddrinfo ENOTFOUND db.prod", "db.prod"),
        ("Error: getaddrinfo EAI_AGAIN db.prod db.prod:5432", "db.prod"),
        ("dial tcp: lookup db.prod on 10.96.0.10:53: no such host", "db.prod"),
        ("java.net.UnknownHostException: db.prod: Name or service not known", "db.prod"),
        ("ping: bad address 'db.prod'", "db.prod"),
        ("curl: (6) Could not resolve host: db.prod", "db.prod"),
        ("redis.exceptions.ConnectionError: Error -2 connecting to cache.prod:6379. Name or service not known.", "cache.prod"),
        ("Connection failed: php_network_getaddresses: getaddrinfo for db.prod failed: Name or service not known", "db.prod"),
    ]
] + [
    ("connection-refused-by-log", log, f"{target} refuses connections")
    for log, target in [
        ("Error: connect ECONNREFUSED 10.96.3.4:6379", "10.96.3.4:6379"),
        ("dial tcp 10.96.3.4:5432: connect: connection refused", "10.96.3.4:5432"),
        ('connection to server at "db" (10.96.3.4), port 5432 failed: Connection refused', "db:5432"),
        ("Could not connect to Redis at cache:6379: Connection refused", "cache:6379"),
        ("Connection to db:5432 refused. Check that the hostname and port are correct", "db:5432"),
        ("nc: can't connect to remote host (10.96.3.4): Connection refused", "10.96.3.4"),
    ]
] + [
    ("connection-timed-out-by-log", log, f"{target} does not answer")
    for log, target in [
        ("Error: connect ETIMEDOUT 10.96.3.4:6379", "10.96.3.4:6379"),
        ("dial tcp 10.96.3.4:5432: i/o timeout", "10.96.3.4:5432"),
        ('connection to server at "db" (10.96.3.4), port 5432 failed: timeout expired', "db:5432"),
        ("failed to connect to db:5432: connection timed out", "db:5432"),
    ]
] + [
    ("file-missing-by-log", log, f"{path} cannot be found")
    for log, path in [
        ("FileNotFoundError: [Errno 2] No such file or directory: '/etc/web/config.yaml'", "/etc/web/config.yaml"),
        ("open /etc/web/config.yaml: no such file or directory", "/etc/web/config.yaml"),
        ("Error: ENOENT: no such file or directory, open '/etc/web/config.json'", "/etc/web/config.json"),
        ("cat: can't open '/etc/web/x': No such file or directory", "/etc/web/x"),
        ("java.io.FileNotFoundException: /etc/web/app.properties (No such file or directory)", "/etc/web/app.properties"),
        ('nginx: [emerg] open() "/etc/nginx/conf.d/a.conf" failed (2: No such file or directory)', "/etc/nginx/conf.d/a.conf"),
        ("Fatal error, can't open config file '/etc/redis.conf': No such file or directory", "/etc/redis.conf"),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("rule", "log", "words"), BY_LOG, ids=[case[1][:40] for case in BY_LOG])
def test_understands_many_wordings(rule: str, log: str, words: str) -> None:
    """Without a step that checked it the log's last words are believed, and said to be so."""
    findings = findings_of(CRASHLOOP, examination(log=f"starting\n{log}\n", steps=steps()))
    assert [each.rule for each in findings] == [rule]
    assert (
        findings[0].message == f"Container app exits with code 1 because, as its log says, {words}."
    )
    assert findings[0].confidence == "likely"
    assert log[:60] in findings[0].evidence[0].excerpt


VARIABLES = [
    ("fatal: required environment variable LEDGER_URL is not set", "LEDGER_URL"),
    (
        ("Traceback (most recent call last):\n"
        '  File "/app/main.py", line 3, in <module>\n'
        "    ledger = os.environ['LEDGER_URL']\n"
        "             ~~~~~~~~~~^^^^^^^^^^^^^^\n"
        '  File "<frozen os>", line 714, in __getitem__\n'
        "KeyError: 'LEDGER_URL'"),
        "LEDGER_URL",
    ),
    (
        ("Traceback (most recent call last):\n"
        '  File "/app/main.py", line 3, in <module>\n'
        '  File "/usr/lib/python3.9/os.py", line 679, in __getitem__\n'
        "    raise KeyError(key) from None\n"
        "KeyError: 'LEDGER_URL'"),
        "LEDGER_URL",
    ),
    ('config/boot.rb:3: ENV.fetch: key not found: "LEDGER_URL" (KeyError)', "LEDGER_URL"),
    ("LEDGER_URL is not set", "LEDGER_URL"),
    ("Error: LEDGER_URL must be set", "LEDGER_URL"),
    ("missing required environment variable LEDGER_URL", "LEDGER_URL"),
    ("Missing required environment variables: LEDGER_URL, LEDGER_KEY", "LEDGER_URL"),
    ("environment variable LEDGER_URL not found", "LEDGER_URL"),
    ('Environment variable "LEDGER_URL" is required', "LEDGER_URL"),
    ("sh: LEDGER_URL: parameter not set", "LEDGER_URL"),
    ("/start.sh: line 3: LEDGER_URL: unbound variable", "LEDGER_URL"),
    ("sh: 1: LEDGER_URL: parameter not set or null", "LEDGER_URL"),
    ("/entrypoint.sh: line 4: LEDGER_URL: please tell me where the ledger is", "LEDGER_URL"),
    ('env: required environment variable "LEDGER_URL" is not set', "LEDGER_URL"),
    ("required key LEDGER_URL missing value", "LEDGER_URL"),
    ("Could not resolve placeholder 'LEDGER_URL' in value \"${LEDGER_URL}\"", "LEDGER_URL"),
    ("pydantic_core.ValidationError: 1 validation error for Settings\nledger_url\n  Field required [type=missing]", "ledger_url"),
    ("Error: You must specify POSTGRES_PASSWORD to a non-empty value: POSTGRES_PASSWORD is not specified", "POSTGRES_PASSWORD"),
    ('could not fetch environment variable "LEDGER_URL" because it is not set', "LEDGER_URL"),
    ("thread 'main' panicked at src/main.rs:3: LEDGER_URL must be set: NotPresent", "LEDGER_URL"),
    ("config error: env var 'PORT' is required", "PORT"),
]  # fmt: skip


@pytest.mark.parametrize(("log", "variable"), VARIABLES, ids=[case[0][:40] for case in VARIABLES])
def test_missing_variable_in_many_wordings(log: str, variable: str) -> None:
    findings = findings_of(CRASHLOOP, examination(log=f"web 2.3 starting\n{log}\n", steps=steps()))
    assert [(each.rule, each.message) for each in findings] == [
        (
            "variable-missing",
            f"Container app exits with code 1 because the environment variable {variable} is not set.",
        )
    ]


@pytest.mark.parametrize(
    "log", ["KeyError: 'LEDGER_URL'", 'key not found: "LEDGER_URL" (KeyError)']
)
def test_a_key_of_which_nobody_says_where_it_is_missing(log: str) -> None:
    """It has the shape of a variable, and may still be one of any table."""
    (finding,) = findings_of(CRASHLOOP, examination(log=f"starting\n{log}\n", steps=steps()))
    assert (finding.rule, finding.confidence) == ("variable-missing-by-log", "likely")
    assert "there is no LEDGER_URL" in finding.message


OTHERS = [
    ("certificate-not-accepted", "x509: certificate signed by unknown authority", "certificate signed by unknown authority"),
    ("certificate-not-accepted", "curl: (60) SSL certificate problem: unable to get local issuer certificate", "unable to get local issuer certificate"),
    ("certificate-not-accepted", "x509: certificate is valid for api.old, not api.new", "certificate is valid for api.old, not api.new"),
    ("certificate-not-accepted", "SSLHandshakeException: PKIX path building failed: no valid path", "PKIX path building failed"),
    ("certificate-not-accepted", "Error: self-signed certificate in certificate chain", "self-signed certificate in certificate chain"),
    ("permission-denied", "cat: can't open '/etc/keys/token': Permission denied", "its user may not use /etc/keys/token"),
    ("permission-denied", "journal: cannot open /data/journal.log: Permission denied", "its user may not use /data/journal.log"),
    ("operation-not-permitted", "PermissionError: [Errno 1] Operation not permitted", "not permitted to it: PermissionError"),
    ("configuration-invalid", 'level=fatal msg="invalid configuration" error="yaml: line 7: mapping values"', "yaml: line 7"),
    ("configuration-invalid", '2026/11/26 03:00:01 [emerg] 1#1: unknown directive "proxy_passs"', "proxy_passs"),
    ("option-not-accepted", "flag provided but not defined: --prot", "--prot"),
    ("module-missing", "Error: Cannot find module 'express'\nRequire stack:\n- /app/server.js", "library express"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "log", "words"), OTHERS, ids=[case[1][:40] for case in OTHERS])
def test_other_wordings(rule: str, log: str, words: str) -> None:
    """What is said first names the thing that the program complained about."""
    findings = findings_of(CRASHLOOP, examination(log=f"starting\n{log}\n", steps=steps()))
    assert [each.rule for each in findings] == [rule]
    assert words in findings[0].message
