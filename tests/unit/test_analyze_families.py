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
    "deadlock-in-program": [
        "app.rb:9:in `join': No live threads left. Deadlock? (fatal)",
        "Found one Java-level deadlock:\n=============================",
    ],
    "versions-do-not-fit": [
        "Exception in thread \"main\" java.lang.NoSuchMethodError: 'void org.slf4j.Logger.atInfo()'",
        "Unhandled exception. System.MissingMethodException: Method not found: 'Void X.Y()'.",
        "SyntaxError: The requested module 'lodash' does not provide an export named 'merge'",
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88",
        "/app/server: symbol lookup error: /app/server: undefined symbol: PQsetSingleRowMode",
    ],
    "socket-file-missing": [
        "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock' (2)",
        "Error: connect ENOENT /var/run/app.sock",
        'psycopg2.OperationalError: connection to server on socket "/tmp/.s.PGSQL.5432" failed: No such file or directory',
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    ],
    "address-not-its-own": [
        "Error: listen EADDRNOTAVAIL: address not available 10.0.0.5:3000",
        "listen tcp 10.0.0.5:3000: bind: cannot assign requested address",
        "java.net.BindException: Cannot assign requested address (Bind failed)",
    ],
    "login-method-unknown": [
        "org.postgresql.util.PSQLException: The authentication type 10 is not supported. Check pg_hba.conf",
        "Error: ER_NOT_SUPPORTED_AUTH_MODE: Client does not support authentication protocol requested by server",
        "libpq: SCRAM authentication requires libpq version 10 or above",
    ],
    "proxy-refuses": [
        "fatal: proxyconnect tcp: dial tcp 10.1.1.1:3128: connect: connection refused",
        "requests.exceptions.ProxyError: HTTPSConnectionPool(host='x', port=443): Tunnel connection failed: 403 Forbidden",
    ],
    "key-not-readable": [
        "Error: error:1E08010C:DECODER routines::unsupported",
        "panic: asn1: structure error: tags don't match",
        "java.security.spec.InvalidKeySpecException: java.security.InvalidKeyException: invalid key format",
        "fatal: tls: failed to find any PEM data in certificate input",
        "ValueError: Could not deserialize key data. The data may be in an incorrect format",
    ],
    "stale-lock-file": [
        'FATAL:  lock file "postmaster.pid" already exists',
        "ERROR: Pidfile (celerybeat.pid) already exists.",
        "org.apache.lucene.store.LockObtainFailedException: Lock held by another program: /data/node.lock",
        "opening storage failed: lock DB directory: resource temporarily unavailable",
    ],
    "server-still-starting": [
        "redis.exceptions.BusyLoadingError: LOADING Redis is loading the dataset in memory",
        "error: the database system is not yet accepting connections",
        "pg: FATAL: the database system is in recovery mode",
    ],
    "unknown-to-server": [
        "io.grpc.StatusRuntimeException: UNIMPLEMENTED: Method not found: orders.v1.Orders/List",
    ],
    "schema-not-made": [
        "fatal: database has not been initialized",
        "error: schema version is out of date, run `app migrate` first",
    ],
    "heap-exhausted": [
        'Exception in thread "nio-1" java.lang.OutOfMemoryError: Cannot reserve 16777216 bytes of direct buffer memory',
    ],
    "authentication-failed": [
        "sso: ldap_bind: Invalid credentials (49)\n\tadditional info: 80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e",
    ],
    "data-of-another-cluster": [
        "InconsistentBrokerIdException: Configured broker.id 2 doesn't match stored broker.id Some(1) in meta.properties.",
    ],
    "data-directory-not-empty": [
        "[ERROR] [MY-010457] [Server] --initialize specified but the data directory has files in it. Aborting.",
    ],
    "held-by-earlier-run": ['level=fatal msg="Error acquiring the state lock: ConditionalCheckFailedException"'],
    "read-only-file-system": [
        "mkdir wal: read-only file system",
        "Fatal: Unable to open locking directory: Failed to open '/tmp/dotnet/shm': read only",
    ],
    "connection-refused-by-log": [
        "Redis::CannotConnectError: Error connecting to Redis on redis:6379 (Errno::ECONNREFUSED)",
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
        "Error opening zip file or JAR manifest missing : /otel/agent.jar\nagent library failed to init: instrument",
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


# Said on the way, and not why it ended.
ASIDE = {
    "characters-beyond-ascii": "bash: warning: setlocale: LC_ALL: cannot change locale (en_US.UTF-8)",
    "time-zone-unknown": "WARN unknown time zone Europe/Kyiv, using UTC",
    "licence-not-valid": "no license key found, running the community edition",
    "cloud-credentials-missing": "unable to locate credentials, uploads are off",
    "client-certificate-wanted": "[warn] client certificate missing, anonymous access",
    "address-family-missing": "2026-11-28 08:00:00 INFO socket() [::]:80: Address family not supported by protocol",
    "refuses-root": "sh: warning: do not run npm as root",
    "proxy-refuses": "connecting through proxy http://p:3128 failed: 503, trying direct",
    "tls-on-one-side-only": "SSL is not enabled on the server socket",
    "inotify-limit": "inotify: no user watches left, polling instead",
    "key-not-readable": "no PEM data in /certs/old",
}  # fmt: skip


@pytest.mark.parametrize(("rule", "line"), ASIDE.items(), ids=ASIDE)
def test_what_is_said_aside_is_no_cause(rule: str, line: str) -> None:
    end = 'FATAL: password authentication failed for user "shop"'
    assert rules(f"{line}\n{end}") == ["authentication-failed"]


SILENT = {
    # what a database refuses is data; a port is no user, and a number no status
    "characters-beyond-ascii": ["error: invalid input: only ASCII letters are allowed in a name"],
    "time-zone-unknown": ["error: no time left", "error: invalid zone file"],
    "inotify-limit": ["OSError: [Errno 28] No space left on device: '/data/x'", "accept: too many open files"],
    "client-certificate-wanted": ["x509: certificate has expired or is not yet valid"],
    "tls-on-one-side-only": ['FATAL: password authentication failed for user "a"'],
    "cloud-permission-missing": ["error: permission denied for table orders"],
    "needs-root": ["error: root element is required in pom.xml", "unshare: Operation not permitted"],
    "refuses-root": ["error: cannot run job root"],
    "asked-too-often": ["error: exceeded quota: compute", "error: port 429 is not open", "ERROR: read 429 of 1000 rows, then failed"],
    "licence-not-valid": ["INFO License: Apache-2.0\nerror: cannot open /x"],
    "value-with-quotes": ['error: invalid value "x" for option', "json: unexpected token '\"', expected ','", "Error: getaddrinfo ENOTFOUND redis"],
    "versions-do-not-fit": ["ImportError: No module named werkzeug"],
    "socket-file-missing": ["error: open /run/app/config: no such file or directory"],
    "address-not-its-own": ["dial tcp [::1]:5432: connect: connection refused"],
    "environment-too-large": ["error: argument list is empty"],
    "proxy-refuses": ["error: GET /x: 407 rows affected", "nginx: proxy_pass is not allowed here"],
    "key-not-readable": ["error: primary key constraint failed", "cannot read key from map"],
    "stale-lock-file": ["error: port 80 already in use", "waiting: another job is running"],
    "server-still-starting": ["INFO server is starting\nfatal: cannot parse config"],
    "schema-not-made": ["error: cannot open database file"],
    "file-missing-by-log": ["error: failed to open /srv/app.db: database is locked", "DBI failed: x.so: No such file or directory at /app/ledger.pl line 14."],
    "data-directory-not-empty": ["error: the list is not empty"],
    "file-open-to-others": ["error: file must be owned by the group"],
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


def test_what_a_pod_sets_by_itself_is_empty_only_where_the_program_says_so() -> None:
    said = {"TENANT is empty": "variable-empty", "TENANT is not set": "last-words"}
    for words, rule in said.items():
        one = examination(env=["TENANT"], log=f"fatal: {words}\n", steps=steps())
        assert [each.rule for each in findings_of(CRASHLOOP, one)] == [rule]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("FATAL: the LDAP server ldaps://ad:636 returned: Can't contact LDAP server", "It speaks of another side"),
        ("django.core.exceptions.ImproperlyConfigured: The key must not be empty.", "It speaks of its configuration"),
        ("RuntimeException: requirement failed: no encryption key", "It speaks of its configuration"),
        ("FATAL: something else", "The line says what the application could not do"),
    ],
)  # fmt: skip
def test_what_no_rule_knows_has_an_advice_of_its_kind(line: str, advice: str) -> None:
    (found,) = findings_of(CRASHLOOP, examination(log=f"{line}\n", steps=steps()))
    assert found.rule in ("last-words", "uncaught-exception")
    assert found.remediation.startswith(advice)
    assert ".." not in found.message


def test_the_line_before_says_nothing_of_this_one() -> None:
    log = 'Data page checksums are disabled.\ninitdb: error: directory "/data" exists but is not empty'
    assert rules(log) == ["data-directory-not-empty"]


def test_usage_after_an_error_is_not_the_reason() -> None:
    assert rules("Error: cannot open the ledger\nUsage:\n  ledger serve [flags]") == ["last-words"]
    assert rules("Usage:\n  ledger serve [flags]\n") == ["usage-shown"]
