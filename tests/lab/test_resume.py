"""`podmedic resume`: what is missing is done, nothing is injected twice, and the rest is said."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handle import Lab
from runner.killpoints import POINTS
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import SLEEP, TOGETHER, journal_events, wait_injected

PODS = 3


def resume(lab: Lab, directory: Path, *arguments: str, kill_at: str = "") -> pm.Outcome:
    words: tuple[str | Path, ...] = ("resume", directory, *arguments)
    return pm.podmedic(lab, *words, directory=directory, kill_at=kill_at)


@pytest.fixture
def shop(lab: Lab, namespace: str) -> str:
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=PODS))
    pm.wait_ready(lab, namespace, "web")
    return namespace


@pytest.fixture(scope="module")
def crowded(lab: Lab) -> Iterator[str]:
    """The same for all of its tests: each leaves a container in each pod."""
    with lab.namespace("resume") as namespace:
        pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=PODS))
        pm.wait_ready(lab, namespace, "web")
        yield namespace


def probe(directory: Path, seconds: int) -> Path:
    step = {"name": "slow", "script": f"sleep {seconds}; echo done", "timeoutSeconds": 60}
    return pm.playbook(directory, [step])


def one_each(lab: Lab, namespace: str) -> bool:
    return {len(found) for found in pm.ephemeral_containers(lab, namespace).values()} == {1}


def test_an_interrupted_run_is_finished(lab: Lab, shop: str, tmp_path: Path) -> None:
    """By its own options and its own playbook, whatever the file says by now, whatever directory
    one stands in; once more, and it says that it has finished, with the run's exit code."""
    out, slow = tmp_path / "out", probe(tmp_path, 6)
    process = pm.start_run(
        lab, shop, slow, *TOGETHER, "--max-in-flight=2", "--max-per-node=7", directory=out
    )
    wait_injected(lab, shop, process, out, 2)
    code, _, stderr = pm.kill(process, signal.SIGTERM)
    assert code == 2, stderr
    first = json.loads((out / "report.json").read_bytes())["run"]
    slow.write_text("no playbook any more")

    done = resume(lab, out)

    run_id = first["id"]
    assert done.code == 0, done.stderr
    assert f"podmedic: run {run_id} goes on: 0 of {PODS} pods done\n" in done.stderr
    run = done.report["run"]
    assert (run["id"], run["startedAt"]) == (run_id, first["startedAt"])
    assert (run["resumed"], run["interrupted"]) == (True, False)
    assert [p["outcome"] for p in done.report["pods"]] == ["passed"] * PODS
    assert {p["steps"][0]["stdout"] for p in done.report["pods"]} == {"done\n"}
    assert one_each(lab, shop)
    record = json.loads((out / "run.json").read_bytes())
    assert (record["options"]["maxPerNode"], record["options"]["namespaces"]) == (7, [shop])
    assert not (out / "results.jsonl").exists()

    again = resume(lab, out)
    assert (again.code, again.stdout) == (0, "")
    assert again.stderr.startswith(f"podmedic: run {run_id} finished at ")
    assert again.stderr.endswith(
        f" with exit code 0; nothing is left to do; its report is {out}/report.html\n"
    )
    assert one_each(lab, shop)


def test_pods_that_went_away(lab: Lab, shop: str, tmp_path: Path) -> None:
    """One that was done keeps its result, one that was not is named; their successors are no part
    of the run."""
    out = tmp_path / "out"
    process = pm.start_run(lab, shop, probe(tmp_path, 3), "--max-in-flight=1", directory=out)
    wait_injected(lab, shop, process, out, 2)
    pm.kill(process, signal.SIGKILL)
    kept = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert len(kept) == 1
    done_one = kept[0]["result"]["name"]
    missing = next(name for name, found in pm.ephemeral_containers(lab, shop).items() if not found)
    lab.kubectl("delete", "pod", done_one, missing, "-n", shop, "--grace-period=1")
    pm.wait_ready(lab, shop, "web")

    done = resume(lab, out, "-q")

    assert done.code == 1, done.stderr
    report = done.report
    assert done.stderr == (
        f"podmedic: run {report['run']['id']} goes on: 1 of {PODS} pods done; "
        f"gone meanwhile: {shop}/{missing}\n"
    )
    found = {p["name"]: (p["outcome"], p["reason"]) for p in report["pods"]}
    assert len(found) == PODS
    assert found.pop(missing) == ("unknown", "PodGone")
    assert set(found.values()) == {("passed", "")}
    assert done_one in found
    # Successors carry none of ours.
    containers = pm.ephemeral_containers(lab, shop)
    assert {name: len(found) for name, found in containers.items() if name in found} == {}
    assert {
        len(v) for k, v in containers.items() if k not in {p["name"] for p in report["pods"]}
    } == {0}


def test_an_app_that_ended_meanwhile_is_told(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Between the kill and `resume` the app's container ended, which may be our doing: that pod is
    not called healthy, and no other one is touched any more."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2))
    pm.wait_ready(lab, namespace, "web")
    out = tmp_path / "out"
    process = pm.start_run(lab, namespace, probe(tmp_path, 1), "--max-in-flight=1", directory=out)
    wait_injected(lab, namespace, process, out, 1)
    pm.kill(process, signal.SIGKILL)
    (touched,) = [v["pod"] for v in journal_events(out, "injecting")]
    lab.kubectl("exec", touched, "-n", namespace, "-c", "app", "--", "kill", "1")
    lab.kubectl(
        "wait", f"pod/{touched}", "-n", namespace, "--timeout=180s",
        "--for=jsonpath={.status.containerStatuses[0].restartCount}=1",
    )  # fmt: skip
    pm.wait_pod(lab, namespace, touched)

    done = resume(lab, out, "--quiet")

    assert done.code == 3, done.stderr
    found = {p["name"]: p for p in done.report["pods"]}
    told = found.pop(touched)
    assert (told["outcome"], told["reason"]) == ("warned", "EndedMeanwhile")
    assert told["message"].startswith(
        "container app was running and ready, now ended with exit code 0 (Completed)"
    )
    ((name, other),) = found.items()
    assert (other["outcome"], other["reason"]) == ("skipped", "BreakerOpen")
    assert pm.ephemeral_containers(lab, namespace)[name] == []
    again = resume(lab, out)
    assert again.code == 3
    assert " with exit code 3; nothing is left to do; " in again.stderr


def test_another_cluster_is_refused(lab: Lab, shop: str, tmp_path: Path) -> None:
    """One line, and no pod is touched."""
    out = tmp_path / "out"
    process = pm.start_run(lab, shop, probe(tmp_path, 3), "--max-in-flight=1", directory=out)
    wait_injected(lab, shop, process, out, 1)
    pm.kill(process, signal.SIGKILL)
    before = pm.generations(lab, shop)
    path = out / "run.json"
    record = json.loads(path.read_bytes())
    uid = record["cluster"]["kubeSystemUid"]
    found = lab.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    assert uid == found
    record["cluster"]["kubeSystemUid"] = "other"
    path.write_text(json.dumps(record))

    refused = resume(lab, out)

    assert (refused.code, refused.stdout) == (4, "")
    assert refused.stderr == (
        "podmedic: the run belongs to another cluster than the one that is now at "
        f"{record['cluster']['server']}: namespace kube-system has uid {uid}, it had other; "
        "name the run's cluster by --kubeconfig or --context\n"
    )
    assert pm.generations(lab, shop) == before


# Those that come once for each pod: there one pod is done, or on its way, before the kill.
OF_PODS = POINTS[POINTS.index("injecting-unwritten") : POINTS.index("all-examined")]


def run_id_of(directory: Path) -> str:
    return str(json.loads((directory / "run.json").read_bytes())["run"])


def counted(lab: Lab, namespace: str) -> dict[str, int]:
    return {name: len(found) for name, found in pm.ephemeral_containers(lab, namespace).items()}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(lab: Lab, crowded: str, tmp_path: Path, point: str) -> None:
    """And killed there once more by the first resume: the second one completes the run, with one
    container more in each pod."""
    out, words = tmp_path / "out", (probe(tmp_path, 1), *TOGETHER, "--cap=0")
    before = counted(lab, crowded)
    at = f"{point}:2" if point in OF_PODS else point
    killed = pm.run(lab, crowded, *words, "--max-in-flight=2", directory=out, kill_at=at)
    assert killed.code == -signal.SIGKILL, f"not reached: {killed.stderr}"
    if point == "directory-locked":
        none = resume(lab, out)
        assert (none.code, "it has no run.json" in none.stderr) == (4, True)
        assert counted(lab, crowded) == before
        assert pm.run(lab, crowded, *words, directory=out).code == 0
        return
    run_id = run_id_of(out)

    resume(lab, out, kill_at=at)
    done = resume(lab, out)

    assert done.code == 0, done.stderr
    assert done.report["run"]["id"] == run_id_of(out) == run_id
    assert [p["outcome"] for p in done.report["pods"]] == ["passed"] * PODS
    assert {p["steps"][0]["stdout"] for p in done.report["pods"]} == {"done\n"}
    assert all(p["harm"]["verdict"] == "unchanged" for p in done.report["pods"])
    assert (out / "report.html").exists()
    assert counted(lab, crowded) == {name: count + 1 for name, count in before.items()}


@pytest.mark.parametrize("at", ["injecting-recorded:2", "patched:2", "running", "log-read"])
def test_killed_in_the_second_attempt(lab: Lab, namespace: str, tmp_path: Path, at: str) -> None:
    """The image has no shell, so a second container was sent: neither is sent again. What it did
    stands in the pod's status, as no step wrote anything: no log of ours is asked for."""
    pause = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"},
        "spec": {"containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10"}]},
    }  # fmt: skip
    pm.apply(lab, namespace, pause)
    pm.wait_pod(lab, namespace, "bare")
    debugger = {"image": "busybox:1.36", "strategy": ["own-image", "shared"]}
    path = pm.playbook(tmp_path, [{"name": "net", "run": ["true"]}], debugger=debugger)
    out, offset = tmp_path / "out", lab.audit_offset()
    assert pm.run(lab, namespace, path, directory=out, kill_at=at).code == -signal.SIGKILL

    done = resume(lab, out)

    assert done.code == 0, done.stderr
    (pod,) = done.report["pods"]
    assert [(a["strategy"], a["outcome"]) for a in pod["strategies"]] == [
        ("own-image", "failed"), ("shared", "used"),
    ]  # fmt: skip
    assert pod["injections"][-1]["transport"] == "status"
    asked = [event["requestURI"] for event in lab.requests(offset, user_agent="podmedic/")]
    assert not [uri for uri in asked if f"/{namespace}/" in uri and "container=podmedic-" in uri]
    (found,) = pm.ephemeral_containers(lab, namespace).values()
    # The API server puts the latest one first.
    assert sorted(name[-2:] for name in found) == ["-1", "-2"]
