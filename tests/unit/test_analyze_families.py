"""Families of causes: programs say the same in many words, and similar words mean other things."""

import pytest

from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import examination, exited, findings_of, step

CRASHLOOP = resolve("crashloop")

SPEAKS = {
    "characters-beyond-ascii": [
        "UnicodeDecodeError: 'ascii' codec can't decode byte 0xc3 in position 12: ordinal not in range(128)",
        "app.rb:3:in `split': invalid byte sequence in US-ASCII (ArgumentError)",
        'Encoding::UndefinedConversionError: "\\xC3" from ASCII-8BIT to US-ASCII',
        "locale.Error: unsupported locale setting",
        "initdb: error: invalid locale settings; check LANG and LC_* environment variables",
        "RuntimeError: Click will abort further execution because Python was configured to use ASCII as encoding for the environment.",
    ],
    "time-zone-unknown": [
        "zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key Europe/Kyiv'",
        "pytz.exceptions.UnknownTimeZoneError: 'Europe/Kyiv'",
        'Exception in thread "main" java.time.zone.ZoneRulesException: Unknown time-zone ID: Europe/Kyiv',
        "System.TimeZoneNotFoundException: The time zone ID 'Europe/Kyiv' was not found on the local computer.",
        "PHP Fatal error: Uncaught Exception: DateTimeZone::__construct(): Unknown or bad timezone (Europe/Kyiv)",
        'FATAL:  invalid value for parameter "TimeZone": "Europe/Kyiv"',
        "ERROR 1298 (HY000): Unknown or incorrect time zone: 'Europe/Kyiv'",
        "RangeError: Invalid time zone specified: Europe/Kyiv",
        "TZInfo::DataSourceNotFound: No source of timezone data could be found.",
    ],
    "inotify-limit": [
        "System.IO.IOException: The configured user limit (128) on the number of inotify instances has been reached",
        "panic: failed to create fsnotify watcher: too many open files",
        "OSError: [Errno 28] inotify watch limit reached",
        "fatal: inotify_init: Too many open files",
    ],
    "crypto-too-old": [
        "ssl.SSLError: [SSL: UNSAFE_LEGACY_RENEGOTIATION_DISABLED] unsafe legacy renegotiation disabled (_ssl.c:1007)",
        "ssl.SSLError: [SSL: EE_KEY_TOO_SMALL] ee key too small (_ssl.c:4022)",
        "curl: (35) error:0A000102:SSL routines::unsupported protocol",
        "javax.net.ssl.SSLHandshakeException: The server selected protocol version TLS10 is not accepted by client preferences [TLS13, TLS12]",
        "x509: cannot verify signature: insecure algorithm SHA1-RSA",
    ],
    "client-certificate-wanted": [
        "ssl.SSLError: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)",
        "javax.net.ssl.SSLHandshakeException: Received fatal alert: bad_certificate",
        "error: 400 No required SSL certificate was sent",
        "Error: write EPROTO 139:error:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate",
    ],
    "tls-on-one-side-only": [
        "ERROR 3159 (HY000): Connections using insecure transport are prohibited while --require_secure_transport=ON.",
        "error: server does not support SSL, but SSL was required",
        'Error: Get "https://web:8080/": http: server gave HTTP response to HTTPS client',
        "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)",
        "javax.net.ssl.SSLException: Unrecognized SSL message, plaintext connection?",
        "fatal: 400 Bad Request: Client sent an HTTP request to an HTTPS server.",
        "smtplib.SMTPSenderRefused: (530, b'5.7.0 Must issue a STARTTLS command first')",
    ],
    "cloud-permission-missing": [
        "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "google.api_core.exceptions.PermissionDenied: 403 Permission 'secretmanager.versions.access' denied for resource 'projects/p/secrets/s'",
        "Error: 403 reader@p.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.",
        "AuthorizationFailed: The client 'x' does not have authorization to perform action 'Microsoft.Storage/read' over scope '/s'",
    ],
    "cloud-credentials-missing": [
        "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
        "google.auth.exceptions.DefaultCredentialsError: Could not find default credentials.",
        "Azure.Identity.CredentialUnavailableException: ManagedIdentityCredential authentication unavailable.",
        "software.amazon.awssdk.core.exception.SdkClientException: Unable to load credentials from any of the providers in the chain",
    ],
    "needs-root": [
        "iptables v1.8.7 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)",
        "tcpdump: must be root to capture",
        "This program requires root privileges.",
        "unshare: unshare failed: Operation not permitted",
    ],
    "refuses-root": [
        '"root" execution of the PostgreSQL server is not permitted.',
        "[0101/000000.000000:ERROR:zygote_host_impl_linux.cc(90)] Running as root without --no-sandbox is not supported.",
        "error: refusing to run as root",
    ],
    "asked-too-often": [
        "openai.RateLimitError: Error code: 429 - You exceeded your current quota, please check your plan",
        "An error occurred (ThrottlingException) when calling the Get operation: Rate exceeded",
        "grpc: error: code = ResourceExhausted desc = RESOURCE_EXHAUSTED: quota",
        "HTTPError: API rate limit exceeded for 203.0.113.7",
    ],
    "licence-not-valid": [
        "FATAL: license file not found: /etc/app/license.lic",
        "Error: no valid license, contact sales",
        "[ERROR] Your trial period has expired",
    ],
    "sqlite-file-refused": [
        "SqliteError: attempt to write a readonly database (SQLITE_READONLY)",
        "Error: SQLITE_CANTOPEN: unable to open database file",
    ],
    "value-with-quotes": [
        "ValueError: invalid literal for int() with base 10: '\"8080\"'",
        'strconv.Atoi: parsing "\\"8080\\"": invalid syntax',
        'java.lang.NumberFormatException: For input string: ""8080""',
        'Error: getaddrinfo ENOTFOUND "redis"',
    ],
    "library-missing": [
        "./server: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by ./server)",
        "./server: error while loading shared libraries: libpq.so.5: cannot open shared object file",
    ],
    "runtime-of-another-version": [
        "You must install or update .NET to run this application.\n\nApp: /app/a.dll\nArchitecture: x64\nFramework: 'Microsoft.NETCore.App', version '8.0.0' (x64)",
    ],
    "server-full": [
        "SQLNonTransientConnectionException: Data source rejected establishment of connection, message from server: \"Too many connections\"\nException in thread \"main\" org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'dataSource'",
    ],
    "configuration-invalid": [
        "[ALERT] (1) : config : parsing [/etc/haproxy.cfg:12] : unknown keyword 'bindd' in 'frontend' section\n[ALERT] (1) : config : Fatal errors found in configuration.",
    ],
    "file-missing-by-log": [
        "OSError: Could not find a suitable TLS CA certificate bundle, invalid path: /etc/ssl/corp/ca.pem",
    ],
}  # fmt: skip


def rules(log: str, code: int = 1) -> list[str]:
    one = examination(state=exited(code), log=f"starting\n{log}\n", steps=steps())
    return [each.rule for each in findings_of(CRASHLOOP, one)]


@pytest.mark.parametrize(
    ("rule", "log"), [(rule, log) for rule, logs in SPEAKS.items() for log in logs]
)
def test_the_same_in_other_words(rule: str, log: str) -> None:
    assert rules(log) == [rule]


SILENT = {
    # what a database refuses is data; a port is no user, and a number no status
    "characters-beyond-ascii": ["error: invalid input: only ASCII letters are allowed in a name"],
    "time-zone-unknown": ["error: no time left", "error: invalid zone file"],
    "inotify-limit": ["OSError: [Errno 28] No space left on device: '/data/x'", "accept: too many open files"],
    "client-certificate-wanted": ["x509: certificate has expired or is not yet valid"],
    "tls-on-one-side-only": ['FATAL: password authentication failed for user "a"'],
    "cloud-permission-missing": ["error: permission denied for table orders"],
    "needs-root": ["error: root element is required in pom.xml", "chown: /data: Operation not permitted"],
    "refuses-root": ["error: cannot run job root"],
    "asked-too-often": ["error: exceeded quota: compute", "error: port 429 is not open", "ERROR: read 429 of 1000 rows, then failed"],
    "licence-not-valid": ["INFO License: Apache-2.0\nerror: cannot open /x"],
    "value-with-quotes": ['error: invalid value "x" for option', "json: unexpected token '\"', expected ','", "Error: getaddrinfo ENOTFOUND redis"],
    "sqlite-file-refused": ["ERROR: cannot execute INSERT in a read-only transaction"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "log"), [(rule, log) for rule, logs in SILENT.items() for log in logs]
)
def test_like_words_that_mean_something_else(rule: str, log: str) -> None:
    assert rule not in rules(log)


@pytest.mark.parametrize("code", [134, 139])
def test_an_abort_of_a_runtime_is_no_crash_when_its_words_say_why(code: int) -> None:
    said = "Unhandled exception. System.IO.IOException: The configured user limit (128) on the number of inotify instances has been reached"
    assert rules(said, code) == ["inotify-limit"]


def test_a_program_of_another_processor_is_no_script() -> None:
    program = examination(
        state=exited(1), log="exec /app/server: exec format error\n", steps=steps()
    )
    (found,) = findings_of(CRASHLOOP, program)
    assert (found.rule, found.confidence) == ("command-not-executable", "certain")
    assert "another processor architecture" in found.remediation


def test_a_file_of_a_volume_is_a_script_whatever_it_is_called() -> None:
    seen = [*steps()[1:], step("mounts", stdout="mount /scripts\nfile /scripts/prepare\n")]
    one = examination(state=exited(1), log="exec /scripts/prepare: exec format error\n", steps=seen)
    assert [each.rule for each in findings_of(CRASHLOOP, one)] == [
        "script-without-interpreter-line"
    ]


def test_where_the_words_are_few_the_whole_line_is_told() -> None:
    one = examination(log="MongoServerError: Authentication failed.\n", steps=steps())
    (found,) = findings_of(CRASHLOOP, one)
    assert found.message == (
        "Container app exits with code 1 because the other side does not accept its credentials: "
        "MongoServerError: Authentication failed."
    )
