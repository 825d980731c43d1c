"""One pod for each rule of the playbook crashloop, and what is said of it."""

from typing import Any

from runner.model.changes import Difference
from runner.model.examination import TargetCondition
from runner.model.pod import ContainerState, PodCondition
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import event, exited, running, waiting

PULL = waiting("ImagePullBackOff", 'Back-off pulling image "registry.example.com/shop/web:2.3"')
CONFIG = "CreateContainerConfigError"


def pending(message: str, reason: str = "Unschedulable") -> dict[str, Any]:
    """A pod that the scheduler says this of."""
    said = PodCondition(type="PodScheduled", status="False", reason=reason, message=message)
    return {
        "state": ContainerState(), "restarts": 0, "phase": "Pending", "pod_conditions": [said],
    }  # fmt: skip


WENT = Difference(path="containers[app].env[GREETING]", before="(not shown)", after=None)

AGENT_REJECTED = "ERROR auth: error authenticating: denied\n" * 6

# id of the rule, the pod, its sentence
CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "variable-removed",
        {"log": "starting\nGREETING is not set\n", "changes": [WENT]},
        "Container app exits with code 1 since its pod template has no environment variable GREETING any more, which its log names.",
    ),
    (
        "image-name-invalid",
        {"state": waiting("InvalidImageName", "couldn't parse image name"), "restarts": 0},
        'Container app does not start because "registry.example.com/shop/web:2.3" is no valid image name.',
    ),
    (
        "image-never-pulled",
        {"state": waiting("ErrImageNeverPull", "is not present"), "restarts": 0},
        "Container app does not start because image registry.example.com/shop/web:2.3 is not on the node and its imagePullPolicy is Never.",
    ),
    (
        "image-rate-limited",
        {"state": PULL, "events": [event("Failed", "toomanyrequests: You have reached your pull rate limit")]},
        "Container app does not start because the registry refuses further pulls of registry.example.com/shop/web:2.3 for now (rate limit).",
    ),
    (
        "image-unauthorized",
        {"state": PULL, "events": [event("Failed", "pull access denied, repository does not exist or may require authorization")]},
        "Container app does not start because the registry does not let the node pull registry.example.com/shop/web:2.3: credentials are missing or wrong, or the repository does not exist.",
    ),
    (
        "image-registry-unreachable",
        {"state": PULL, "events": [event("Failed", "dial tcp: lookup registry.example.com: no such host")]},
        "Container app does not start because the node cannot reach the registry of registry.example.com/shop/web:2.3: no such host.",
    ),
    (
        "image-not-found",
        {
            "state": waiting(
                "ErrImagePull",
                'rpc error: code = NotFound desc = failed to pull and unpack image "registry.example.com/shop/web:2.3": not found',
            )
        },
        "Container app does not start because image registry.example.com/shop/web:2.3 does not exist in its registry.",
    ),
    (
        "image-pull",
        {"state": PULL},
        "Container app does not start because image registry.example.com/shop/web:2.3 cannot be pulled.",
    ),
    (
        "config-object-missing",
        {"state": waiting(CONFIG, 'configmap "web-config" not found')},
        "Container app does not start because the ConfigMap web-config does not exist in namespace shop.",
    ),
    (
        "config-object-missing",
        {"state": waiting(CONFIG, 'secret "web-keys" not found')},
        "Container app does not start because the Secret web-keys does not exist in namespace shop.",
    ),
    (
        "config-key-missing",
        {"state": waiting(CONFIG, "couldn't find key url in Secret shop/web-keys")},
        "Container app does not start because the Secret web-keys has no key url.",
    ),
    (
        "runs-as-root",
        {"state": waiting(CONFIG, "container has runAsNonRoot and image will run as root (pod: x)")},
        "Container app does not start because the pod demands a user other than root (runAsNonRoot) and the image does not name one by number.",
    ),
    (
        "config-error",
        {"state": waiting(CONFIG, "something else")},
        "Container app does not start: something else.",
    ),
    (
        "volume-not-mountable",
        {
            "state": waiting("ContainerCreating"),
            "restarts": 0,
            "events": [event("FailedMount", 'MountVolume.SetUp failed for volume "conf" : configmap "c" not found', container="")],
        },
        'Container app does not start because volume conf cannot be mounted: configmap "c" not found.',
    ),
    (
        "unschedulable",
        pending("0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. no new claims"),
        "The pod waits for a node: 0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. no new claims",
    ),
    (
        "resources-insufficient",
        pending("0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found."),
        "The pod waits for a node because none that it tolerates has as much cpu left as it requests.",
    ),
    (
        "resources-insufficient",
        pending("0/9 nodes are available: 1 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 5 node(s) had untolerated taint(s)."),
        "The pod waits for a node because none that it tolerates has as much nvidia.com/gpu left as it requests.",
    ),
    (
        "taint-not-tolerated",
        pending("0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: batch}. no new claims to deallocate."),
        "The pod waits for a node because all 2 nodes have a taint that it does not tolerate (dedicated: batch).",
    ),
    (
        "taint-not-tolerated",
        pending("0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
        "The pod waits for a node because the only node has a taint that it does not tolerate.",
    ),
    (
        "selector-matches-no-node",
        pending("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate."),
        "The pod waits for a node because none that it tolerates has the labels that its nodeSelector or node affinity asks for.",
    ),
    (
        "volume-claim-missing",
        pending('0/1 nodes are available: persistentvolumeclaim "data" not found. not found'),
        "The pod waits for a node because its PersistentVolumeClaim data does not exist in namespace shop.",
    ),
    (
        "volume-claim-missing",
        pending('0/1 nodes are available: persistentvolumeclaim "data" is being deleted.'),
        "The pod waits for a node because its PersistentVolumeClaim data is being deleted.",
    ),
    (
        "volume-claim-unbound",
        pending("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"),
        "The pod waits for a node because one of its PersistentVolumeClaims is not bound to a volume.",
    ),
    (
        "storage-class-missing",
        {**pending("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"),
         "events": [event("ProvisioningFailed", 'storageclass.storage.k8s.io "gold" not found', container="")]},
        "The pod waits for a node because one of its PersistentVolumeClaims wants a volume of the StorageClass gold, which this cluster does not have.",
    ),
    (
        "volume-not-provided",
        {**pending("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"),
         "events": [event("FailedBinding", "no persistent volumes available for this claim and no storage class is set", container="")]},
        "The pod waits for a node because one of its PersistentVolumeClaims gets no volume: no persistent volumes available for this claim and no storage class is set.",
    ),
    *(
        ("one-reason-on-all-nodes", pending(f"0/2 nodes are available: 1 {why}, 1 node(s) had untolerated taint(s). no new claims."), message)
        for why, message in (
            ("node(s) didn't have free ports for the requested pod ports", "The pod waits for a node because the host port that its containers ask for (hostPort) is taken on every node that it may run on."),
            ("node(s) didn't match pod anti-affinity rules", "The pod waits for a node because its required pod anti-affinity forbids every node that it may run on: a pod that it must not share one with is there already."),
            ("node(s) didn't satisfy existing pods anti-affinity rules", "The pod waits for a node because pods on every node that it may run on do not want it beside them (their required anti-affinity)."),
            ("node(s) were unschedulable", "The pod waits for a node because all nodes that it may run on are cordoned: they take no new pods."),
        )
    ),
    (
        "unschedulable",
        pending("0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't have free ports for the requested pod ports. none"),
        "The pod waits for a node: 0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't have free ports for the requested pod ports. none",
    ),
    (
        "resources-insufficient",
        # The claim was bound since.
        {**pending("0/3 nodes are available: 3 Insufficient cpu. preemption: none."),
         "events": [event("ProvisioningFailed", 'storageclass.storage.k8s.io "gold" not found', container="")]},
        "The pod waits for a node because none that it tolerates has as much cpu left as it requests.",
    ),
    (
        "scheduling-gated",
        pending("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated"),
        "No scheduler looks at the pod while it has scheduling gates: Scheduling is blocked due to non-empty scheduling gates",
    ),
    (
        "sandbox-not-created",
        {
            "state": waiting("ContainerCreating"), "restarts": 0, "phase": "Pending",
            "events": [event("FailedCreatePodSandBox", 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "abc": plugin type="bridge" failed (add): no address', container="")],
        },
        'Container app does not begin because node node-1 cannot set up the pod: failed to setup network for sandbox "abc": plugin type="bridge" failed (add): no address.',
    ),
    (
        "command-not-found",
        {"state": waiting("RunContainerError", 'exec: "/app/srv": stat /app/srv: no such file or directory: unknown')},
        "Container app does not start because its command /app/srv is not in image registry.example.com/shop/web:2.3.",
    ),
    (
        "command-not-found",
        {"state": exited(128, "StartError", 'exec: "srv": executable file not found in $PATH: unknown')},
        "Container app does not start because its command srv is not in image registry.example.com/shop/web:2.3.",
    ),
    (
        "post-start-hook-fails",
        {
            # The words of the runtime are about the hook's command.
            "state": waiting("PostStartHookError", 'exec: "/app/hook": stat /app/hook: no such file or directory: unknown'),
            "events": [event("FailedPostStartHook", "PostStartHook failed")],
            "log": "serving\n",
        },
        "The kubelet ends container app again and again because its postStart hook fails: PostStartHook failed",
    ),
    (
        "command-not-executable",
        {"state": waiting("RunContainerError", 'exec: "/etc/passwd": permission denied: unknown')},
        "Container app does not start because its command /etc/passwd cannot be executed: permission denied.",
    ),
    (
        "command-not-executable",
        {"log": "exec /usr/local/bin/srv: exec format error\n"},
        "Container app does not start because its command /usr/local/bin/srv cannot be executed: exec format error.",
    ),
    (
        "start-failed",
        {"state": waiting("CreateContainerError", "seccomp profile not found")},
        "Container app cannot be started: seccomp profile not found",
    ),
    (
        "out-of-memory",
        {"state": exited(137, "OOMKilled"), "memory_limit": "64Mi", "log": "loading\n"},
        "Container app was killed because it used more memory than its limit of 64Mi.",
    ),
    (
        "out-of-memory",
        {"state": waiting("CrashLoopBackOff"), "last": exited(137, "OOMKilled"), "log": "loading\n"},
        "Container app was killed because it used more memory than there was on its node.",
    ),
    (
        "liveness-killed-unsaid",
        {
            "state": exited(137), "log": "serving\n", "liveness_probe": True,
            "events": [event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")],
        },
        "Container app is killed again and again (exit code 137), and its liveness probe (GET / on port 8080) fails: HTTP probe failed with statuscode: 500.",
    ),
    (
        "liveness-killed-perhaps",
        {"state": exited(137), "log": "serving\n", "liveness_probe": True},
        "Container app is killed again and again (exit code 137), not for memory: most likely by the kubelet because its liveness probe fails. No event that was read says so.",
    ),
    (
        "liveness-killed",
        {
            "state": exited(137), "log": "serving\n", "liveness_probe": True,
            "events": [
                event("Unhealthy", "Liveness probe failed: ", count=3),
                event("Killing", "Container app failed liveness probe, will be restarted"),
            ],
        },
        "The kubelet keeps killing container app because its liveness probe (GET / on port 8080) fails.",
    ),
    (
        "liveness-killed",
        {
            "state": exited(137),
            "log": "serving\n",
            "events": [
                event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500", count=3),
                event("Killing", "Container app failed liveness probe, will be restarted"),
            ],
        },
        "The kubelet keeps killing container app because its liveness probe fails: HTTP probe failed with statuscode: 500.",
    ),
    (
        "crashed-natively",
        {"state": exited(139), "log": ""},
        "Container app ends with exit code 139: it crashed on an invalid memory access (segmentation fault) (SIGSEGV).",
    ),
    (
        "cluster-dns-down",
        {"log": "cannot resolve\n", "steps": steps(dns="cluster=yes\nkubernetes=timeout\n", endpoints="endpoint env:DB db 5432 dns=timeout tcp=none\n")},
        "Inside the pods, kubernetes.default.svc does not resolve (no answer): no host name does.",
    ),
    (
        "host-unresolvable",
        {"log": "lookup db.shop on 10.96.0.10:53: no such host\n", "steps": steps("endpoint env:DB_URL db.shop 5432 dns=fail tcp=none\n")},
        "Container app exits with code 1 because the host db.shop (env:DB_URL) does not resolve.",
    ),
    (
        "host-unresolvable-unnamed",
        {"log": "socket.gaierror: [Errno -2] Name or service not known\n", "steps": steps("endpoint env:DB_URL db.shop 5432 dns=fail tcp=none\n")},
        'Container app exits with code 1 after "socket.gaierror: [Errno -2] Name or service not known", and the host db.shop (env:DB_URL) of its configuration does not resolve.',
    ),
    (
        "connection-refused",
        {"log": "could not connect to the queue\n", "steps": steps("endpoint args queue 5672 dns=ok tcp=refused\n")},
        "Container app exits with code 1 because queue:5672 (args) refuses connections: nothing listens there.",
    ),
    (
        "connection-timed-out",
        {"log": "amqp://queue:5672: context deadline exceeded\n", "steps": steps("endpoint env:Q queue 5672 dns=ok tcp=timeout\n")},
        "Container app exits with code 1 because queue:5672 (env:Q) does not answer.",
    ),
    (
        "connection-unnamed",
        {"log": "context deadline exceeded\n", "steps": steps("endpoint env:Q queue 5672 dns=ok tcp=timeout\n")},
        'Container app exits with code 1 after "context deadline exceeded", and queue:5672 (env:Q) of its configuration does not accept connections (timeout).',
    ),
    (
        "not-the-clusters-dns",
        {
            "log": "Error: getaddrinfo ENOTFOUND cache\n",
            "steps": steps("endpoint env:CACHE cache 6379 dns=fail tcp=none\n", dns="nameserver 10.0.0.2\ncluster=no\n"),
        },
        "Container app exits with code 1 because the host cache (env:CACHE) does not resolve: the /etc/resolv.conf of its pod is not that of the cluster's DNS.",
    ),
    (
        "not-the-clusters-dns",
        {
            "host_network": True,
            "log": "dial tcp: lookup db.shop.svc: no such host\n",
            "steps": steps("endpoint env:DB db.shop.svc 5432 dns=fail tcp=none\n", dns="cluster=no\n"),
        },
        "Container app exits with code 1 because the host db.shop.svc (env:DB) does not resolve: the /etc/resolv.conf of its pod is not that of the cluster's DNS but that of its node, whose network it uses.",
    ),
    (
        # A name of the world outside: any DNS should tell it.
        "host-unresolvable",
        {
            "log": "Error: getaddrinfo ENOTFOUND api.example.com\n",
            "steps": steps("endpoint env:API api.example.com 443 dns=fail tcp=none\n", dns="cluster=no\n"),
        },
        "Container app exits with code 1 because the host api.example.com (env:API) does not resolve.",
    ),
    (
        "file-missing",
        {
            "log": "open /etc/web/config.yaml: no such file or directory\n",
            "mounts": ["/etc/web"],
            "steps": steps(mounts="mount /etc/web\ntotal 0\nfile /etc/web/settings.yaml\n"),
        },
        "Container app exits with code 1 because /etc/web/config.yaml does not exist: it is not in the volume mounted there.",
    ),
    (
        "port-privileged",
        {"log": "listen tcp 0.0.0.0:80: bind: permission denied\n"},
        "Container app exits with code 1 because it may not listen on port 80: ports below 1024 need root or NET_BIND_SERVICE.",
    ),
    (
        "port-in-use",
        {"log": "Error: listen EADDRINUSE: address already in use 0.0.0.0:8080\n"},
        "Container app exits with code 1 because, as its log says, port 8080 is already in use.",
    ),
    (
        "permission-denied",
        {"log": "PermissionError: [Errno 13] Permission denied: '/data/cache'\n"},
        "Container app exits with code 1 because its user may not use /data/cache.",
    ),
    (
        "port-taken",
        {
            "command": ["sh", "-c", "exec serve --port 8081"],
            "log": "OSError: [Errno 98] Address already in use\n",
            "steps": steps(sockets="listen 808 all\nlisten 8081 all\n"),
        },
        "Container app exits with code 1 because port 8081, which its command or its ports name, is already in use: something in the pod listens there.",
    ),
    (
        "init-waits-for-name",
        {
            "init": True,
            "restarts": 0,
            "state": running(),
            "log": "still waiting\n",
            "steps": steps("endpoint command db 5432 dns=fail tcp=none\n"),
        },
        "The pod does not start because its init container app still runs, and the host db that it names (command) does not resolve.",
    ),
    (
        "init-waits-for-port",
        {
            "init": True,
            "restarts": 0,
            "state": running(),
            "log": "still waiting\n",
            "steps": steps("endpoint env:DB db 5432 dns=ok tcp=refused\n"),
        },
        "The pod does not start because its init container app still runs, and db:5432 that it names (env:DB) refuses connections.",
    ),
    (
        "address-in-use",
        {"log": "    self.socket.bind(self.server_address)\nOSError: [Errno 98] Address already in use\n"},
        "Container app exits with code 1 because, as its log says, the address it wants to listen on is already in use.",
    ),
    (
        "read-only-file-system",
        {"log": "OSError: [Errno 30] Read-only file system: '/app/tmp'\n"},
        "Container app exits with code 1 because it writes to /app/tmp, which is read-only.",
    ),
    (
        "api-forbidden",
        {
            "log": 'E1126 03:00:02 reflector.go:147] Failed to watch *v1.ConfigMap: configmaps is forbidden: User "system:serviceaccount:prod:default" cannot list resource "configmaps" in API group ""\n'
        },
        "Container app exits with code 1 because system:serviceaccount:prod:default is forbidden to list configmaps.",
    ),
    (
        "certificate-not-accepted",
        {"log": 'level=fatal error="tls: x509: certificate has expired or is not yet valid"\n'},
        "Container app exits with code 1 because it does not accept a certificate: certificate has expired.",
    ),
    (
        "operation-not-permitted",
        {"log": "chown: /run/sock: Operation not permitted\n"},
        "Container app exits with code 1 because an operation is not permitted to it: chown: /run/sock.",
    ),
    (
        "disk-full",
        {"log": "write failed: No space left on device\n"},
        "Container app exits with code 1 because a disk or volume it writes to is full.",
    ),
    (
        "shell-command-not-found",
        {"state": exited(127), "log": "sh: 1: migrate: not found\n"},
        "Container app exits with code 127 because the command migrate is not in image registry.example.com/shop/web:2.3.",
    ),
    (
        "shell-syntax-error",
        {"state": exited(2), "log": 'sh: syntax error: unexpected "("\n'},
        'Container app exits with code 2 because its shell does not understand the script that it is given: syntax error: unexpected "(".',
    ),
    (
        "shell-syntax-error",
        {"state": exited(2), "log": "starting\n/app/run.sh: 3: Syntax error: Unterminated quoted string\n"},
        "Container app exits with code 2 because its shell does not understand the script that it is given (/app/run.sh, line 3): Syntax error: Unterminated quoted string.",
    ),
    (
        "configuration-invalid",
        {"log": "/etc/bind/named.conf:3: syntax error near '}'\n"},
        "Container app exits with code 1 because it does not understand its configuration: /etc/bind/named.conf:3: syntax error near '}'",
    ),
    (
        "shell-syntax-error",
        {"state": exited(1), "log": "bash: -c: line 1: unexpected EOF while looking for matching `\"'\n"},
        "Container app exits with code 1 because its shell does not understand the script that it is given (line 1): unexpected EOF while looking for matching `\"'.",
    ),
    (
        "uncaught-exception",
        {"log": 'Traceback (most recent call last):\n  File "a.py", line 3\nValueError: invalid literal for int()\n'},
        "Container app exits with code 1 after an error that its code does not handle: ValueError: invalid literal for int().",
    ),
    (
        "uncaught-exception",
        {"state": exited(2), "log": "panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\n"},
        "Container app exits with code 2 after an error that its code does not handle: runtime error: index out of range [3].",
    ),
    (
        "probe-command-missing",
        {
            "state": running(),
            "restarts": 0,
            "readiness_probe": True,
            "events": [
                event(
                    "Unhealthy",
                    'Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: unable to start container process: exec: "pg_isready": executable file not found in $PATH: unknown',
                )
            ],
        },
        "Container app runs but gets no traffic because its readiness probe runs pg_isready, which its image cannot run: executable file not found in $PATH.",
    ),
    (
        "readiness-failing",
        {
            "state": running(),
            "restarts": 0,
            "readiness_probe": True,
            "events": [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
        },
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails: HTTP probe failed with statuscode: 503.",
    ),
    (
        "neighbour-keeps-it-waiting",
        {
            "state": running(), "restarts": 0, "readiness_probe": True, "log": "waiting for /secrets/db\n",
            "events": [event("Unhealthy", "Readiness probe failed: ")],
            "beside": {"agent": (running(), AGENT_REJECTED)},
        },
        "Container app runs but is not ready, and container agent of the same pod says again and again: ERROR auth: error authenticating: denied",
    ),
    (
        "readiness-failing",
        # Its probe says itself what is wrong.
        {
            "state": running(), "restarts": 0, "readiness_probe": True,
            "events": [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")],
            "beside": {"agent": (running(), AGENT_REJECTED)},
        },
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails: HTTP probe failed with statuscode: 404.",
    ),
    (
        "probe-host-refused",
        {
            "state": running(),
            "restarts": 0,
            "readiness_probe": True,
            "log": "Invalid HTTP_HOST header: '10.1.2.3:80'. You may need to add '10.1.2.3' to ALLOWED_HOSTS.\nBad Request: /up\n",
            "events": [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 400")],
        },
        "Container app runs but gets no traffic because its probe asks by the pod's address, which the application does not accept as Host: Invalid HTTP_HOST header: '10.1.2.3:80'. You may need to add '10.1.2.3' to ALLOWED_HOSTS.",
    ),
    (
        "readiness-failing",
        # Somebody else was refused; its probe fails for another cause.
        {
            "state": running(),
            "restarts": 0,
            "readiness_probe": True,
            "log": "Invalid HTTP_HOST header: 'evil.example'.\nstarting workers\n",
            "events": [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
        },
        "Container app runs but gets no traffic because its readiness probe (GET / on port 8080) fails: HTTP probe failed with statuscode: 503.",
    ),
    (
        "last-words",
        {"log": "starting\nFATAL: the leap year was not expected\n"},
        "Container app exits with code 1; its log says why: FATAL: the leap year was not expected",
    ),
    (
        "host-unresolvable-unmentioned",
        {"log": "bye\n", "steps": steps("endpoint env:DB_URL db.shop 5432 dns=fail tcp=none\n")},
        "Container app exits with code 1, and the host db.shop (env:DB_URL) of its configuration does not resolve.",
    ),
    (
        "connection-unmentioned",
        {"log": "bye\n", "steps": steps("endpoint env:DB_URL db.shop 5432 dns=ok tcp=refused\n")},
        "Container app exits with code 1, and db.shop:5432 (env:DB_URL) of its configuration does not accept connections (refused).",
    ),
    (
        "exits-successfully",
        {"state": exited(0, "Completed"), "conditions": [TargetCondition.CRASH_LOOP_BACK_OFF], "log": "done\n"},
        "Container app is restarted again and again because its process ends by itself, with exit code 0 (success); with restartPolicy Always it is expected to keep running.",
    ),
    (
        "exits-successfully-perhaps",
        {
            "state": exited(0, "Completed"), "conditions": [TargetCondition.CRASH_LOOP_BACK_OFF],
            "log": "signal 15 (SIGTERM) received, exiting\n", "liveness_probe": True,
        },
        "Container app is restarted again and again after exit code 0 (success): its process ends by itself, or the kubelet ends it because its liveness probe (GET / on port 8080) fails. No event that was read says which.",
    ),
    (
        "exits-successfully-perhaps",
        {
            "state": exited(0, "Completed"), "conditions": [TargetCondition.CRASH_LOOP_BACK_OFF],
            "log": "done\n", "startup_probe": True, "unknown": {"events": "forbidden: list events"},
        },
        "Container app is restarted again and again after exit code 0 (success): its process ends by itself, or the kubelet ends it because its startup probe (GET / on port 8080) fails. No event that was read says which.",
    ),
    (
        "mount-folder-over-file",
        {
            "state": waiting(
                "RunContainerError",
                'runc create failed: unable to start container process: error during container init: error mounting "/var/lib/kubelet/pods/1e72b971/volume-subpaths/conf/app/0" to rootfs at "/etc/nginx/nginx.conf": mount src=/var/lib/kubelet/pods/1e72b971/volume-subpaths/conf/app/0, dst=/etc/nginx/nginx.conf, flags=0x5001: not a directory: unknown',
            ),
        },
        "Container app does not start because volume conf mounts a folder at /etc/nginx/nginx.conf, which is a file in image registry.example.com/shop/web:2.3, or a file over a folder.",
    ),
    (
        "mount-folder-over-file",
        {
            "state": waiting("CrashLoopBackOff"),
            "last": exited(
                128,
                "StartError",
                'error mounting "/var/lib/kubelet/pods/1e72b971/volumes/kubernetes.io~configmap/conf" to rootfs at "/etc/nginx/nginx.conf": mount /var/lib/kubelet/pods/1e72b971/volumes/kubernetes.io~configmap/conf:/etc/nginx/nginx.conf (via /proc/self/fd/6), flags: 0x5001: not a directory: unknown',
            ),
        },
        "Container app does not start because volume conf mounts a folder at /etc/nginx/nginx.conf, which is a file in image registry.example.com/shop/web:2.3, or a file over a folder.",
    ),
    (
        "post-start-hook-runs",
        {
            "state": waiting("ContainerCreating"), "restarts": 0,
            "spec": {"lifecycle": {"postStart": {"exec": {"command": ["register", "--wait"]}}}},
            "events": [event("Started", "Started container app")],
        },
        "Container app was started, but does not count as running because its postStart hook register --wait has not ended.",
    ),
    (
        "exits",
        {"state": exited(3), "log": "bye\n"},
        "Container app exits with code 3: the application chose this code; its documentation or log says why. The last line of its log: bye",
    ),
    (
        "not-ready",
        {"state": running(), "restarts": 0},
        "Container app runs but is not ready.",
    ),
]  # fmt: skip
