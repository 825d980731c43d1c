"""Is the wall-clock what the cluster's own slowness allows? Two hundred simulated pods whose
ephemeral containers take 1 to 3 s, examined all at once and 32 at a time.

What each pod took is read from the audit log: from our PATCH to kwok's word that the container
has ended. With c places, nobody is quicker than the slowest pod, nor than their sum over c.
"""

import statistics
from datetime import datetime
from typing import Any

from bench.measure import command_line, limit, spread
from bench.recording import record
from bench.simulation import simulation
from bench.sweeps import LIFTED, SCRIPT, expected_stdout, program_step, sweep
from lab.handle import Lab

PODS = 200
_AT_ONCE = (200, 32)
_OF_IDEAL = 1.10
_START_SECONDS = 0.5


def _time(event: dict[str, Any], field: str) -> float:
    return datetime.fromisoformat(event[field]).timestamp()


def _pod_seconds(lab: Lab, offset: int, namespace: str) -> list[float]:
    """For each pod: from the PATCH's arrival until its status says that the container ended."""
    began: dict[str, float] = {}
    ended: dict[str, float] = {}
    for event in lab.requests(offset):
        reference = event.get("objectRef", {})
        if reference.get("namespace") != namespace or event["verb"] != "patch":
            continue
        name = reference["name"]
        if reference.get("subresource") == "ephemeralcontainers":
            began.setdefault(name, _time(event, "requestReceivedTimestamp"))
        elif reference.get("subresource") == "status":
            ended[name] = _time(event, "stageTimestamp")
    return [ended[name] - began[name] for name in began]


def measure(lab: Lab, runs: int, pods: int = PODS) -> dict[str, Any]:
    stdout = expected_stdout()
    overheads: dict[int, list[float]] = {at_once: [] for at_once in _AT_ONCE}
    walls: dict[int, list[float]] = {at_once: [] for at_once in _AT_ONCE}
    ideals: dict[int, list[float]] = {at_once: [] for at_once in _AT_ONCE}
    with simulation(lab, record([program_step()])) as simulated:
        for _ in range(runs):
            for at_once in _AT_ONCE:
                options = (f"--max-in-flight={at_once}", "--max-per-node=0", *LIFTED[2:])
                with simulated.pods(pods) as namespace:
                    offset = lab.audit_offset()
                    done = sweep(lab, namespace, options, pods=pods, stdout=stdout, script=SCRIPT)
                    each = _pod_seconds(lab, offset, namespace)
                ideal = max(*each, sum(each) / at_once)
                walls[at_once].append(done.process.wall_seconds)
                ideals[at_once].append(ideal)
                overheads[at_once].append(done.process.wall_seconds - _OF_IDEAL * ideal)
    return {
        "pods": pods,
        **{
            f"{at_once}_at_once": {
                "wall_seconds": spread(walls[at_once]),
                "ideal_seconds": spread(ideals[at_once]),
            }
            for at_once in _AT_ONCE
        },
        "limits": [
            limit(
                f"seconds above {_OF_IDEAL} x ideal, {at_once} at once",
                statistics.median(overheads[at_once]),
                _START_SECONDS,
            )
            for at_once in _AT_ONCE
        ],
    }


if __name__ == "__main__":
    command_line("concurrency", __doc__, measure, runs=3)
