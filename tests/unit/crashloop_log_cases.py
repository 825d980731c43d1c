"""More pods for rules of the playbook crashloop: those that read the decisive line of a log, and
those about what the kubelet says of a start."""

from typing import Any

from runner.model.pod import ContainerState, PodCondition
from tests.unit.crashloop_cases import PULL
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import event, exited, running, waiting

HOOK = 'Exec lifecycle hook ([/bin/register]) for Container "app" failed: exec: "/bin/register": no such file'

BIND = """crit: Kestrel[0]
      Unable to start Kestrel.
Unhandled exception. System.Net.Sockets.SocketException (13): Permission denied
   at System.Net.Sockets.Socket.DoBind(EndPoint endPointSnapshot, SocketAddress socketAddress)
   at System.Net.Sockets.Socket.Bind(EndPoint localEP)
   at Program.<Main>$(String[] args) in /src/Program.cs:line 21
"""

CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "port-privileged-unnamed",
        {"state": exited(134), "log": BIND, "ports": [80], "steps": steps()},
        "Container app exits with code 134 because it may not listen on its port (the pod template names 80): ports below 1024 need root or NET_BIND_SERVICE.",
    ),
    (
        "file-missing-by-log",
        {
            "state": exited(1),
            "log": "Unhandled exception. System.IO.FileNotFoundException: The configuration file 'appsettings.Test.json' was not found and is not optional. The expected physical path was '/app/appsettings.Test.json'.\n   at Program.<Main>$(String[] args)\n",
            "steps": steps(),
        },
        "Container app exits with code 1 because, as its log says, /app/appsettings.Test.json cannot be found.",
    ),
    (
        "file-missing-by-log",
        {
            "log": "PHP Warning:  require(/srv/vendor/autoload.php): Failed to open stream: No such file or directory in /srv/artisan on line 18\n",
            "steps": steps(),
        },
        "Container app exits with code 1 because, as its log says, /srv/vendor/autoload.php cannot be found.",
    ),
    (
        "liveness-killed",
        {
            "state": running(), "liveness_probe": True, "steps": steps(),
            "events": [
                event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404"),
                event("Killing", "Container app failed liveness probe, will be restarted"),
                event("Unhealthy", 'Liveness probe failed: Get "http://10.1.2.3:8080/": dial tcp 10.1.2.3:8080: connect: connection refused'),
            ],
        },
        "The kubelet keeps killing container app because its liveness probe (GET / on port 8080) fails: HTTP probe failed with statuscode: 404.",
    ),
    (
        "permission-denied-unnamed",
        {"log": "1:M # Error moving temp file on its final destination: Permission denied\n", "mounts": ["/data", "/var/run/secrets/kubernetes.io/serviceaccount"], "steps": steps()},
        "Container app exits with code 1 because its user may not do what it tries: 1:M # Error moving temp file on its final destination: Permission denied (volumes are mounted at /data).",
    ),
    (
        "init-command-refused",
        {
            "init": True, "restarts": 0, "state": running(), "steps": steps(),
            "log": "nc: invalid option -- 'z'\nUsage: nc [-l] [HOST PORT]\n\t-e PROG\tRun PROG after connect\n" * 3,
        },
        "The pod does not start because its init container app still runs, and what it runs fails whatever it waits for: nc: invalid option -- 'z'.",
    ),
    (
        "init-command-refused",
        {
            "init": True, "restarts": 0, "state": running(), "steps": steps(),
            "log": "sh: pg_isready: not found\nwaiting for the database\n" * 3,
        },
        "The pod does not start because its init container app still runs, and what it runs fails whatever it waits for: sh: pg_isready: not found.",
    ),
    (
        # What is not found is what it waits for.
        "init-waits-by-its-log",
        {
            "init": True, "restarts": 0, "state": running(), "steps": steps(),
            "log": "table orders: relation not found yet\nwaiting\n" * 3,
        },
        "The pod does not start because its init container app still runs; its log says again and again: table orders: relation not found yet",
    ),
    (
        "readiness-port-closed",
        {
            "state": running(), "restarts": 0, "readiness_probe": True,
            "events": [event("Unhealthy", 'Readiness probe failed: Get "http://10.1.2.3:8080/": dial tcp 10.1.2.3:8080: connect: connection refused')],
            "steps": steps(sockets="listen 8000 all\nlisten 9000 loopback\n"),
        },
        "Container app runs but gets no traffic because its readiness probe asks port 8080, where nothing listens; open in the pod: 8000.",
    ),
    (
        # It listens there by now.
        "readiness-failing",
        {
            "state": running(), "restarts": 0, "readiness_probe": True,
            "events": [event("Unhealthy", "Readiness probe failed: dial tcp 10.1.2.3:8080: connect: connection refused")],
            "steps": steps(sockets="listen 8080 all\n"),
        },
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails: dial tcp 10.1.2.3:8080: connect: connection refused.",
    ),
    (
        "keystore-not-opened",
        {"log": "Caused by: java.io.IOException: keystore password was incorrect\n"},
        "Container app exits with code 1 because it cannot open its keystore or truststore: keystore password was incorrect",
    ),
    (
        "certificate-not-accepted",
        {"log": 'rpc error: desc = "authentication handshake failed: tls: x509: certificate is valid for a.example, not b.example"\n', "steps": steps()},
        "Container app exits with code 1 because it does not accept a certificate: certificate is valid for a.example, not b.example.",
    ),
    (
        "uncaught-exception",
        # Code, not configuration; and JSON.parse says which it was.
        {"log": "SyntaxError: Unexpected token '??='\n    at wrapSafe (loader.js:1053:16)\n", "steps": steps()},
        "Container app exits with code 1 after an error that its code does not handle: SyntaxError: Unexpected token '??='.",
    ),
    (
        "configuration-invalid",
        {"log": "SyntaxError: Unexpected token } in JSON at position 12\n    at JSON.parse (<anonymous>)\n", "steps": steps()},
        "Container app exits with code 1 because it does not understand its configuration: SyntaxError: Unexpected token } in JSON at position 12",
    ),
    (
        "module-missing",
        {"log": "Could not find pg-1.5.4 in locally installed gems\nRun `bundle install` to install missing gems.\n", "steps": steps()},
        "Container app exits with code 1 because the module or library pg-1.5.4 that it needs is not where it looks for it in image registry.example.com/shop/web:2.3.",
    ),
    (
        "api-kind-missing",
        {
            "log": 'ERROR setup problem running manager {"error": "no matches for kind \\"Gateway\\" in version \\"networking.example.io/v1\\""}\n',
            "steps": steps(),
        },
        "Container app exits with code 1 because it works with objects of kind Gateway (networking.example.io/v1), which the API server does not know: their CustomResourceDefinition is not installed, or not with this version.",
    ),
    (
        "command-not-found",
        {"state": exited(127), "log": "[FATAL tini (7)] exec /app/run failed: No such file or directory\n", "steps": steps()},
        "Container app does not start because its command /app/run is not in image registry.example.com/shop/web:2.3.",
    ),
    (
        "command-not-executable",
        {"state": exited(2), "log": "[dumb-init] /app/run: Permission denied\n", "steps": steps()},
        "Container app does not start because its command /app/run cannot be executed: Permission denied.",
    ),
    (
        "file-missing-by-log",
        {"log": 'nginx: [emerg] cannot load certificate "/tls/tls.crt": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen(/tls/tls.crt, r))\n', "steps": steps()},
        "Container app exits with code 1 because, as its log says, /tls/tls.crt cannot be found.",
    ),
    (
        # Where in its code, not whom it connects to.
        "uncaught-exception",
        {"log": "PHP Fatal error:  Uncaught mysqli_sql_exception: Connection refused in /srv/db.php:1987\n", "steps": steps()},
        "Container app exits with code 1 after an error that its code does not handle: mysqli_sql_exception: Connection refused in /srv/db.php:1987.",
    ),
    (
        "localhost-refused",
        {"log": "PSQLException: Connection to localhost:5432 refused. Check that the hostname and port are correct\n", "steps": steps()},
        "Container app exits with code 1 because, as its log says, localhost:5432 refuses connections: that is the pod itself (localhost), and nothing in it listens there.",
    ),
    (
        "localhost-refused",
        {"log": "dial tcp 127.0.0.1:6379: connect: connection refused\n", "steps": steps()},
        "Container app exits with code 1 because, as its log says, 127.0.0.1:6379 refuses connections: that is the pod itself (localhost), and nothing in it listens there.",
    ),
    (
        # Not every name that begins so.
        "connection-refused-by-log",
        {"log": "dial tcp localhost.shop:6379: connect: connection refused\n", "steps": steps()},
        "Container app exits with code 1 because, as its log says, localhost.shop:6379 refuses connections.",
    ),
    (
        "api-token-not-mounted",
        {"log": 'level=error msg="cannot load config" error="open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory"\n', "steps": steps()},
        "Container app exits with code 1 because it wants to use the Kubernetes API and /var/run/secrets/kubernetes.io/serviceaccount/token is not there: automountServiceAccountToken is false, in its pod template or in its ServiceAccount.",
    ),
    (
        # It is mounted: somebody took it away.
        "file-missing-by-log",
        {
            "log": "open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory\n",
            "mounts": ["/var/run/secrets/kubernetes.io/serviceaccount"], "steps": steps(),
        },
        "Container app exits with code 1 because, as its log says, /var/run/secrets/kubernetes.io/serviceaccount/token cannot be found.",
    ),
    (
        "memory-full-at-start",
        {
            "state": waiting("RunContainerError", "runc create failed: container init was OOM-killed (memory limit too low?): unknown"),
            "memory_limit": "64Mi", "steps": steps(),
        },
        "Container app is killed before its program runs: what counts against its memory limit of 64Mi has used it up already.",
    ),
    (
        "volume-not-mountable",
        {
            "state": waiting("ContainerCreating"), "restarts": 0,
            "events": [event("FailedMount", 'MountVolume.SetUp failed for volume "share" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs nfs.example:/x /y\nOutput: mount: /y: bad option; you might need a /sbin/mount.<type> helper program.\n', container="")],
        },
        "Container app does not start because volume share cannot be mounted: /y: bad option; you might need a /sbin/mount.<type> helper program.",
    ),
    (
        "refused-by-kubelet",
        {
            "state": ContainerState(), "restarts": 0, "phase": "Failed", "pod_reason": "SysctlForbidden",
            "pod_message": 'forbidden sysctl: "kernel.msgmax" not allowlisted',
        },
        'No container of the pod is started, because its node refuses it: forbidden sysctl: "kernel.msgmax" not allowlisted',
    ),
    (
        "probe-port-unknown",
        {
            "state": running(), "restarts": 0, "readiness_probe": True, "steps": steps(),
            "events": [event("Unhealthy", 'Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "web": invalid syntax')],
        },
        "Container app runs but gets no traffic because its readiness probe goes to a port called web, and no port of the container has that name.",
    ),
    (
        # Its stack names a file, too.
        "file-missing-by-log",
        {"log": '{"level":"error","error":"open /etc/web/key.pem: no such file or directory","stack":"main.main\\n\\t/src/main.go:88"}\n', "steps": steps()},
        "Container app exits with code 1 because, as its log says, /etc/web/key.pem cannot be found.",
    ),
    (
        "mounted-file-is-folder",
        {
            "log": "Error: read config: read /etc/web/app.yml: is a directory\nUsage:\n  web serve [flags]\n",
            "mounts": ["/etc/web/app.yml"], "steps": steps(mounts="mount /etc/web/app.yml\n"),
        },
        "Container app exits with code 1 because it wants to read /etc/web/app.yml, and what is mounted there is a folder.",
    ),
    (
        "mounted-file-is-folder",
        {
            "log": "IsADirectoryError: [Errno 21] Is a directory: '/etc/web/app.yml'\n",
            "mounts": ["/etc/web/app.yml"], "steps": steps(mounts="mount /etc/web/app.yml\n"),
        },
        "Container app exits with code 1 because it wants to read /etc/web/app.yml, and what is mounted there is a folder.",
    ),
    (
        # A folder of the image, or of a volume: not what was mounted.
        "uncaught-exception",
        {
            "log": "IsADirectoryError: [Errno 21] Is a directory: '/data/cache'\n",
            "mounts": ["/data"], "steps": steps(mounts="mount /data\ndir /data/cache\n"),
        },
        "Container app exits with code 1 after an error that its code does not handle: IsADirectoryError: [Errno 21] Is a directory: '/data/cache'.",
    ),
    (
        "library-missing",
        {
            "log": "EngineError: Unable to require(`/app/engine-musl.so.node`).\nDetails: Error loading shared library libssl.so.1.1: No such file or directory (needed by /app/engine-musl.so.node)\n",
            "steps": steps(),
        },
        "Container app exits with code 1 because the library libssl.so.1.1 that it needs is not in image registry.example.com/shop/web:2.3.",
    ),
    (
        "port-privileged",
        {
            "log": "(13)Permission denied: AH00072: make_sock: could not bind to address 0.0.0.0:80\nAH00015: Unable to open logs\n",
            "steps": steps(),
        },
        "Container app exits with code 1 because it may not listen on port 80: ports below 1024 need root or NET_BIND_SERVICE.",
    ),
    (
        # Above 1023 no privilege helps.
        "last-words",
        {"log": "(13)Permission denied: could not bind to address 0.0.0.0:8080\nbye\n", "steps": steps()},
        "Container app exits with code 1; its log says why: (13)Permission denied: could not bind to address 0.0.0.0:8080",
    ),
    (
        # What a database refuses is data, not configuration.
        "uncaught-exception",
        {
            "log": 'IntegrityError: duplicate key value violates unique constraint "users_key"\n',
            "steps": steps(),
        },
        'Container app exits with code 1 after an error that its code does not handle: IntegrityError: duplicate key value violates unique constraint "users_key".',
    ),
    (
        "private-key-readable",
        {
            "state": exited(255), "steps": steps(),
            "log": "Permissions 0644 for '/keys/id' are too open.\nLoad key: bad permissions\ngit@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n",
        },
        "Container app exits with code 255 because ssh ignores the private key /keys/id: others may read it (mode 644).",
    ),
    (
        "argument-not-expanded",
        {"env": ["DB_URL"], "command": ["/bin/app", "--db=$DB_URL"], "log": 'cannot parse "$DB_URL"\n', "steps": steps()},
        "Container app exits with code 1, and gets $DB_URL as it stands: no shell reads its command line, and Kubernetes replaces only $(DB_URL).",
    ),
    (
        "readiness-gate-open",
        {
            "state": running(), "ready": True, "restarts": 0,
            "pod_conditions": [PodCondition(type="Ready", status="False", reason="ReadinessGatesNotReady", message='corresponding condition of pod readiness gate "lb.example.com/web" does not exist.')],
        },
        "The containers are ready, but the pod gets no traffic: its readiness gate lb.example.com/web asks for a condition of that name, and nobody has set it.",
    ),
    (
        "image-pull-secret-missing",
        {
            "state": PULL,
            "events": [
                event("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (acme-pull); attempting to pull the image may not succeed.", container=""),
                event("Failed", "failed to resolve reference: not found"),
            ],
        },
        "Container app does not start because image registry.example.com/shop/web:2.3 cannot be pulled, and the Secret that should let it be pulled (acme-pull) cannot be had in namespace shop.",
    ),
    (
        "memory-limit-too-small",
        {
            "state": waiting("ContainerCreating"),
            "restarts": 0,
            "memory_limit": "512m",
            "events": [event("FailedMount", 'MountVolume.SetUp failed for volume "t" : write ca.crt: no space left on device', container="")],
        },
        "Container app does not start because its memory limit of 512m is thousandths of a byte (m means milli).",
    ),
    (
        "script-interpreter-missing",
        {
            "log": "exec /scripts/run.sh: no such file or directory\n",
            "mounts": ["/scripts"],
            "steps": steps(mounts="mount /scripts\nfile /scripts/run.sh\n"),
        },
        "Container app does not start because the interpreter that the first line of /scripts/run.sh names is not in image registry.example.com/shop/web:2.3: the script itself is there.",
    ),
    (
        "post-start-hook-fails",
        {"state": exited(137), "log": "serving\n", "events": [event("FailedPostStartHook", HOOK)]},
        f"The kubelet ends container app again and again because its postStart hook fails: {HOOK}",
    ),
    (
        "service-variable-taken",
        {"log": "ValueError: invalid literal for int() with base 10: 'tcp://10.96.3.4:6379'\n"},
        "Container app exits with code 1 because it wants a number and finds tcp://10.96.3.4:6379: for each Service NAME of the namespace Kubernetes sets a variable NAME_PORT (REDIS_PORT for a Service redis), and the application reads one of that name.",
    ),
    (
        "reference-not-expanded",
        {"log": "bye\n", "unexpanded": {"DB_URL": ["DB_HOST"]}},
        "Container app exits with code 1, and its variable DB_URL has $(DB_HOST) in it as it stands: there is no variable DB_HOST before DB_URL in its env.",
    ),
    (
        "authentication-failed",
        {"log": 'FATAL:  password authentication failed for user "shop"\n'},
        'Container app exits with code 1 because the other side does not accept its credentials: password authentication failed for user "shop".',
    ),
    (
        "authentication-failed",
        {"log": "request cookie JSESSIONID=[redacted:http-session:46c53178] rejected\n"},
        "Container app exits with code 1 because the other side does not accept its credentials: [redacted:http-session:46c53178] rejected.",
    ),
    (
        "database-missing",
        {"log": 'FATAL:  database "shop" does not exist\n'},
        "Container app exits with code 1 because, as its log says, the server has no database shop.",
    ),
    (
        "table-missing",
        {"log": 'ERROR:  relation "orders" does not exist\nLINE 1: select 1 from orders\n'},
        "Container app exits with code 1 because, as its log says, orders does not exist in its database: the schema is older than the program, or was never made.",
    ),
    (
        "migration-failed",
        {"log": "error: Dirty database version 12. Fix and force version.\n"},
        "Container app exits with code 1 because a migration of its database fails: Dirty database version 12. Fix and force version..",
    ),
    (
        "option-not-accepted",
        {"state": exited(2), "log": "usage: web [-h]\nweb: error: unrecognized arguments: --prot\n"},
        "Container app exits with code 2 because its command line is not accepted: unrecognized arguments: --prot.",
    ),
    (
        "module-missing",
        {"log": "ModuleNotFoundError: No module named 'flask'\n"},
        "Container app exits with code 1 because the module or library flask that it needs is not where it looks for it in image registry.example.com/shop/web:2.3.",
    ),
    (
        "heap-exhausted",
        {"state": exited(3), "log": "java.lang.OutOfMemoryError: Java heap space\n", "memory_limit": "1Gi"},
        "Container app exits with code 3 because it gets no more memory: java.lang.OutOfMemoryError: Java heap space. The kernel did not kill it: the limit is one of its own, below the container's 1Gi.",
    ),
    (
        "unhandled-exception",
        {"state": exited(134), "log": "Unhandled exception. System.ArgumentException: no rates\n   at A.B() in /src/B.cs:line 3\n"},
        "Container app ends with exit code 134 after an error that its code does not handle: System.ArgumentException: no rates",
    ),
    (
        "limit-reached",
        {"log": "OSError: [Errno 24] Too many open files\n"},
        "Container app exits with code 1 because it reaches a limit of open files: Too many open files.",
    ),
    (
        "value-not-accepted",
        {"log": 'strconv.Atoi: parsing "10k": invalid syntax\n'},
        'Container app exits with code 1 because a value is not of the kind that it wants: strconv.Atoi: parsing "10k": invalid syntax',
    ),
    (
        "configuration-invalid",
        {"log": "starting\nFATAL invalid config: replicas must be positive\n"},
        "Container app exits with code 1 because it does not understand its configuration: FATAL invalid config: replicas must be positive",
    ),
    (
        "init-still-running",
        {"state": running(), "restarts": 0, "init": True, "log": "starting\nwaiting for rabbitmq\n"},
        "The pod does not start because its init container app still runs. The last line of its log: waiting for rabbitmq",
    ),
    (
        "evicted",
        {"state": exited(137), "phase": "Failed", "pod_reason": "Evicted", "pod_message": 'Usage of EmptyDir volume "work" exceeds the limit "24Mi". ', "log": "packing\n"},
        'The kubelet evicted the pod: Usage of EmptyDir volume "work" exceeds the limit "24Mi".',
    ),
    (
        "exits-unexplained",
        {"state": exited(3), "log": ""},
        "Container app exits with code 3: the application chose this code; its documentation or log says why.",
    ),
]  # fmt: skip
