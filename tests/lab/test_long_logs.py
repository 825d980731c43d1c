"""Containers that say why they end, and then so much that the end of their log does not."""

import re
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.waiting import until, wait_crashing

# Some 4 MB, as a service that is asked often writes them.
BUSY = "awk 'BEGIN { for (n = 0; n < 80000; n++) printf \"%06d GET /orders/%d 200 in 3 ms, 4711 bytes\\n\", n, n }'"
# What a program in Go says of a thousand threads, of which the first one is to blame.
STACKS = (
    "awk 'BEGIN { for (n = 1; n < 20000; n++) printf \"\\ngoroutine %d [select]:\\nmain.worker(0xc0)\\n"
    "\\t/app/worker.go:44 +0x1d\\ncreated by main.main\\n\", n }'"
)


def job(name: str, script: str) -> dict[str, Any]:
    """One that is given up at once."""
    spec = pm.deployment(name, script, spec={"restartPolicy": "Never"})["spec"]["template"]
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": spec},
    }  # fmt: skip


def test_the_reason_is_found_where_it_is(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    first = f"echo 'panic: open /etc/app/prices.yaml: no such file or directory'; {STACKS}; exit 2"
    middle = (
        f"{BUSY}; echo 'FATAL: license server said: seat limit of 25 is used up'; {BUSY}; exit 3"
    )
    # A log is taken for rotated that begins some seconds after its container, which lived for ten.
    # More than the kubelet keeps in one file (10 MiB); it looks every ten seconds, or more seldom
    # on a busy machine.
    ticks = "until [ -e /tmp/rotated ]; do sleep 1; echo tick; done; echo tick"
    rotated = f"echo 'FATAL: no seat is left'; sleep 10; {BUSY}; {BUSY}; {BUSY}; {ticks}; exit 4"
    pm.apply(
        lab, namespace, pm.deployment("first", first), pm.deployment("middle", middle),
        job("rotated", rotated),
    )  # fmt: skip
    for name in ("first", "middle"):
        wait_crashing(lab, namespace, name, 1)
    until(
        lambda: [*lab.layout.pod_logs.glob(f"{namespace}_rotated-*/app/0.log.*")],
        "the log of job/rotated is not rotated",
    )
    lab.kubectl("exec", "job/rotated", "-n", namespace, "--", "touch", "/tmp/rotated")
    failed = "--for=condition=Failed"
    lab.kubectl("wait", "job/rotated", "-n", namespace, failed, "--timeout=180s")
    run = pm.run(lab, namespace, directory=tmp_path / "out")
    found = {f["workload"]["name"]: f for f in reversed(run.report["findings"])}
    assert found["first"]["message"] == (
        "Container app exits with code 2 because, as its log says, /etc/app/prices.yaml "
        "cannot be found."
    )
    assert "FATAL: license server said: seat limit of 25 is used up" in found["middle"]["message"]
    # Nobody can read what was rotated away, and that is said.
    found.pop("rotated")
    gone = next(f for f in run.report["findings"] if f["rule"] == "exits")
    assert (gone["workload"]["name"], gone["confidence"]) == ("rotated", "possible")
    (log,) = (e["source"] for e in gone["evidence"] if "log of container app" in e["source"])
    assert re.search(
        r"; it begins \d+ s after the start: what was before was rotated away, or there was nothing$",
        log,
    ), log
    for finding in found.values():
        (log,) = (e for e in finding["evidence"] if "log of container app" in e["source"])
        assert log["source"].endswith(", before its last lines")
        assert {"first": "prices.yaml", "middle": "seat limit"}[finding["workload"]["name"]] in (
            log["excerpt"]
        )
