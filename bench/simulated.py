"""A thousand simulated pods in one namespace, one step with 2 kB of output: CPU per pod, requests
to the API server, memory, and how soon the first pod is reached."""

import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bench.measure import command_line, costs, limit, spread
from bench.recording import record
from bench.simulation import simulation
from bench.sweeps import MODES, SCRIPT, Sweep, expected_stdout, program_step, sweep
from lab.handle import Lab

PODS = 1000
_CPU_MS_PER_POD = 3.0
_FIRST_PATCH_SECONDS = 1.0


def requests_allowed(pods: int) -> float:
    return 2.05 * pods + 12 + pods / 500


def first_patch_seconds(done: Sweep) -> float:
    """From the start of the process until the API server has the first PATCH."""
    times = [
        datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        for event in done.requests
        if event["verb"] == "patch"
    ]
    return min(times) - done.process.started_at


def _summary(sweeps: list[Sweep], pods: int) -> dict[str, Any]:
    return {
        **costs([one.process for one in sweeps]),
        "cpu_ms_per_pod": spread([one.process.cpu_seconds / pods * 1000 for one in sweeps]),
        "requests": spread([float(len(one.requests)) for one in sweeps], 0),
        "first_patch_seconds": spread([first_patch_seconds(one) for one in sweeps]),
    }


def measure(
    lab: Lab, runs: int, pods: int = PODS, modes: Sequence[str] = tuple(MODES)
) -> dict[str, Any]:
    stdout = expected_stdout()
    sweeps: dict[str, list[Sweep]] = {mode: [] for mode in modes}
    with simulation(lab, record([program_step()])) as simulated:
        for _ in range(runs):
            for mode, found in sweeps.items():
                with simulated.pods(pods) as namespace:
                    found.append(
                        sweep(lab, namespace, MODES[mode], pods=pods, stdout=stdout, script=SCRIPT)
                    )
    every = [one for found in sweeps.values() for one in found]

    def cpu_ms(found: list[Sweep]) -> float:
        return statistics.median(one.process.cpu_seconds for one in found) / pods * 1000

    return {
        "pods": pods,
        "step_output_bytes": len(stdout),
        **{name: _summary(found, pods) for name, found in sweeps.items()},
        "limits": [
            *(
                limit(f"CPU per pod in ms, {name}", cpu_ms(found), _CPU_MS_PER_POD)
                for name, found in sweeps.items()
            ),
            limit("API requests", max(len(one.requests) for one in every), requests_allowed(pods)),
            limit(
                "seconds to the first PATCH",
                statistics.median(map(first_patch_seconds, every)),
                _FIRST_PATCH_SECONDS,
            ),
        ],
    }


if __name__ == "__main__":
    command_line("simulated", __doc__, measure, runs=3)
