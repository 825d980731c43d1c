"""Ten thousand different alerts within a minute: what `podmedic serve` accepts of them runs, once."""

import asyncio
import json
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab import serving as sv
from tests.lab.test_cronjob import reports
from tests.lab.test_serve import named
from tests.unit.alerts import body

__all__ = ["reports"]
# Few, so that the storm meets a full queue and its runs can really run.
PER_MINUTE, AT_ONCE, QUEUED = 8, 3, 2
OPTIONS = (
    f"--runs-per-minute={PER_MINUTE}", f"--max-runs={AT_ONCE}", f"--max-queued={QUEUED}",
)  # fmt: skip


def template(lab: Lab, namespace: str, folder: Path) -> dict[str, Any]:
    """The Job that is shipped, with its volume and its permissions."""
    role = pm.podmedic(lab, "rbac", "triage", "--namespaced", "-n", namespace, directory=folder)
    lab.kubectl("apply", "-n", namespace, "-f", "-", input=role.stdout)
    lab.kubectl("apply", "-n", namespace, "-f", "-",
                input=json.dumps(sv.manifest("PersistentVolumeClaim")))  # fmt: skip
    found = sv.job_template()
    pod = found["spec"]["template"]["spec"]
    pod["volumes"][0] = {
        "name": "reports", "persistentVolumeClaim": {"claimName": "podmedic-reports"},
    }  # fmt: skip
    # A node keeps an image that it has under the name of a release.
    image = pod["containers"][0]["image"] = f"ghcr.io/podmedic/runner:{namespace}"
    lab.images("runner")
    lab.tag("runner", image)
    return found


def test_a_storm_keeps_the_budget_costs_no_memory_and_what_was_accepted_runs_once(
    lab: Lab, namespace: str, tmp_path: Path, reports: Path
) -> None:
    """Although serve is killed with -9 when it is over, with runs that wait, and others under way."""
    account = sv.account(lab, namespace, tmp_path)
    made_from = template(lab, namespace, tmp_path / "x")
    # About pods that are gone: the report says so, and nothing is injected.
    groups = {
        first: body(*(named(n, namespace=namespace) for n in range(first, first + 5)))
        for first in range(0, 10_000, 5)
    }
    with sv.serve(tmp_path, account, namespace, *OPTIONS, template=made_from) as served:
        codes = asyncio.run(sv.post_all(served.url, dict(list(groups.items())[:100])))
        before = served.memory_kib()
        began = time.monotonic()
        codes |= asyncio.run(sv.post_all(served.url, dict(list(groups.items())[100:])))
        seconds = time.monotonic() - began
        grown = served.memory_kib() - before
        served.kill()
    with sv.serve(tmp_path, account, namespace, *OPTIONS, template=made_from) as served:
        # As Alertmanager does with what got a 503: again and again, until there is room.
        late = next(number for number, code in codes.items() if code == 503)
        sv.until(lambda: served.ask("/v1/alerts", groups[late])[0] == 202, 120)
        accepted = {number for number, code in codes.items() if code == 202} | {late}

        def states() -> list[str]:
            return [run["state"] for run in served.ask("/v1/runs")[1]["runs"]]

        sv.until(lambda: set(states()) == {"succeeded"}, 180)
        repeated = asyncio.run(
            sv.post_all(served.url, {number: groups[number] for number in accepted})
        )
        made = sv.jobs(lab, namespace)

    assert seconds < 60
    assert grown < 30 * 1024
    assert Counter(codes.values()).keys() == {202, 503}
    assert len(codes) == 2000
    # More than the queue could hold at any time: room came back when a run ended.
    assert len(accepted) > AT_ONCE + QUEUED
    assert set(repeated.values()) == {202}
    assert len(made) == len(accepted)
    # A finished run for each alert that was accepted, whose report carries it, and none for others.
    carried = Counter(
        alert["labels"]["pod"]
        for file in (reports / "alerts").glob("*/report.json")
        for alert in json.loads(file.read_bytes())["run"]["trigger"]["alerts"]
    )
    assert carried == {f"app{n}-0": 1 for first in accepted for n in range(first, first + 5)}
    _assert_within_budget(made)


def _assert_within_budget(made: list[dict[str, Any]]) -> None:
    """At every instant, by what the API server has written down."""
    spans = sorted(
        (
            datetime.fromisoformat(job["metadata"]["annotations"]["podmedic.io/released-at"]),
            datetime.fromisoformat(job["status"]["completionTime"]),
        )
        for job in made
    )
    released = [begin for begin, _ in spans]
    assert all(
        later - earlier > timedelta(seconds=59)
        for earlier, later in zip(released, released[PER_MINUTE:], strict=False)
    )
    for at in released:
        assert sum(begin <= at < end for begin, end in spans) <= AT_ONCE
