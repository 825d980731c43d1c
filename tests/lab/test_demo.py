"""README's first command, on a lab of its own, with somebody's kubeconfig lying around."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import demo
from tests.lab import podmedic as pm

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab_named_demo() -> Iterator[None]:
    """Removed afterwards, unless it was there before."""
    command = [sys.executable, "-m", "lab", "--name", demo.NAME]
    was_up = subprocess.run([*command, "status"], cwd=ROOT, check=False).returncode == 0
    yield
    if not was_up:
        subprocess.run([*command, "down"], cwd=ROOT, check=True)


@pytest.mark.usefixtures("lab_named_demo")
def test_demo(tmp_path: Path) -> None:
    """Each sample's cause is named, the healthy ones are left in peace, and the user's own
    cluster is not asked anything."""
    other = tmp_path / "kubeconfig"
    other.write_text("this is not the demo's business")
    # Where labs live is the machine's affair, and that of whoever takes this one down.
    labs = {k: v for k, v in os.environ.items() if k in ("PODMEDIC_LAB_STATE", "PODMEDIC_CACHE")}
    done = subprocess.run(
        [sys.executable, "-m", "lab.demo"],
        env=pm.environment(None) | labs | {"KUBECONFIG": str(other), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "podmedic-report" / "report.json").read_bytes())
    top: dict[str, dict[str, Any]] = {}
    for finding in report["findings"]:
        top.setdefault(finding["workload"]["name"], finding)

    assert {name: (f["rule"], f["severity"]) for name, f in top.items()} == {
        "ledger": ("variable-missing", "critical"),
        "orders": ("host-unresolvable", "critical"),
        "thumbnails": ("out-of-memory", "critical"),
        "storefront": ("readiness-port-closed", "critical"),
        "mailer": ("image-not-found", "critical"),
    }
    assert "LEDGER_URL" in top["ledger"]["message"]
    assert "orders-db.demo.svc.cluster.local" in top["orders"]["message"]
    healthy = {p["workload"]["name"] for p in report["pods"] if p["outcome"] == "passed"}
    assert healthy == {"catalog", "queue"}
    assert "5 workloads broken, 2 healthy" in done.stdout
    assert "podmedic-report/report.html" in done.stdout
    assert "not-a-real-password" not in (tmp_path / "podmedic-report" / "report.json").read_text()
