"""`podmedic resume` whatever way the pods were reached by: nothing is there twice, nothing is left."""

import signal
from pathlib import Path

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_copy import copies, copying, crashing
from tests.lab.test_interruptions import SLEEP, TOGETHER
from tests.lab.test_resume import resume
from tests.lab.test_sweep import wait_planned

SAY = {"name": "say", "script": "echo said", "timeoutSeconds": 30}


def killed(lab: Lab, namespace: str, path: Path, out: Path, at: str) -> None:
    run = pm.run(lab, namespace, path, *TOGETHER, directory=out, kill_at=at)
    assert run.code == -signal.SIGKILL, f"not reached: {run.stderr}"


def said(run: pm.Outcome) -> list[tuple[str, str]]:
    steps = [s for p in run.report["pods"] for s in p["steps"]]
    return [(s["outcome"], s["stdout"]) for s in steps]


@pytest.mark.parametrize("at", ["injecting-recorded:2", "patched:2", "running", "log-read"])
def test_a_container_that_stays_is_entered_again(
    lab: Lab, namespace: str, tmp_path: Path, at: str
) -> None:
    """One in each pod, although the run was killed twice; the next run enters it as well."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2))
    pm.wait_ready(lab, namespace, "web")
    debugger = {"image": "busybox:1.36", "lifetime": "resident"}
    path, out = pm.playbook(tmp_path, [SAY], debugger=debugger), tmp_path / "out"
    wait_planned(lab, namespace, path, tmp_path, app="web", strategy="target")
    killed(lab, namespace, path, out, at)
    resume(lab, out, kill_at=at)
    done = resume(lab, out)
    assert said(done) == [("passed", "said\n")] * 2, done.stderr
    assert {p["harm"]["verdict"] for p in done.report["pods"]} == {"unchanged"}
    made = pm.ephemeral_containers(lab, namespace)
    assert [len(found) for found in made.values()] == [1, 1]
    again = pm.run(lab, namespace, path, *TOGETHER, directory=tmp_path / "again")
    assert said(again) == [("passed", "said\n")] * 2
    assert pm.ephemeral_containers(lab, namespace) == made


@pytest.mark.parametrize("at", ["injecting-recorded", "patched", "running", "log-read", "examined"])
def test_there_is_one_copy_and_then_none(lab: Lab, namespace: str, tmp_path: Path, at: str) -> None:
    lab.images("busybox")
    crashing(lab, namespace)
    path, out = copying(tmp_path, SAY), tmp_path / "out"
    killed(lab, namespace, path, out, at)
    left = copies(lab, namespace)
    assert len(left) == (at not in ("injecting-recorded", "examined"))
    resume(lab, out, kill_at=at)
    # The second one may find that it has ended, and finish the run.
    known = {c["metadata"]["uid"] for c in left}
    assert {c["metadata"]["uid"] for c in copies(lab, namespace)} <= known
    done = resume(lab, out)
    assert said(done) == [("passed", "said\n")], done.stderr
    (pod,) = done.report["pods"]
    assert pod["harm"]["verdict"] == "unchanged"
    assert [(i["strategy"], i["reused"]) for i in pod["injections"]] == [("copy", bool(left))]
    assert copies(lab, namespace) == []
    assert not any(pm.ephemeral_containers(lab, namespace).values())
