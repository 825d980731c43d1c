"""`podmedic resume`: what is missing is done, nothing is injected twice, and the rest is said."""

import json
import signal
from pathlib import Path

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import SLEEP, TOGETHER, wait_injected

PODS = 4


def resume(lab: Lab, directory: Path, *arguments: str) -> pm.Outcome:
    return pm.podmedic(lab, "resume", directory, *arguments, directory=directory)


@pytest.fixture
def shop(lab: Lab, namespace: str) -> str:
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=PODS))
    pm.wait_ready(lab, namespace, "web")
    return namespace


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
    wait_injected(process, out, 2)
    code, _, stderr = pm.kill(process, signal.SIGTERM)
    assert code == 2, stderr
    first = json.loads((out / "report.json").read_bytes())["run"]
    slow.write_text("no playbook any more")

    done = resume(lab, out)

    run_id = first["id"]
    assert done.code == 0, done.stderr
    assert f"podmedic: run {run_id} goes on: 0 of {PODS} pods are done\n" in done.stderr
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
    wait_injected(process, out, 2)
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
        f"podmedic: run {report['run']['id']} goes on: 1 of {PODS} pods are done; "
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


def test_another_cluster_is_refused(lab: Lab, shop: str, tmp_path: Path) -> None:
    """One line, and no pod is touched."""
    out = tmp_path / "out"
    process = pm.start_run(lab, shop, probe(tmp_path, 3), "--max-in-flight=1", directory=out)
    wait_injected(process, out, 1)
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
