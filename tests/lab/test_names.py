"""Names of containers: long ones, and ones that somebody else has."""

import json
from pathlib import Path

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import journal_events
from tests.lab.test_resume import resume
from tests.lab.test_sweep import SLEEP


def test_s38_the_longest_names_and_a_name_that_somebody_took(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Containers are found by their name: one of ours is none that is there already, whoever made
    it, and somebody's that has the name which ours was about to get is left alone and said."""
    lab.images("busybox")
    longest = "a" * 63
    setup = {"name": "b" * 63, "image": "busybox:1.36", "command": ["true"]}
    app = pm.deployment("web", SLEEP, container={"name": longest}, spec={"initContainers": [setup]})
    pm.apply(lab, namespace, app)
    pm.wait_ready(lab, namespace, "web")
    path = pm.playbook(
        tmp_path,
        [{"name": "who", "run": ["id"]}],
        debugger={"image": "busybox:1.36", "namePrefix": "c" * 40},
    )
    path.write_text(path.read_text().replace('"name": "probe"', f'"name": "{"d" * 63}"'))
    (pod,) = pm.pods(lab, namespace)
    out = tmp_path / "out"
    pm.run(lab, namespace, path, directory=out, kill_at="injecting-recorded")
    (taken,) = [line["container"] for line in journal_events(out, "injecting")]
    theirs = [
        {"name": name, "image": "busybox:1.36", "command": ["true"]}
        for name in ("debugger-x7k2p", taken)
    ]
    lab.kubectl(
        "patch", "pod", pod.metadata.name, "-n", namespace, "--subresource=ephemeralcontainers",
        "--patch", json.dumps({"spec": {"ephemeralContainers": theirs}}),
    )  # fmt: skip

    back = resume(lab, out)
    (result,) = back.report["pods"]
    assert (result["outcome"], result["reason"]) == ("error", "ContainerNameTaken"), result
    assert taken in result["message"]

    (result,) = pm.run(lab, namespace, path, directory=tmp_path / "next").report["pods"]
    assert (result["outcome"], result["targetContainer"]) == ("passed", longest), result
    assert len(result["container"]) <= 63
    assert {*pm.ephemeral_containers(lab, namespace)[pod.metadata.name]} == {
        "debugger-x7k2p", taken, result["container"],
    }  # fmt: skip
    assert result["harm"]["verdict"] == "unchanged"
