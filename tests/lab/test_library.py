"""The playbooks about one subject each, together, on pods that have what they look for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_enterable
from tests.unit.certificates import self_signed

# The pods that have something, and what is said of each.
EXPECTED = {
    "busy": {"cpu-throttled"},
    "leaky": {"files-near-limit"},
    "old": {"certificate-expired"},
    "quiet": set[str](),
}
PLAYBOOKS = ("cpu-throttling", "resource-exhaustion", "tls-expiry")


def test_each_playbook_sees_what_it_is_for(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """One container in each pod for all of them, the healthy pod is left in peace."""
    lab.images("busybox", "tools")
    now = datetime.now(UTC)
    certificate, _ = self_signed(
        tmp_path, "shop.example", now - timedelta(days=9), now - timedelta(hours=1)
    )
    config: dict[str, Any] = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tls"},
        "data": {"tls.crt": certificate.read_text()},
    }  # fmt: skip
    old = pm.deployment("old", SLEEP)
    pod = old["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "tls", "configMap": {"name": "tls"}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "tls", "mountPath": "/tls"}]
    limit = {"resources": {"limits": {"cpu": "50m"}}}
    opens = 'ulimit -n 20; for i in 3 4 5 6 7 8 9; do eval "exec $i</dev/null"; done; '
    # A shell of its own for each ten: a single digit is all that sh can name.
    more = "exec 10</dev/null 11</dev/null 12</dev/null 13</dev/null 14</dev/null 15</dev/null 16</dev/null"
    pm.apply(
        lab, namespace, config, old,
        pm.deployment("busy", "while :; do :; done", container=limit),
        pm.deployment("leaky", f"{opens}{more}; {SLEEP}"),
        pm.deployment("quiet", SLEEP),
    )  # fmt: skip
    for name in EXPECTED:
        pm.wait_ready(lab, namespace, name)
    wait_enterable(lab, namespace, *EXPECTED)
    run = pm.run(lab, namespace, *PLAYBOOKS, directory=tmp_path / "out")
    said: dict[str, set[str]] = {name: set() for name in EXPECTED}
    for finding in run.report["findings"]:
        said[finding["workload"]["name"]].add(finding["rule"])
    steps = {
        (s["name"], s["outcome"], s["message"]) for p in run.report["pods"] for s in p["steps"]
    }
    assert said == EXPECTED, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    assert {len(names) for names in pm.ephemeral_containers(lab, namespace).values()} == {1}
