"""Not all replicas, and a healthy one beside them."""

from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm

# The last three of five replicas crash.
SCRIPT = """
case $(hostname) in *-[234]) echo here is one too many; exit 1 ;; esac
trap 'sleep 0.2; exit 0' TERM; sleep 86400 & wait
"""
RULE: dict[str, Any] = {
    "id": "other-name", "severity": "warning", "title": "Another name", "each": "control.differs",
    "message": "{{ item.step }} differs from {{ control.pod }}.",
}  # fmt: skip
STEP = {"name": "who", "run": ["hostname"], "parse": {"regex": "(?m)(?P<ordinal>[0-9])$"}}
TARGETS = {"conditions": ["CrashLoopBackOff"], "sample": {"perOwner": 2, "control": 1}}


@pytest.fixture
def shop(lab: Lab, namespace: str) -> str:
    """A namespace with the five replicas."""
    lab.images("busybox")
    web = pm.deployment("web", SCRIPT) | {"kind": "StatefulSet"}
    web["spec"] |= {"serviceName": "web", "podManagementPolicy": "Parallel", "replicas": 5}
    pm.apply(lab, namespace, web)
    lab.kubectl("rollout", "status", "statefulset/web", "-n", namespace, "--timeout=180s")
    for ordinal in (2, 3, 4):
        lab.kubectl(
            "wait", f"pod/web-{ordinal}", "-n", namespace, "--timeout=180s",
            "--for=jsonpath={.status.containerStatuses[0].restartCount}=2",
        )  # fmt: skip
    return namespace


def told(run: pm.Outcome) -> list[tuple[str, str, str, bool, bool]]:
    return [
        (p["name"], p["outcome"], p["reason"], p["control"], bool(p["container"]))
        for p in run.report["pods"]
    ]


EXPECTED = [
    ("web-0", "passed", "", True, True),
    ("web-2", "warned", "", False, True),
    ("web-3", "warned", "", False, True),
    ("web-4", "skipped", "NotSampled", False, False),
]


def test_a_sample_with_a_control(lab: Lab, shop: str, tmp_path: Path) -> None:
    """And a run that was killed goes on with the same sample."""
    file = pm.playbook(tmp_path, [STEP], findings=[RULE], targets=TARGETS)
    out = tmp_path / "out"
    run = pm.run(lab, shop, file, directory=out)
    assert told(run) == EXPECTED
    assert [(f["message"], [p["name"] for p in f["pods"]]) for f in run.report["findings"]] == [
        ("who differs from web-0.", ["web-2", "web-3"])
    ]
    again = pm.podmedic(None, "analyze", out, "-o", "json", "-q", directory=out)
    assert again.stdout == (out / "report.json").read_text()

    killed = tmp_path / "killed"
    pm.run(lab, shop, file, directory=killed, kill_at="result-kept")
    assert not (killed / "report.json").exists()
    run = pm.podmedic(lab, "resume", killed, directory=killed)
    assert told(run) == EXPECTED, run.stderr
    assert {name: len(made) for name, made in pm.ephemeral_containers(lab, shop).items()} == {
        "web-0": 2, "web-1": 0, "web-2": 2, "web-3": 2, "web-4": 0,
    }  # fmt: skip
