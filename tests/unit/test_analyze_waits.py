"""Pods that wait: for a probe that nobody asked yet, a peer that comes later, a lock, a hook."""

from typing import Any

import pytest

from runner.model.objects import Service, ServicePort, ServiceSpec
from runner.model.pod import ObjectMeta, Volume, VolumeMount
from runner.model.subject import Workload
from runner.playbook import resolve
from tests.unit.examinations import STARTED, event, examination, exited, findings_of, running
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.test_analyze_triage import healthy
from tests.unit.test_analyze_triage import steps as triage_steps

CRASHLOOP, TRIAGE = resolve("crashloop"), resolve("triage")
RAFT = Workload(kind="StatefulSet", namespace="shop", name="raft")
UNKNOWN_PORT = 'strconv.Atoi: parsing "http-admin": invalid syntax'


def unready(why: str = "", **more: Any) -> dict[str, Any]:
    failing = event("Unhealthy", f"Readiness probe failed: {why}")
    return {"state": running(), "restarts": 0, "readiness_probe": True, "events": [failing], **more}


def said(**pod: Any) -> list[tuple[str, str, str]]:
    found = findings_of(CRASHLOOP, examination(**{"steps": steps(), **pod}), STARTED)
    return [(each.rule, each.confidence.value, each.message) for each in found]


@pytest.mark.parametrize(
    ("why", "message"),
    [
        (
            'Get "https://10.0.0.1:9443/ready": tls: first record does not look like a TLS handshake',
            "its readiness probe asks by HTTPS what the container serves without TLS (https://10.0.0.1:9443/ready).",
        ),
        (
            'Get "https://10.0.0.1:80/": http: server gave HTTP response to HTTPS client',
            "its readiness probe asks by HTTPS what the container serves without TLS (https://10.0.0.1:80/).",
        ),
        (
            'Get "http://10.0.0.1:8443/": malformed HTTP response "\\x15\\x03\\x01\\x00\\x02\\x02F"',
            "its readiness probe asks without TLS what the container serves by HTTPS (http://10.0.0.1:8443/).",
        ),
    ],
)  # fmt: skip
def test_a_probe_of_the_other_scheme(why: str, message: str) -> None:
    start = "Container app runs but gets no traffic because "
    assert said(**unready(why)) == [("probe-scheme", "certain", start + message)]


@pytest.mark.parametrize(
    ("delay", "rule"), [(30_000, "readiness-not-asked-yet"), (20, "not-ready")]
)
def test_a_probe_that_was_not_asked_yet(delay: int, rule: str) -> None:
    probe = {"httpGet": {"port": 8080}, "initialDelaySeconds": delay}
    pod = {"state": running(), "restarts": 0, "spec": {"readiness_probe": probe}}
    assert [each[0] for each in said(**pod)][:1] == [rule]


def peers(waits_for: str, pod: str = "raft-0") -> list[str]:
    line = f"WARN raft: failed to look up {waits_for}.raft: no such host\n"
    found = said(**unready(log=line * 9, workload=RAFT, pod=pod))
    return [each[0] for each in found]


def test_a_peer_that_is_made_only_when_this_one_is_ready() -> None:
    assert peers("raft-1") == ["waits-for-later-peer"]
    # what comes before it is there, and another StatefulSet is none of its business
    assert peers("raft-0", pod="raft-1") == ["not-ready-by-its-log"]
    assert peers("zk-1") == ["not-ready-by-its-log"]


def test_a_liveness_probe_that_asks_nobody() -> None:
    errored = event(
        "Unhealthy", f"Liveness probe errored and resulted in unknown state: {UNKNOWN_PORT}"
    )
    one = examination(**healthy(steps=triage_steps(), liveness_probe=True, events=[errored]))
    (found,) = findings_of(TRIAGE, one, STARTED)
    assert (found.rule, found.severity.value) == ("liveness-port-unknown", "warning")
    assert found.message == (
        "The liveness probe of container app goes to a port called http-admin, and no port of the "
        "container has that name: it is never asked, so that a container that hangs is not restarted."
    )


@pytest.mark.parametrize("medium", ["Memory", ""])
def test_a_volume_in_memory_counts_against_the_limit(medium: str) -> None:
    killed = examination(
        state=exited(137, "OOMKilled"),
        memory_limit="64Mi",
        steps=steps(),
        spec={"volume_mounts": (VolumeMount(name="cache", mount_path="/cache"),)},
        pod_spec={"volumes": (Volume(name="cache", empty_dir={"medium": medium}),)},
    )
    (found,) = findings_of(CRASHLOOP, killed)
    told = "what it writes to /cache counts, as those volumes are in memory" in found.message
    assert told is bool(medium)
    assert ("sizeLimit" in found.remediation) is bool(medium)


@pytest.mark.parametrize(
    ("line", "memory"),
    [
        ("worker 7 exited with code 137 (max lifetime), starting another", ""),
        ("worker 7 exited with code 137", "oom_kills=0\n"),
    ],
)
def test_children_that_are_ended_on_purpose(line: str, memory: str) -> None:
    log = f"{line}\n" * 9
    one = examination(**healthy(steps=triage_steps(memory=memory), memory_limit="64Mi", log=log))
    assert findings_of(TRIAGE, one, STARTED) == []


@pytest.mark.parametrize(
    "line",
    [
        "WARN no job available, still waiting (timeout expired after 20s)",
        "ERROR lookup in collection orders: user 7 not found",
        '{"level":"error","msg":"denied","status":401,"error":"invalid credentials","remote":"198.51.100.7"}',
        "WARN webhook https://a.example.net answered 429, requeued",
        "WARN failed to acquire lock, another instance leads",
        "WARN delivery failed: 503 Service Unavailable, will retry\nINFO delivered 39 webhooks",
    ],
)
def test_an_empty_queue_and_single_failures_are_the_usual_course(line: str) -> None:
    one = examination(**healthy(steps=triage_steps(), log=f"{line}\n" * 9))
    assert findings_of(TRIAGE, one, STARTED) == []


def test_readiness_that_asks_its_own_service() -> None:
    front = Service(
        metadata=ObjectMeta(name="web", namespace="shop"),
        spec=ServiceSpec(
            selector={"app": "web"}, ports=(ServicePort(port=8282, target_port=8282),)
        ),
    )
    pod = unready(
        "HTTP probe failed with statuscode: 503",
        log="ready: http://web:8282/ping: Connection refused\n" * 9,
        steps=steps("endpoint command web 8282 dns=ok tcp=refused\n", sockets="listen 8282 all\n"),
    )
    # what stands behind the name decides
    own = [each[0] for each in said(**pod, services=[front])]
    assert (own, [each[0] for each in said(**pod)]) == (
        ["waits-for-its-own-service"],
        ["not-ready-and-refused"],
    )


def test_what_others_said_is_not_what_a_forwarder_says() -> None:
    inner = '{"app":"orders","line":"FATAL: password authentication failed"}'
    forwarded = f'{{"ts":1,"msg":"forwarded","record":{inner}}}\n'
    own = '{"ts":1,"msg":"pull failed","error":{"code":"password authentication failed"}}\n'
    found = [
        [each.rule for each in findings_of(TRIAGE, examination(**healthy(steps=triage_steps(), log=log * 9)))]
        for log in (forwarded, own)
    ]  # fmt: skip
    assert found == [[], ["fails-again-and-again"]]
