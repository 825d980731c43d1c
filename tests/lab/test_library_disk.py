"""The playbooks about disks and volumes on pods whose file systems are full, or not theirs to write."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_crashing, wait_enterable


def said_of(report: dict[str, Any], names: set[str]) -> dict[str, set[str]]:
    said: dict[str, set[str]] = {name: set() for name in names}
    for finding in report["findings"]:
        said[finding["workload"]["name"]].add(finding["rule"])
    return said


def steps_of(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(s["name"], s["outcome"], s["message"]) for p in report["pods"] for s in p["steps"]}


def test_what_is_full_and_what_holds_it(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """A file system in memory is the pod's own, so that it can be filled without harm."""
    lab.images("busybox", "tools")
    small = {"volumes": [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}]}
    mount = {"volumeMounts": [{"name": "m", "mountPath": "/data"}]}
    hold = "head -c 70000000 /dev/zero >/tmp/web.log; exec 3</tmp/web.log; rm /tmp/web.log"
    many = "mkdir -p /data/x/y; head -c 9000000 /dev/zero >/data/x/y/big; >/data/x/small"
    expected = {"full": {"disk-filled-by"}, "holds": {"deleted-file-held"}, "quiet": set[str]()}
    pm.apply(
        lab, namespace,
        pm.deployment("full", f"{many}; {SLEEP}", container=mount, spec=small),
        pm.deployment("holds", f"{hold}; {SLEEP}"),
        pm.deployment("quiet", SLEEP, container=mount, spec=small),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, *expected)
    wait_enterable(lab, namespace, *expected)
    run = pm.run(lab, namespace, "disk-full", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(expected)) == expected, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    full = next(f for f in run.report["findings"] if f["rule"] == "disk-filled-by")
    assert full["message"] == (
        "The file system at /data is full, and what writes there fails: more than half of what is "
        "in use is in /data/x/y (8.0 MiB)."
    )
    assert any("/data/x/y" in each["excerpt"] for each in full["evidence"]), full
    held = next(f for f in run.report["findings"] if f["rule"] == "deleted-file-held")
    assert "holds /tmp/web.log open" in held["message"]


def test_volumes_that_are_not_there_or_may_not_be_written(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox", "tools")
    user = {"runAsUser": 1000, "runAsGroup": 1000, "allowPrivilegeEscalation": False}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    closed = {
        "name": "close", "image": "busybox:1.36", "command": ["chmod", "755", "/data"], **mount,
    }  # fmt: skip
    own: dict[str, Any] = {"volumes": [{"name": "v", "emptyDir": {}}]}
    absent = {"volumes": [{"name": "v", "configMap": {"name": "absent"}}]}
    as_user = {**mount, "securityContext": user}
    expected = {
        "refused": {"volume-write-refused"},
        "closed": {"volume-not-writable"},
        "absent": {"volume-not-mountable"},
        "crashes": {"volume-write-refused"},
        "quiet": set[str](),
    }
    pm.apply(
        lab, namespace,
        pm.deployment("refused", f"echo x >/data/db; {SLEEP}", container=as_user,
                      spec={**own, "initContainers": [closed]}),
        pm.deployment("closed", SLEEP, container=as_user, spec={**own, "initContainers": [closed]}),
        # Nobody can enter it: its image is looked at, as its user.
        pm.deployment(
            "crashes", "sleep 1; echo x >/data/db || exit 1", container=as_user,
            spec={**own, "initContainers": [closed]},
        ),
        pm.deployment("absent", SLEEP, container=mount, spec=absent),
        pm.deployment("quiet", SLEEP, container=as_user, spec=own),
    )  # fmt: skip
    entered = ("refused", "closed", "quiet")
    pm.wait_ready(lab, namespace, *entered)
    wait_enterable(lab, namespace, *entered)
    wait_crashing(lab, namespace, "crashes", 1)
    run = pm.run(lab, namespace, "volume-mount", directory=tmp_path / "out")
    assert said_of(run.report, set(expected)) == expected, steps_of(run.report)
    messages = {f["rule"]: f["message"] for f in run.report["findings"]}
    assert "fails at /data/db" in messages["volume-write-refused"]
    assert messages["volume-not-mountable"].endswith('configmap "absent" not found')
    seen = next(f for f in run.report["findings"] if f["rule"] == "volume-not-writable")
    assert any("0:0:755" in each["excerpt"] for each in seen["evidence"]), seen
