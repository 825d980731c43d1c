"""The playbook readiness-failing: what its rules say, and how its steps see a server."""

import pytest

from runner.model.pod import PodCondition
from tests.unit.examinations import event
from tests.unit.library_cases import Case, said, unanswered, without_case

NAME = "readiness-failing"
OPEN = "outside=8080,9090\ninside=6060\n"
UNHEALTHY = "Readiness probe failed: cannot reach db"


def http(status: str, ms: int = 3, headers: int = 0, scheme: str = "http", body: str = "") -> str:
    return (
        f"http readiness 8080 status={status} ms={ms} limit_ms=1000 headers={headers} "
        f"scheme={scheme} path=/ready\nbody {body}\n"
    )


def refused(port: int) -> str:
    return f"port readiness http - {port} refused\n"


DOWN = "dependency env:DB db 5432 refused\ndependency args q 4222 unresolved\ndependency args ok 80 open\n"
CASES: list[Case] = [
    ({"probes": "probe readiness http - 1 -\nprobe readiness http 80 1 -\n"}, [
        ("probe-port-unnamed", ("Container app is never ready because its readiness probe goes to "
         "a port by a name that no port of the container has."))]),
    ({"sockets": OPEN, "port": "port readiness tcp 10.0.0.9 80 timeout\n"}, [
        ("probe-host-elsewhere", ("Container app is not ready because its readiness probe goes to "
         "10.0.0.9:80 and not to the pod, and that does not accept connections (timeout)."))]),
    ({"sockets": OPEN, "port": refused(6060)}, [
        ("probe-port-on-loopback", ("Container app is not ready because it listens on port 6060 of "
         "the loopback address (localhost) only, where its readiness probe does not reach it."))]),
    ({"sockets": OPEN, "port": refused(808)}, [
        ("probe-wrong-port", ("Container app is not ready because its readiness probe goes to port "
         "808, where nothing listens; open in the pod: 8080,9090."))]),
    ({"sockets": "outside=\ninside=6060\n", "port": refused(8080), "dependencies": "", "http": ""}, [
        ("probe-nothing-listens", ("Container app is not ready because nothing in the pod listens, "
         "and its readiness probe goes to port 8080."))]),
    ({"sockets": OPEN, "http": http("503", body='{"db":"down"}'), "port": "", "dependencies": DOWN}, [
        ("dependency-down", ("Container app is not ready, and db:5432, which it uses (env:DB), "
         "refuses connections.")),
        ("dependency-down", ("Container app is not ready, and q:4222, which it uses (args), does "
         "not resolve."))]),
    # It says that it is ready: what it uses is not why the probe fails.
    ({"sockets": OPEN, "http": http("404"), "port": "", "dependencies": DOWN}, [
        ("probe-path-missing", ("Container app is not ready because its readiness probe asks for "
         "/ready on port 8080, which answers 404."))]),
    ({"http": http("tls", scheme="https")}, [
        ("probe-speaks-tls", ("Container app is not ready because its readiness probe speaks HTTPS, "
         "and on port 8080 there is no TLS handshake."))]),
    ({"http": http("400", body="Client sent an HTTP request to an HTTPS server. ")}, [
        ("probe-speaks-plain", ("Container app is not ready because its readiness probe speaks "
         'plain HTTP, and what listens on port 8080 does not: "Client sent an HTTP request to an '
'HTTPS server.".'))]),
    ({"http": http("401")}, [
        ("probe-refused", ("Container app is not ready because its readiness probe is answered 401 "
         "for /ready on port 8080."))]),
    ({"http": http("404", headers=1)}, [
        ("probe-refused-without-headers", ("The readiness probe of container app is answered 404 "
         "for /ready on port 8080, when it is asked without the headers that the probe sends."))]),
    ({"sockets": OPEN, "http": http("503", body="warming up "), "port": "", "dependencies": ""}, [
        ("probe-answers-5xx", ("Container app answers its readiness probe for /ready with 503: "
'"warming up".'))]),
    ({"sockets": OPEN, "http": http("200", ms=1001), "port": "", "dependencies": ""}, [
        ("probe-slow", ("Container app is not ready because its readiness probe for /ready takes "
         "1001 ms, and the kubelet waits 1000 ms (timeoutSeconds)."))]),
    ({"sockets": OPEN, "http": http("timeout", ms=5001), "port": "", "dependencies": ""}, [
        ("probe-hangs", ("Container app is not ready because nothing answers its readiness probe "
         "for /ready on port 8080, even after 5001 ms."))]),
    ({"probes": "probe readiness grpc 9000 1 -\n", "grpc": "serving=no\n"}, [
        ("grpc-not-serving", ("Container app is not ready because its gRPC health service on port "
         "9000 does not say SERVING."))]),
    ({"probes": "probe readiness exec - 1 -\n", "grpc": ""}, [
        ("probe-by-command-fails", ("Container app is not ready because its readiness probe, which "
         "the kubelet alone runs, fails: cannot reach db."))]),
    ({"sockets": OPEN, "http": http("200"), "port": "", "dependencies": DOWN}, [
        ("probe-succeeds-from-inside", ("The readiness probe of container app succeeds when it is "
         "asked from inside the pod, though the pod was not ready: it has just become so, its "
         "answer changes, or the kubelet does not reach the pod."))]),
    ({"sockets": OPEN, "http": "", "port": "port readiness tcp - 8080 open\n", "dependencies": ""}, [
        ("probe-succeeds-from-inside", ("The readiness probe of container app succeeds when it is "
         "asked from inside the pod, though the pod was not ready: it has just become so, its "
         "answer changes, or the kubelet does not reach the pod."))]),
]  # fmt: skip
GATE = ("All containers of the pod are ready, but a readiness gate is not: corresponding condition "
        'of pod readiness gate "lb" does not exist.')  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    found = said(NAME, outputs, ready=False, events=[event("Unhealthy", UNHEALTHY)])
    assert found == sorted(expected)


@pytest.mark.parametrize("outputs", [case for case, _ in CASES])
def test_nothing_is_said_of_a_container_that_is_ready(outputs: dict[str, str]) -> None:
    assert said(NAME, outputs, ready=True, events=[event("Unhealthy", UNHEALTHY)]) == []


def test_a_readiness_gate() -> None:
    why = 'corresponding condition of pod readiness gate "lb" does not exist'
    conditions = [
        PodCondition(type="ContainersReady", status="True"),
        PodCondition(type="Ready", status="False", reason="ReadinessGatesNotReady", message=why),
    ]
    assert said(NAME, {}, ready=True, pod_conditions=conditions) == [("readiness-gate", GATE)]
    waiting = [PodCondition(type="ContainersReady", status="False"), conditions[1]]
    assert said(NAME, {}, ready=True, pod_conditions=waiting) == []


def test_a_grpc_answer_that_nobody_asked_for_is_not_evaluated() -> None:
    """The image has no grpc_health_probe; the port alone says nothing."""
    outputs = {"probes": "probe readiness grpc 9000 1 -\n", "port": "", "grpc": "", "http": "",
               "sockets": OPEN, "dependencies": ""}  # fmt: skip
    assert said(NAME, outputs, ready=False) == []
    assert unanswered(NAME, outputs, ready=False) == [
        ("rule grpc-not-serving", 'there is no "serving"')
    ]


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == {"readiness-gate"}
