"""The playbook triage: what each rule says, and that it stays silent where it should."""

from datetime import timedelta
from typing import Any

import pytest

from runner.analyze import judge
from runner.model.examination import Blocked
from runner.model.objects import Service, ServicePort, ServiceSpec
from runner.model.pod import ContainerState, ObjectMeta, PodCondition
from runner.model.report import StepOutcome, StepResult
from runner.playbook import resolve
from tests.unit.examinations import STARTED, event, examination, exited, findings_of, running, step
from tests.unit.report_samples import workload

TRIAGE = resolve("triage")
MINUTE_LATER = STARTED + timedelta(minutes=1)
DISK = "disk 42 100 /\ninodes 3 100 /\ndisk 10 5 /data\n"


def steps(
    sockets: str = "listen 8080 all\n",
    disk: str = DISK,
    memory: str = "used_percent=40\n",
    dns: str = "cluster=yes\nkubernetes=ok\n",
    usage: str = "",
    subpaths: str = "",
) -> list[StepResult]:
    outputs = {
        "processes": "",
        "sockets": sockets,
        "disk": disk,
        "memory": memory,
        "dns": dns,
        "usage": usage,
        "subpaths": subpaths,
    }
    return [step(name, out, playbook="triage") for name, out in outputs.items()]


def healthy(**more: Any) -> dict[str, Any]:
    return {"state": running(), "ready": True, "restarts": 0, "ports": [8080], **more}


def serving(sockets: str = "listen 8080 all\n", **more: Any) -> dict[str, Any]:
    """Ready, which is when a Service sends to it."""
    ready = PodCondition(type="Ready", status="True")
    return healthy(steps=steps(sockets=sockets), pod_conditions=[ready], **more)


def service(*targets: int | str, protocol: str = "TCP", cluster_ip: str = "10.96.0.9") -> Service:
    ports = tuple(ServicePort(port=80, target_port=each, protocol=protocol) for each in targets)
    return Service(
        metadata=ObjectMeta(name="front"), spec=ServiceSpec(cluster_ip=cluster_ip, ports=ports)
    )


BLOCKED = Blocked(host="db", port=6432, policies=("dns-only",))
AGENT_REJECTED = "ERROR auth: error authenticating: denied\n" * 6
CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "restarted-for-its-probe",
        # A command that says nothing when it fails, as `test -e`.
        healthy(
            restarts=1, last=exited(137),
            events=[
                event("Unhealthy", "Liveness probe failed: "),
                event("Killing", "Container app failed liveness probe, will be restarted"),
            ],
        ),
        "Container app runs, but lately the kubelet restarted it because its liveness probe failed.",
    ),
    (
        "restarted-for-its-probe",
        healthy(
            restarts=1, last=exited(137), liveness_probe=True,
            events=[
                event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
                event("Killing", "Container app failed liveness probe, will be restarted"),
            ],
        ),
        "Container app runs, but lately the kubelet restarted it because its liveness probe (GET / on port 8080) failed: HTTP probe failed with statuscode: 500.",
    ),
    (
        "refused-by-kubelet",
        {
            "state": ContainerState(), "restarts": 0, "phase": "Pending", "steps": (),
            "events": [event("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted', container="")],
        },
        'No container of the pod is started, because its node refuses it: forbidden sysctl: "kernel.msgmax" not allowlisted',
    ),
    (
        # It was well when it was selected.
        "evicted",
        healthy(
            steps=steps(),
            events=[event("Evicted", 'Usage of EmptyDir volume "work" exceeds the limit "24Mi". ', container="")],
        ),
        'The kubelet evicted the pod: Usage of EmptyDir volume "work" exceeds the limit "24Mi".',
    ),
    (
        "neighbour-fails-again-and-again",
        healthy(steps=steps(), beside={"agent": (running(), AGENT_REJECTED)}),
        "Container agent runs beside container app, but its log says again and again: ERROR auth: error authenticating: denied",
    ),
    (
        "neighbour-exits",
        healthy(steps=steps(), beside={"agent": (exited(2), "FATAL: cannot parse agent.yaml\n")}),
        "Container agent exits with code 2; its log says why: FATAL: cannot parse agent.yaml",
    ),
    (
        "cluster-dns-down",
        healthy(steps=steps(dns="cluster=yes\nkubernetes=fail\n")),
        "Inside the pods, kubernetes.default.svc does not resolve (an error): no host name does.",
    ),
    (
        "disk-full",
        healthy(steps=steps(disk=DISK + "disk 91 7 /var/lib/data\n")),
        "The volume at /var/lib/data has less than a tenth of its room left.",
    ),
    (
        "disk-full",
        healthy(steps=steps(disk="disk 100 0 /\n")),
        "The node's container file system has less than a tenth of its room left.",
    ),
    (
        "inodes-used-up",
        healthy(steps=steps(disk="inodes 90 7 /cache\n")),
        "The volume at /cache has less than a tenth of its inodes left: it holds very many small files.",
    ),
    (
        "subpath-outdated",
        healthy(steps=steps(subpaths="subpath replaced /etc/web.conf\nsubpath current /etc/a\n")),
        "Container app mounts /etc/web.conf by subPath, and its ConfigMap or Secret was changed since: such a mount never follows, so that the container still has the old file.",
    ),
    (
        "memory-near-limit",
        healthy(steps=steps(memory="limit_bytes=1\nused_percent=93\n"), memory_limit="64Mi"),
        "Container app uses more than nine tenths of the memory it may use (64Mi), page cache not counted.",
    ),
    (
        "memory-grows",
        healthy(
            # 60 s at 30 MB a minute
            steps=steps(usage="memory_kib=40000\nmemory_kib_per_minute=30000\ngrows=yes\n"),
            memory_limit="256Mi",
        ),
        "Container app uses more memory from second to second, about as fast as over all of its life; it will be killed when it comes to its limit of 256Mi.",
    ),
    (
        "cpu-at-limit",
        healthy(steps=steps(usage="cpu_millis=15\nour_cpu_millis=3\n"), cpu_limit="20m"),
        "Container app uses all the processor time that its CPU limit of 20m lets it have: beyond that the kernel makes it wait (throttling).",
    ),
    (
        "killed-for-memory-inside",
        healthy(steps=steps(memory="oom_kills=3\nused_percent=40\n"), memory_limit="64Mi"),
        "Container app runs, but the kernel killed processes in it because they used more memory than its limit of 64Mi.",
    ),
    (
        "startup-probe-wrong-port",
        healthy(
            ready=False, init=True, ports=(), startup_probe=True, steps=steps(sockets="listen 9090 all\n"),
            events=[event("Unhealthy", "Startup probe failed: dial tcp 10.1.2.3:9801: connect: connection refused")],
        ),
        "Container app keeps the other containers of the pod from being started: its startup probe asks port 9801, and it listens on others.",
    ),
    (
        "children-killed-for-memory",
        healthy(
            steps=steps(),
            memory_limit="64Mi",
            log="[9] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n[7] [INFO] Booting worker\n" * 3,
        ),
        "Container app runs, but the processes that it starts are killed again and again (signal 9), for memory as its log says: all of them together may use no more than its limit of 64Mi.",
    ),
    (
        "children-killed",
        healthy(
            steps=steps(),
            memory_limit="64Mi",
            log="worker 7 exited with status 137\nstarting a new one\n" * 3,
        ),
        "Container app runs, but its log says again and again that a process it starts is killed (signal 9); with its memory limit of 64Mi the kernel does that when there is not enough memory for all of them.",
    ),
    (
        "probe-port-on-loopback",
        healthy(
            ready=False,
            readiness_probe=True,
            steps=steps(sockets="listen 8080 loopback\n"),
            events=[
                event(
                    "Unhealthy",
                    'Readiness probe failed: Get "http://10.0.0.7:8080/": dial tcp 10.0.0.7:8080: connect: connection refused',
                )
            ],
        ),
        "Container app runs but gets no traffic because it listens on port 8080 of the loopback address (localhost) only, where its probe does not reach it.",
    ),
    (
        "port-not-listening",
        healthy(ready=False, steps=steps(sockets="listen 9090 all\n")),
        "Container app is not ready, and nothing in the pod listens on its port 8080.",
    ),
    (
        "port-on-loopback",
        healthy(steps=steps(sockets="listen 8080 loopback\n")),
        "Container app listens on port 8080 of the loopback address only: neither probes nor Services reach it.",
    ),
    (
        "service-port-name-missing",
        serving(services=[service("http")]),
        "Service front sends its port 80 to nobody: targetPort http is a name that no port of the containers of Deployment web has.",
    ),
    (
        "service-port-closed",
        serving(services=[service(9090)]),
        "Service front sends its port 80 to port 9090 of the pods of Deployment web, where nothing listens: connections are refused.",
    ),
    (
        "service-port-on-loopback",
        serving(sockets="listen 6379 loopback\n", services=[service(6379)]),
        "Service front sends its port 80 to port 6379 of the pods of Deployment web, which is open on their loopback address (localhost) only: connections are refused.",
    ),
    (
        "service-port-partly-closed",
        serving(services=[service(8080, 9090)]),
        "Service front sends its port 80 to port 9090 of the pods of Deployment web, where nothing listens: connections are refused.",
    ),
    (
        "fails-again-and-again",
        healthy(steps=steps(), log="serving\n" + 'ERROR pq: password authentication failed for user "shop"\n' * 4),
        'Container app runs, but its log says again and again: ERROR pq: password authentication failed for user "shop"',
    ),
    (
        "blocked-again-and-again",
        healthy(steps=steps(), log="dial tcp db:5432: i/o timeout\n" * 4, blocked=[BLOCKED]),
        "Container app runs, but its log says again and again that db does not answer: the NetworkPolicies that select the pod (dns-only) let no TCP out to its port 6432.",
    ),
    (
        "fails-again-and-again",
        healthy(steps=steps(), log="dial tcp mydb:5432: i/o timeout\n" * 4, blocked=[BLOCKED]),
        "Container app runs, but its log says again and again: dial tcp mydb:5432: i/o timeout",
    ),
    (
        "refused-again-and-again",
        healthy(
            steps=steps(),
            log="ERROR amqp: dial tcp broker:5672: connect: connection refused\n" * 3,
        ),
        "Container app runs, but its log says again and again that broker:5672 refuses the connection.",
    ),
    (
        "refused-again-and-again",
        healthy(
            steps=steps(),
            log="Error: connect ECONNREFUSED 10.0.0.9:5672\n    at TCPConnectWrap\n" * 3,
        ),
        "Container app runs, but its log says again and again that 10.0.0.9:5672 refuses the connection.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "pod", "message"), CASES, ids=[case[0] for case in CASES])
def test_names_the_cause(rule: str, pod: dict[str, Any], message: str) -> None:
    findings = findings_of(TRIAGE, examination(**pod), MINUTE_LATER)
    assert [(each.rule, each.message) for each in findings] == [(rule, message)]
    assert findings[0].evidence


STARTS_SLOWLY = healthy(
    ready=False, ports=[8080], startup_probe=True,
    events=[event("Unhealthy", "Startup probe failed: dial tcp 10.1.2.3:8080: connect: connection refused")],
)  # fmt: skip
SILENT: dict[str, dict[str, Any]] = {
    "a slow start: its port will be open, JMX is already": {
        **STARTS_SLOWLY,
        "steps": steps(sockets="listen 9010 all\n"),
        "ports": [8080],
    },
    "a healthy pod": healthy(steps=steps()),
    "a restart that its probe did not ask for": healthy(
        restarts=1,
        last=exited(1),
        liveness_probe=True,
        events=[event("Unhealthy", "Liveness probe failed: connection refused")],
        steps=steps(),
    ),
    "a node without cluster DNS": healthy(steps=steps(dns="cluster=no\n")),
    "a port open on one address and on loopback": healthy(
        steps=steps(sockets="listen 8080 loopback\nlisten 8080 one\n")
    ),
    "a crash loop, which is another playbook's": {
        "state": exited(1),
        "ports": [8080],
        "steps": steps(sockets=""),
    },
    "a connection that was refused at first": healthy(
        steps=steps(), log="dial tcp broker:5672: connect: connection refused\n" * 2 + "connected\n"
    ),
    "connections that were refused long ago": healthy(
        steps=steps(),
        log="dial tcp broker:5672: connect: connection refused\n" * 9 + "GET / 200\n" * 12,
    ),
    "a start that needs memory": healthy(
        # Most of it came at once.
        steps=steps(usage="memory_kib=40000\nmemory_kib_per_minute=1000\ngrows=yes\n"),
        memory_limit="64Mi",
    ),
    "memory that comes and goes": healthy(
        steps=steps(usage="memory_kib=40000\nmemory_kib_per_minute=90000\ngrows=no\n"),
        memory_limit="64Mi",
    ),
    "a busy container with room": healthy(
        steps=steps(usage="cpu_millis=790\nour_cpu_millis=9\n"), cpu_limit="1"
    ),
    "a busy container without a limit": healthy(steps=steps(usage="cpu_millis=4000\n")),
    "a child that was killed once": healthy(
        steps=steps(), memory_limit="64Mi", log="worker exited with status 137\n" + "ok\n" * 5
    ),
    "children that are killed where there is no limit": healthy(
        steps=steps(), log="worker exited with status 137\n" * 3
    ),
    "a container in which nothing was killed": healthy(steps=steps(memory="oom_kills=0\n")),
    "a pod whose port the Service names": serving(services=[service(8080)]),
    "a Service whose port is its target's": serving("listen 80 all\n", services=[service(0)]),
    "a port that speaks UDP": serving(services=[service(53, protocol="UDP")]),
    "a Service that only gives the pods names": serving(services=[service(1, cluster_ip="None")]),
    "a pod that gets no traffic yet": healthy(steps=steps(), services=[service(9090)]),
    "a container without a limit": healthy(steps=steps(memory="limit_bytes=none\n")),
}


@pytest.mark.parametrize("pod", SILENT.values(), ids=SILENT.keys())
def test_says_nothing_of(pod: dict[str, Any]) -> None:
    assert findings_of(TRIAGE, examination(**pod), MINUTE_LATER) == []


def test_a_table_that_is_denied_is_granted() -> None:
    log = "serving\n" + "ERROR: permission denied for table orders\n" * 4
    (found,) = findings_of(TRIAGE, examination(**healthy(steps=steps(), log=log)), MINUTE_LATER)
    assert found.title == "Something is not permitted to it, again and again"
    assert "Grant it to the user that it comes to the database with" in found.remediation


@pytest.mark.parametrize(("minutes", "rules"), [(1, []), (3, ["job-kept-alive"])])
def test_a_job_whose_sidecar_goes_on(minutes: int, rules: list[str]) -> None:
    one = examination(
        state=exited(0, "Completed"),
        restarts=0,
        steps=steps(),
        beside={"proxy": (running(), "")},
        workload=workload("nightly", kind="Job"),
    )
    found = findings_of(TRIAGE, one, STARTED + timedelta(minutes=minutes))
    assert [each.rule for each in found] == rules
    assert [each.message for each in found] == [
        "A container of the pod has done its work and ended with exit code 0, but container proxy still runs, so Job nightly does not end."
    ] * len(rules)


def test_a_service_is_named_in_its_own_name() -> None:
    (finding,) = findings_of(TRIAGE, examination(**serving(services=[service(9090)])))
    assert (finding.workload.kind, finding.workload.name) == ("Service", "front")
    assert (finding.container, [pod.name for pod in finding.pods]) == ("", ["web-5d9c7-abcde"])


def test_services_that_may_not_be_listed_are_a_question() -> None:
    unknown = {"services": "forbidden: list services"}
    one = examination(**serving(unknown=unknown))
    findings, questions, _ = judge([TRIAGE], [one], {one.pod.metadata.uid: ["triage"]})
    assert findings == ()
    assert {(q.subject, q.reason) for q in questions if "port" not in q.subject} == {
        ("fact services", "Forbidden")
    }
    assert all("forbidden: list services" in q.message for q in questions)


def test_every_rule_has_a_case() -> None:
    elsewhere = {"job-kept-alive", "liveness-port-unknown", "dns-blocked-by-policy"}
    assert {case[0] for case in CASES} | elsewhere == {rule.id for rule in TRIAGE.spec.findings}


def test_a_step_that_was_not_evaluated_is_a_question() -> None:
    missing = [
        step("disk", playbook="triage", outcome=StepOutcome.NOT_EVALUATED, message="tool missing: df")
    ]  # fmt: skip
    results = [each for each in steps() if each.name != "disk"] + missing
    one = examination(**healthy(steps=results))
    findings, questions, _ = judge([TRIAGE], [one], {one.pod.metadata.uid: ["triage"]})
    assert findings == ()
    assert {(each.subject, each.message) for each in questions} == {
        ("step disk", "tool missing: df"),
        ("rule disk-full", "steps.disk: tool missing: df"),
        ("rule inodes-used-up", "steps.disk: tool missing: df"),
    }
