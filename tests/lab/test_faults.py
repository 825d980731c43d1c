"""Faults between us and the API server: the sweep completes, and nothing is injected twice."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, Match, service_account_token
from tests.lab import podmedic as pm
from tests.lab.waiting import until

SLEEP = pm.SLEEP
PODS = 4
EPHEMERAL = r".*/ephemeralcontainers"
ALL_PODS = r".*/namespaces/[^/]+/pods"


@pytest.fixture(scope="module")
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as running:
        yield running


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Iterator[str]:
    with lab.namespace() as namespace:
        pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=PODS))
        pm.wait_ready(lab, namespace, "web")
        yield namespace


@pytest.fixture(scope="module")
def token(lab: Lab, shop: str) -> str:
    return service_account_token(lab, shop)


def sweep(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path, *faults: Fault,
    script: str = "sleep 3; echo done",
) -> pm.Outcome:  # fmt: skip
    """A run through the proxy that must end as if nothing had happened."""
    proxy.clear()
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=shop)
    playbook = pm.playbook(tmp_path, [{"name": "work", "script": script}])
    before = pm.ephemeral_containers(lab, shop)
    proxy.add(*faults)
    outcome = pm.run(
        lab, shop, playbook, "--kubeconfig", kubeconfig, "--max-per-workload=0", "--no-canary",
        directory=tmp_path / "out",
    )  # fmt: skip

    assert outcome.code == 0, outcome.stderr
    assert [p["outcome"] for p in outcome.report["pods"]] == ["passed"] * PODS
    assert {p["steps"][0]["stdout"] for p in outcome.report["pods"]} == {"done\n"}
    after = pm.ephemeral_containers(lab, shop)
    assert {name: len(after[name]) - len(before[name]) for name in after} == dict.fromkeys(after, 1)
    for fault in faults:
        assert proxy.struck(fault), fault
    return outcome


def test_s04_dropped_response_to_the_patch(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path
) -> None:
    """The server applied it and we never heard: the repetition changes nothing."""
    sweep(
        lab, proxy, shop, token, tmp_path,
        Fault.drop_response(method="PATCH", path=EPHEMERAL, times=PODS),
    )  # fmt: skip


def test_s31_throttled(lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path) -> None:
    """429 with Retry-After on everything, twice each."""
    sweep(
        lab, proxy, shop, token, tmp_path,
        Fault.too_many_requests(method="GET", path=ALL_PODS, times=2),
        Fault.too_many_requests(method="PATCH", path=EPHEMERAL, times=6),
        Fault.too_many_requests(method="GET", path=r".*/log", times=2),
    )  # fmt: skip


def test_s31_server_errors(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path
) -> None:
    sweep(
        lab, proxy, shop, token, tmp_path,
        Fault.status(500, "InternalError", "etcd leader lost", method="PATCH", times=3),
        Fault.status(503, "ServiceUnavailable", "not now", path=ALL_PODS, times=2),
        Fault.drop_request(method="GET", path=r".*/log", times=2),
    )  # fmt: skip


def test_s31_watch_cut_every_second(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path
) -> None:
    """The sweep completes, and reconnecting stays below a request a second for each watch."""
    watch = Match(path=ALL_PODS, query={"watch": "true|1"})
    sweep(
        lab, proxy, shop, token, tmp_path,
        Fault.cut(after_seconds=1.0, path=ALL_PODS, query={"watch": "true|1"}, times=None),
        script="sleep 8; echo done",
    )  # fmt: skip
    assert 2 <= len(proxy.requests(watch)) <= 20


def test_s31_watch_expired(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path
) -> None:
    """410 when it starts and in the middle: relisted, nothing missed."""
    sweep(
        lab, proxy, shop, token, tmp_path,
        Fault.expired_watch(path=ALL_PODS, times=1),
        Fault.expired_event(path=ALL_PODS, after_events=1, times=1),
    )  # fmt: skip


OUTAGE_SECONDS = 20


def test_s31_an_outage_in_mid_run_costs_no_result(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path
) -> None:
    """All connections end and none is taken. The containers begin and end meanwhile, and nobody is
    told: by what is known they did not start in time."""
    proxy.clear()
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=shop)
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 1; done; echo done"
    playbook = pm.playbook(tmp_path, [{"name": "work", "script": script}])
    before = pm.ephemeral_containers(lab, shop)
    out = tmp_path / "out"
    words = ("--max-per-workload=0", "--no-canary", "--start-timeout=5")
    process = pm.start_run(lab, shop, playbook, "--kubeconfig", kubeconfig, *words, directory=out)
    most = sum(map(len, before.values())) + PODS
    until(
        lambda: sum(map(len, pm.ephemeral_containers(lab, shop).values())) == most,
        f"{PODS} containers are not there", every_seconds=0.1,
    )  # fmt: skip
    proxy.add(Fault.drop_request(times=None))
    proxy.hang_up()
    time.sleep(OUTAGE_SECONDS)
    proxy.clear()
    _, errors = process.communicate(timeout=OUTAGE_SECONDS + 90)
    assert (out / "report.json").exists(), errors
    report = json.loads((out / "report.json").read_bytes())
    assert [p["outcome"] for p in report["pods"]] == ["passed"] * PODS, errors
    assert {p["steps"][0]["stdout"] for p in report["pods"]} == {"done\n"}
    assert (process.returncode, report["run"]["aborted"]) == (0, "")
    after = pm.ephemeral_containers(lab, shop)
    assert {name: len(after[name]) - len(before[name]) for name in after} == dict.fromkeys(after, 1)


def test_slow_api_server(
    lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path
) -> None:
    sweep(lab, proxy, shop, token, tmp_path, Fault.latency(0.7, times=None))


def test_dropped_log(lab: Lab, proxy: FaultProxy, shop: str, token: str, tmp_path: Path) -> None:
    """A log that breaks off is read again, not believed. Each pod's once: twice is too often."""
    cuts = [
        Fault.cut(after_bytes=200, path=rf".*/{pod.metadata.name}/log", times=1)
        for pod in pm.pods(lab, shop)
    ]
    sweep(lab, proxy, shop, token, tmp_path, *cuts)


LIVES = (
    "n=$(($(cat /lives/n 2>/dev/null || echo 0) + 1)); echo $n >/lives/n; "
    "echo life $n says goodbye; [ $n -lt 3 ] || sleep 60; sleep 1; exit 3"
)


def test_s55_what_a_container_said_is_told_from_what_its_successor_says(
    lab: Lab, proxy: FaultProxy, tmp_path: Path, namespace: str
) -> None:
    """Its log is asked for, and before the answer comes the kubelet starts it anew."""
    app = pm.deployment("web", LIVES)
    pod = app["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "lives", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "lives", "mountPath": "/lives"}]
    token = service_account_token(lab, namespace)
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=namespace)
    pm.apply(lab, namespace, app)
    proxy.clear()
    # The second life has ended; the third begins ten seconds later, or some more on a busy node.
    for what in ("restartCount}=1", "state.terminated.exitCode}=3"):
        lab.kubectl(
            "wait", "pod", "-n", namespace, "-l", "app=web", "--timeout=180s",
            "--for=jsonpath={.status.containerStatuses[0]." + what,
        )  # fmt: skip
    proxy.add(Fault.latency(20.0, path=r".*/log", times=1))
    run = pm.run(
        lab, namespace, "crashloop", "--kubeconfig", kubeconfig, directory=tmp_path / "out"
    )
    evidence = [
        (e["source"], e["excerpt"]) for f in run.report["findings"] for e in f["evidence"]
        if "log of" in e["source"]
    ]  # fmt: skip
    assert evidence == [
        (
            "log of container app, after 1 restart; it was restarted while we read",
            "life 2 says goodbye",
        )
    ]
