"""The playbook config-drift on a pod whose ConfigMap was changed, and on one whose was not."""

from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_library_disk import said_of, steps_of
from tests.lab.test_sweep import SLEEP

EXPECTED = {
    "drifted": {"subpath-outdated", "variable-outdated", "configuration-changed-since-start"},
    "quiet": set[str](),
}


def config(name: str, level: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"LEVEL": level, "app.conf": f"level = {level}\n"},
    }


def wait_brought(lab: Lab, namespace: str, name: str, word: str) -> None:
    """Until the kubelet has brought the change into the volume, which takes a minute or two."""
    show = f"for i in 1 2 3 4 5 6 7 8 9 10; do grep -q {word} /conf/app.conf && exit; sleep 1; done; exit 1"
    for _ in range(20):
        said = lab.kubectl(
            "exec", "-n", namespace, f"deploy/{name}", "--", "sh", "-c", f"({show}) && echo there || true"
        )  # fmt: skip
        if "there" in said:
            return
    pytest.fail("the kubelet does not bring the change")


def test_configuration_that_the_container_does_not_have(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, config("drifted", "debug"), config("quiet", "info"))
    for name in EXPECTED:
        one_file = {"name": "conf", "mountPath": "/etc/app.conf", "subPath": "app.conf"}
        mounts = [{"name": "conf", "mountPath": "/conf"}]
        container = {
            "volumeMounts": [*mounts, one_file] if name == "drifted" else mounts,
            "env": [
                {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": name, "key": "LEVEL"}}}
            ],
            # Ready when a change is a change since its start, which can be awaited.
            "readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 65},
        }
        volumes = [{"name": "conf", "configMap": {"name": name}}]
        pm.apply(
            lab, namespace,
            pm.deployment(name, SLEEP, container=container, spec={"volumes": volumes}),
        )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED)
    pm.apply(lab, namespace, config("drifted", "hunter2"))
    wait_brought(lab, namespace, "drifted", "hunter2")
    run = pm.run(lab, namespace, "config-drift", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(EXPECTED)) == EXPECTED, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    texts = {f["rule"]: f["message"] for f in run.report["findings"]}
    assert "mounts /etc/app.conf by subPath" in texts["subpath-outdated"]
    assert "another value of LEVEL" in texts["variable-outdated"]
    assert "hunter2" not in (run.directory / "report.json").read_text()
