"""Strategy `catch`: a target that lives for seconds is seen while it lives."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_strategies import attempts
from tests.lab.waiting import wait_restarted

SHORT = "sleep 3; echo gone >&2; exit 1"
WHO = {
    "name": "who",
    "script": "tr '\\0' ' ' </proc/1/cmdline",
    "needs": {"target": True},
}
ENDLESS = {
    "name": "endless",
    "run": ["sleep", "60"],
    "timeoutSeconds": 90,
    "needs": {"target": True},
}


def catch(
    folder: Path, *steps: dict[str, Any], then: tuple[str, ...] = (), **debugger: Any
) -> Path:
    settings = {"image": "busybox:1.36", "strategy": ["target", "catch", *then], **debugger}
    return pm.playbook(folder, steps, debugger=settings)


def examined(lab: Lab, namespace: str, path: Path, directory: Path) -> dict[str, Any]:
    run = pm.run(lab, namespace, path, directory=directory)
    (pod,) = run.report["pods"]
    return dict(pod)


def test_s17_a_container_that_lives_three_seconds_is_seen_alive(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """By one container, for its image is that of the app; its restarts are what they would be."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("short", SHORT))
    wait_restarted(lab, namespace, "short")
    pod = examined(lab, namespace, catch(tmp_path, WHO), tmp_path / "out")
    (step,) = pod["steps"]
    assert (step["outcome"], step["stdout"]) == ("passed", f"sh -c {SHORT} "), pod
    assert attempts(pod)[0] == ("target", "refused", "TargetNotRunning")
    assert attempts(pod)[-1][:2] == ("catch", "used")
    assert {i["targetContainerName"] for i in pod["injections"]} == {"app"}
    assert pod["strategy"] == "catch"
    assert pod["harm"]["verdict"] == "unchanged"


def test_s17_the_image_is_on_the_node_before_the_window(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Another image than the app's comes first, in a container that sees nothing of the app."""
    lab.images("busybox", "python")
    pm.apply(lab, namespace, pm.deployment("short", SHORT, image="python:3"))
    wait_restarted(lab, namespace, "short")
    path = catch(tmp_path, WHO)
    pod = examined(lab, namespace, path, tmp_path / "out")
    assert pod["steps"][0]["outcome"] == "passed", pod
    first, *windows = pod["injections"]
    assert (first["targetContainerName"], first["strategy"]) == ("", "catch")
    assert windows
    assert {i["targetContainerName"] for i in windows} == {"app"}
    (seen,) = pm.pods(lab, namespace)
    (puller,) = [c for c in seen.spec.ephemeral_containers if c.name == first["container"]]
    assert [v.name for v in puller.env] == ["PODMEDIC_RUN"]
    assert puller.volume_mounts == ()


def test_s18_what_was_seen_before_the_target_died_is_kept(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("short", SHORT.replace("3", "4")))
    wait_restarted(lab, namespace, "short")
    pod = examined(lab, namespace, catch(tmp_path, WHO, ENDLESS), tmp_path / "out")
    assert [(s["name"], s["outcome"], s["reason"]) for s in pod["steps"]] == [
        ("who", "passed", ""), ("endless", "error", "TargetDied"),
    ]  # fmt: skip
    assert (pod["outcome"], pod["reason"]) == ("unknown", "TargetDied")
    assert pod["message"] == "container app ended with exit code 1 and took ours with it"
    assert len(pod["injections"]) <= 3


def test_s18_an_oom_is_not_taken_for_the_targets_death(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Nobody enters a second time what ran out of memory."""
    lab.images("busybox")
    limits = {"resources": {"limits": {"memory": "32Mi", "cpu": "500m"}}}
    script = "sleep 4; tail /dev/zero; kill -9 $$"
    pm.apply(lab, namespace, pm.deployment("eater", f"{script}", container=limits))
    wait_restarted(lab, namespace, "eater")
    pod = examined(lab, namespace, catch(tmp_path, WHO, ENDLESS), tmp_path / "out")
    assert pod["reason"] == "OOMKilled", pod
    assert pod["steps"][0]["outcome"] == "passed"
    assert len([a for a in attempts(pod) if a[0] == "catch"]) == 1


def test_catch_is_refused_where_it_makes_no_sense(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """No step needs the target: nobody waits for it."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("short", SHORT))
    wait_restarted(lab, namespace, "short")
    net = {"name": "net", "run": ["cat", "/etc/resolv.conf"]}
    ways: tuple[tuple[str, ...], ...] = ((), ("shared",))
    for then, outcome in zip(ways, ("not-evaluated", "passed"), strict=True):
        path = catch(tmp_path, net, then=then)
        pod = examined(lab, namespace, path, tmp_path / f"out{len(then)}")
        assert attempts(pod)[1] == ("catch", "refused", "NotNeeded")
        assert pod["steps"][0]["outcome"] == outcome


def test_an_image_that_cannot_be_had_is_said_before_any_window(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("short", SHORT))
    wait_restarted(lab, namespace, "short")
    path = catch(tmp_path, WHO, image="podmedic.invalid/none:1")
    pod = examined(lab, namespace, path, tmp_path / "out")
    assert pod["reason"] in ("ErrImagePull", "ImagePullBackOff"), pod
    assert (pod["steps"][0]["outcome"], pod["steps"][0]["reason"]) == (
        "not-evaluated", pod["reason"],
    )  # fmt: skip
    assert [i["targetContainerName"] for i in pod["injections"]] == [""]
    assert attempts(pod)[1][:2] == ("catch", "failed")
