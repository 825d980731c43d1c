"""`podmedic resume` whatever way the pods were reached by: nothing is there twice, nothing is left."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_catch import SHORT, WHO, catch
from tests.lab.test_copy import copies, copying, crashing
from tests.lab.test_interruptions import SLEEP, TOGETHER
from tests.lab.test_resume import resume
from tests.lab.waiting import wait_enterable, wait_restarted

SAY = {"name": "say", "script": "echo said", "timeoutSeconds": 30}


def killed(lab: Lab, namespace: str, path: Path, out: Path, at: str, *words: str) -> None:
    run = pm.run(lab, namespace, path, *TOGETHER, *words, directory=out, kill_at=at)
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
    wait_enterable(lab, namespace, "web")
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


# Its third life is the last one.
RECOVERS = """n=$(cat /lives/n 2>/dev/null || echo 0); echo $((n + 1)) >/lives/n
[ $n != 0 ] || exit 1; [ $n != 1 ] || { sleep 8; exit 1; }; exec sleep 3600"""
LIVES = {"volumes": [{"name": "lives", "emptyDir": {}}]}
MOUNTED = {"volumeMounts": [{"name": "lives", "mountPath": "/lives"}]}
LATER = {"name": "later", "script": "sleep 8; echo later", "needs": {"target": True}}


def _caught(lab: Lab, namespace: str, folder: Path, app: str, at: str) -> dict[str, Any]:
    """The one pod of the app, after a run that was killed there was finished."""
    folder.mkdir()
    steps = (WHO, LATER) if app == "recovers" else (WHO,)
    path, out = catch(folder, *steps), folder / "out"
    wait_restarted(lab, namespace, app)
    killed(lab, namespace, path, out, at, f"--selector=app={app}")
    if app == "recovers":
        # Two lives later nothing says any more how the one ended that ours was in.
        lab.kubectl(
            "wait", "pod", "-n", namespace, "-l", f"app={app}", "--timeout=180s",
            "--for=jsonpath={.status.containerStatuses[0].restartCount}=2",
        )  # fmt: skip
        lab.kubectl("wait", "pod", "-n", namespace, "-l", f"app={app}", "--for=condition=Ready")
    made = _made(lab, namespace, app)
    (pod,) = resume(lab, out).report["pods"]
    return {**pod, "before": made, "after": _made(lab, namespace, app)}


def _made(lab: Lab, namespace: str, app: str) -> list[str]:
    of_app = next(p for p in pm.pods(lab, namespace) if p.metadata.labels["app"] == app)
    return sorted(c.name for c in of_app.spec.ephemeral_containers)


def test_a_catch_goes_on_in_what_is_there_and_in_the_next_window(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Side by side, for each waits for lives to come. Where the target recovered meanwhile, too."""
    lab.images("busybox")
    points = {"sent": "patched", "seen": "running", "read": "log-read", "recovers": "running"}
    short = [pm.deployment(app, SHORT) for app in points if app != "recovers"]
    pm.apply(
        lab, namespace, *short, pm.deployment("recovers", RECOVERS, container=MOUNTED, spec=LIVES)
    )
    with ThreadPoolExecutor(len(points)) as pool:
        found = pool.map(
            lambda item: _caught(lab, namespace, tmp_path / item[0], *item), points.items()
        )
    pods = dict(zip(points, found, strict=True))
    for pod in pods.values():
        assert {step["outcome"] for step in pod["steps"]} == {"passed"}, pod
        assert pod["injections"][0]["reused"], pod
        assert pod["after"] == sorted(i["container"] for i in pod["injections"])
        assert {*pod["before"]} == {i["container"] for i in pod["injections"] if i["reused"]}
    # What was read before the kill is read again.
    assert pods["read"]["after"] == pods["read"]["before"]
    tried = [s["reason"] for s in pods["recovers"]["strategies"] if s["outcome"] != "refused"]
    assert "TargetDied" in tried[:-1]
    assert tried[-1] == ""


def test_what_is_there_is_read_although_the_pod_has_finished(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Nothing more could be injected into it; what was, had said its word."""
    app = {"name": "app", "image": "busybox:1.36", "command": ["sleep", "8"]}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [app]}
    job = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job"}, "spec": spec}
    pm.apply(lab, namespace, job)
    pm.wait_pod(lab, namespace, "job")
    debugger = {"image": "busybox:1.36", "strategy": ["shared"]}
    path, out = pm.playbook(tmp_path, [SAY], debugger=debugger), tmp_path / "out"
    killed(lab, namespace, path, out, "log-read")
    lab.kubectl("wait", "pod/job", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded")
    done = resume(lab, out)
    assert said(done) == [("passed", "said\n")], done.stderr
    (pod,) = done.report["pods"]
    assert [(i["strategy"], i["reused"]) for i in pod["injections"]] == [("shared", True)]
    assert len(pm.ephemeral_containers(lab, namespace)["job"]) == 1
