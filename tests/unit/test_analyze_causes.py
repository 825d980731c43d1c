"""What the playbooks say where the cluster itself holds the rest of a cause, and where they hold
back."""

from typing import Any

import pytest

from runner.model.pod import Heap, Trusted, Volume, VolumeMount
from runner.model.report import StepOutcome
from runner.playbook import resolve
from tests.unit.crashloop_cases import pending
from tests.unit.crashloop_cause_cases import GATEWAY, REFUSED, UPSTREAM, not_ready
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import event, examination, exited, findings_of, running, step

CRASHLOOP, TRIAGE = resolve("crashloop"), resolve("triage")
DEFAULTED = {
    "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container app; "
    "cpu, memory limit for container app; memory limit for container other"
}
ANTI_AFFINITY = "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."


def first(**pod: Any) -> tuple[str, str, str]:
    found = findings_of(CRASHLOOP, examination(**{"steps": steps(), **pod}))
    return found[0].rule, found[0].message, found[0].remediation


def heap(kib: int) -> dict[str, Any]:
    return {"spec": {"heap": Heap(source="env:JAVA_OPTS", flag="-Xmx512m", kib=kib)}}


def test_a_heap_as_large_as_the_limit_is_named() -> None:
    killed = {"state": exited(137, "OOMKilled"), "memory_limit": "256Mi"}
    assert first(**killed, **heap(512 << 10))[1] == (
        "Container app was killed because it used more memory than its limit of 256Mi; -Xmx512m "
        "(env:JAVA_OPTS) lets its heap alone grow that far."
    )
    assert first(**killed, **heap(128 << 10))[1] == (
        "Container app was killed because it used more memory than its limit of 256Mi."
    )


def test_a_limit_of_a_limit_range_is_not_looked_for_in_the_pod_template() -> None:
    _, message, remediation = first(
        state=exited(137, "OOMKilled"), memory_limit="64Mi", annotations=DEFAULTED
    )
    assert message == (
        "Container app was killed because it used more memory than its limit of 64Mi, which is not "
        "in its pod template but the default of a LimitRange of namespace shop."
    )
    assert "Set resources.limits.memory of container app in the pod template" in remediation


@pytest.mark.parametrize(
    ("selector", "own"),
    [
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}, True),
        ({"matchLabels": {"app": "database"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, False),
        ({}, False),
    ],
)
def test_anti_affinity_against_its_own_workload_may_be_a_rollout(
    selector: dict[str, Any], own: bool
) -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    rules = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    rule, message, remediation = first(**pending(ANTI_AFFINITY), pod_spec={"affinity": rules})
    assert rule == "one-reason-on-all-nodes"
    assert ("the other pods of Deployment web" in message) is own
    assert ("maxUnavailable 1" in remediation) is own


def test_the_claims_of_a_volume_on_another_node_are_named() -> None:
    claim = Volume(name="data", persistent_volume_claim={"claimName": "data-web-0"})
    why = "0/1 nodes are available: 1 node(s) had volume node affinity conflict."
    rule, message, _ = first(**pending(why), pod_spec={"volumes": (claim,)})
    assert rule == "volume-on-another-node"
    assert "the volume of its PersistentVolumeClaim data-web-0 can be used only" in message


@pytest.mark.parametrize(("cpu", "said"), [("50m", True), ("2", False), ("", False)])
def test_a_probe_may_fail_for_want_of_a_processor(cpu: str, said: bool) -> None:
    probe = "Startup probe failed: dial tcp 10.244.0.17:8080: connect: connection refused"
    killing = event("Killing", "Container app failed startup probe, will be restarted")
    rule, message, remediation = first(
        state=running(), last=exited(137), startup_probe=True, cpu_limit=cpu,
        events=[event("Unhealthy", probe), killing],
    )  # fmt: skip
    assert rule == "liveness-killed"
    assert (f"With its CPU limit of {cpu} it has less than a fifth" in message) is said
    assert ("Raise resources.limits.cpu" in remediation) is said


def test_the_bundle_of_authorities_and_the_server_are_named() -> None:
    _, message, remediation = first(
        log="SSL_connect returned=1: certificate verify failed (unable to get local issuer certificate)\n",
        steps=steps("endpoint env:TAX_URL tax 8443 dns=ok tcp=open\n"),
        spec={
            "trusted": (Trusted(variable="SSL_CERT_FILE", path="/etc/ca/ca.crt"),),
            "volume_mounts": (VolumeMount(name="ca", mount_path="/etc/ca"),),
        },
        pod_spec={"volumes": (Volume(name="ca", config_map={"name": "internal-ca"}),)},
    )
    assert message == (
        "Container app exits with code 1 because it does not accept the certificate of a server; "
        "over TLS its configuration names tax:8443 (env:TAX_URL): unable to get local issuer "
        "certificate. It knows authorities from /etc/ca/ca.crt (SSL_CERT_FILE, ConfigMap "
        "internal-ca)."
    )
    assert remediation.startswith("Look whether ConfigMap internal-ca has the authority")


def test_without_the_step_of_endpoints_the_log_is_enough() -> None:
    unseen = [step("endpoints", outcome=StepOutcome.NOT_EVALUATED, message="tool missing: env")]
    assert first(log="FATAL: sorry, too many clients already\n", steps=unseen)[0] == "server-full"


HELD_BACK: list[tuple[str, dict[str, Any], str]] = [
    ("a wrong path is what 404 says, whatever its log complains of", not_ready(
        REFUSED, events=[event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")],
        steps=steps(sockets="listen 8080 all\n"),
    ), "readiness-failing"),
    ("a wrong port shows in another that is open", not_ready(
        REFUSED, events=[event("Unhealthy", "Readiness probe failed: dial tcp 10.244.0.17:80: connect: connection refused")],
        steps=steps(sockets="listen 8080 all\n"),
    ), "readiness-port-closed"),
    ("what listens there now was only late", not_ready(
        GATEWAY, steps=steps(sockets="listen 8080 all\nlisten 9000 loopback\n"),
    ), "not-ready-by-its-log"),
    ("Kafka's own address is what its configuration says", {
        "log": "Connection to node -1 (localhost/127.0.0.1:9092) could not be established.\nfatal: no broker\n",
    }, "last-words"),
    ("shared memory that is a volume", {
        "log": "fatal: insufficient shared memory\n", "mounts": ["/dev/shm"],
    }, "last-words"),
    ("a permission that may be a volume's", {
        "log": "fatal: Permission denied\n", "ports": [80], "mounts": ["/data"],
        "spec": {"security_context": {"runAsUser": 1000}},
    }, "permission-denied-unnamed"),
    ("root may listen everywhere", {
        "log": "fatal: Permission denied\n", "ports": [80],
        "spec": {"security_context": {"runAsUser": 0}},
    }, "permission-denied-unnamed"),
    ("an exception whose name has EACCES in it", {
        "log": 'Caused by: org.x.ResourceAccessException: I/O error on GET request for "https://id": Connect timed out\n',
    }, "connection-timed-out-by-log"),
    ("a log with Windows line ends", {"log": "lookup redis: no such host\r\nfatal: redis: no such host\r\n"}, "host-unresolvable-by-log"),
    ("a node of the volume's that is full", pending(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had volume node affinity conflict. none"
    ), "unschedulable"),
    ("a port that nobody else in the pod can hold", {
        "log": "Port 8080 was already in use.\n", "steps": steps(sockets="listen 8080 all\n"),
    }, "port-in-use"),
    ("a port that is free again", {"log": "Port 8080 was already in use.\n", "beside": {"envoy": (running(), "")}}, "port-in-use"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "rule"), [case[1:] for case in HELD_BACK], ids=[case[0] for case in HELD_BACK]
)
def test_holds_back(pod: dict[str, Any], rule: str) -> None:
    assert first(**pod)[0] == rule


INFORMATION = (
    "INFO no workers yet (dial tcp: connection refused), queueing\n",
    "2026-11-29 06:30:00 INFO cache:6379 connection refused, without it\n",
    '{"level":"info","msg":"peer db:5432: connection refused"}\n',
)


@pytest.mark.parametrize("line", INFORMATION)
def test_mere_information_of_a_ready_container_is_no_finding(line: str) -> None:
    pod: dict[str, Any] = {"state": running(), "restarts": 0, "log": line * 20}
    assert findings_of(TRIAGE, examination(ready=True, **pod)) == []
    assert len(findings_of(TRIAGE, examination(ready=False, **pod))) == 1
    louder = {**pod, "log": pod["log"].replace("INFO", "ERROR").replace('"info"', '"error"')}
    assert len(findings_of(TRIAGE, examination(ready=True, **louder))) == 1


def test_what_the_readiness_probe_shows_is_said_once() -> None:
    """Crashloop has it in its sentence; with an answer such as 404 it has not."""
    assert findings_of(TRIAGE, examination(**not_ready(REFUSED))) == []
    wrong_path = event(
        "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404"
    )
    (found,) = findings_of(TRIAGE, examination(**not_ready(REFUSED, events=[wrong_path])))
    assert found.rule == "refused-again-and-again"


def test_an_address_is_told_with_the_service_that_has_it() -> None:
    one = examination(
        state=running(), ready=True, restarts=0, log=UPSTREAM, called={"10.96.1.9": "prices"}
    )
    (found,) = findings_of(TRIAGE, one)
    assert found.message == (
        "Container app runs, but its log says again and again that 10.96.1.9:8080 (Service prices) "
        "refuses the connection."
    )


def test_an_exception_of_the_network_is_no_missing_permission() -> None:
    log = "ResourceAccessException: I/O error on GET request: Connect timed out\n" * 8
    (found,) = findings_of(TRIAGE, examination(state=running(), ready=True, restarts=0, log=log))
    assert found.title == "It waits for an answer in vain, again and again"


def test_a_wrong_path_is_not_put_down_to_what_its_log_complains_of() -> None:
    wrong_path = event(
        "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404"
    )
    listening = steps(sockets="listen 8080 all\n")
    said = first(**not_ready("WARN retrying\n" * 6, events=[wrong_path], steps=listening))
    assert said[0] == "readiness-failing"
    assert "retrying" not in said[1]


def test_without_its_log_the_probe_is_told_all_the_same() -> None:
    unknown = {"logs": "forbidden: get pods/log"}
    assert first(**not_ready("", unknown=unknown))[0] == "readiness-failing"


@pytest.mark.parametrize(
    "pod",
    [
        {"log": "lookup db: no such host\n"},
        {"log": "fatal: Name or service not known\n"},
        {"state": running(), "restarts": 0, "init": True},
        not_ready("lookup db: no such host\n" * 6),
    ],
)
def test_a_service_that_may_be_meant_is_named(pod: dict[str, Any]) -> None:
    failing = steps("endpoint env:DB_HOST db 5432 dns=fail tcp=none\n")
    told = first(**pod, steps=failing, meant={"db": "db.data"})[2]
    assert told.startswith("There is a Service db.data: perhaps that is meant. ")
    assert "There is a Service" not in first(**pod, steps=failing, meant={"x": "y"})[2]


def test_what_it_said_before_a_liveness_probe_killed_it_is_told() -> None:
    probe = "Liveness probe failed: HTTP probe failed with statuscode: 503"
    killing = event("Killing", "Container app failed liveness probe, will be restarted")
    _, message, remediation = first(
        state=running(), last=exited(137), liveness_probe=True, log="starting\n",
        previous="ERROR health: pool is empty\n" * 6, events=[event("Unhealthy", probe), killing],
    )  # fmt: skip
    assert message.endswith("Its log said again and again: ERROR health: pool is empty")
    assert "belongs into the readiness probe" in remediation


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ('Get "http://10.0.0.1:8443/": read tcp: read: connection reset by peer', "scheme: HTTPS"),
    ],
)
def test_a_probe_of_the_wrong_scheme(why: str, said: str) -> None:
    failing = event("Unhealthy", f"Readiness probe failed: {why}")
    rule, _, remediation = first(**not_ready("", events=[failing]))
    assert rule == "readiness-failing"
    assert said in remediation
