"""Two hundred simulated pods, one trivial step: podmedic against kubectl debug, eight at a time.

kubectl waits until the ephemeral container has ended and prints its log: less than podmedic does.
A bare loop of PATCHes and one watch, which reads no log, shows what Python and libcurl cost alone.
"""

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from bench.measure import Finished, VoidError, command_line, costs, environment, limit, run
from bench.recording import record
from bench.simulation import simulation
from bench.sweeps import IMAGE, MODES, TRIVIAL, program_step, sweep
from lab import binaries
from lab.handle import Lab

PODS = 200
_AT_ONCE = 8


def _kubectl(lab: Lab, namespace: str, pods: int) -> Finished:
    """Raises VoidError unless each pod has a container of its own that ended."""
    program = binaries.ensure(["kubectl"], lab.layout.cache)["kubectl"]
    names = [f"pod/web-{number:05}" for number in range(pods)]
    done = run(
        ["xargs", f"-P{_AT_ONCE}", "-I{}", program, "debug", "-i", "{}", "-n", namespace,
         f"--image={IMAGE}", "--profile=restricted", "--", "true"],
        environment=environment(lab),
        stdin="\n".join(names).encode(),
    ).must_end_with(0)  # fmt: skip
    ended = lab.kubectl(
        "get", "pods", "-n", namespace, "-o",
        "jsonpath={range .items[*]}{.status.ephemeralContainerStatuses[*].state.terminated.reason}"
        '{"\\n"}{end}',
    ).split()  # fmt: skip
    if ended != ["Completed"] * pods:
        raise VoidError(f"kubectl debug: {len(ended)} of {pods} containers have ended")
    if done.stdout.count(b"@podmedic") < pods:
        raise VoidError("kubectl debug did not print every log")
    return done


def _bare_loop(lab: Lab, namespace: str, pods: int) -> Finished:
    done = run(
        [sys.executable, "-m", "bench.bare_loop", namespace, IMAGE, "true"],
        environment=environment(lab),
    ).must_end_with(0)
    if done.stdout.split() != [str(pods).encode()]:
        raise VoidError(f"the bare loop: {done.stdout.decode()!r} of {pods} pods")
    return done


def measure(
    lab: Lab, runs: int, pods: int = PODS, modes: Sequence[str] = tuple(MODES)
) -> dict[str, Any]:
    """`modes` begins with `limits_lifted`, which is what is promised."""
    ours: dict[str, list[Finished]] = {mode: [] for mode in modes}
    theirs: list[Finished] = []
    floor: list[Finished] = []
    with simulation(lab, record([program_step(TRIVIAL)])) as simulated:
        for _ in range(runs):
            for mode, found in ours.items():
                with simulated.pods(pods) as namespace:
                    done = sweep(lab, namespace, MODES[mode], pods=pods, stdout="", script=TRIVIAL)
                    found.append(done.process)
            with simulated.pods(pods) as namespace:
                theirs.append(_kubectl(lab, namespace, pods))
            with simulated.pods(pods) as namespace:
                floor.append(_bare_loop(lab, namespace, pods))

    def ratio(found: list[Finished], field: str) -> float:
        return float(
            statistics.median(getattr(one, field) for one in found)
            / statistics.median(getattr(one, field) for one in theirs)
        )

    ratios = {
        f"{field}, {name}": round(ratio(found, field), 4)
        for name, found in ours.items()
        for field in ("wall_seconds", "cpu_seconds")
    }
    ratios["cpu_seconds, bare loop"] = round(ratio(floor, "cpu_seconds"), 4)
    return {
        "pods": pods,
        "kubectl_debug": {"at_once": _AT_ONCE, **costs(theirs)},
        "bare_loop": costs(floor),
        **{name: costs(found) for name, found in ours.items()},
        "ratios": ratios,
        "limits": [
            limit("wall, of kubectl's", ratios["wall_seconds, limits_lifted"], 1 / 5),
            limit("CPU, of kubectl's", ratios["cpu_seconds, limits_lifted"], 1 / 20),
            limit(
                "peak RSS, of eight kubectls'",
                statistics.median(one.peak_rss_mb for one in ours["limits_lifted"])
                / (_AT_ONCE * statistics.median(one.peak_rss_mb for one in theirs)),
                1 / 3,
            ),
        ],
    }


if __name__ == "__main__":
    command_line("kubectl_debug", __doc__, measure, runs=3)
