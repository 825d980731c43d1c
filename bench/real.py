"""Forty real pods on the lab's kubelet, limits lifted: podmedic against a bare PATCH-and-watch
loop whose containers do the same work. Every run has pods of its own.

The loop runs podmedic's own step program, so that what is compared is podmedic and not the
program. A second loop, which runs the step alone, shows what the program costs the node.
"""

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.measure import Finished, VoidError, command_line, costs, environment, limit, run, spread
from bench.objects import remove_pods
from bench.sweeps import IMAGE, LIFTED, SCRIPT, expected_stdout, program_step, sweep
from lab.handle import Lab
from runner.program import build

PODS = 40
_OF_BARE_LOOP = 1.15
_SLEEP = "trap 'exit 0' TERM; while :; do sleep 5 & wait $!; done"
_POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: sleeper-{number}, namespace: {namespace}, labels: {{app: sleeper}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - {{name: app, image: {image}, command: [sh, -c, "{sleep}"]}}
---
"""
_READY_SECONDS = 180


@contextmanager
def _pods(lab: Lab, count: int) -> Iterator[str]:
    with lab.namespace("bench") as namespace:
        lab.apply(
            "".join(
                _POD.format(number=n, namespace=namespace, image=IMAGE, sleep=_SLEEP)
                for n in range(count)
            )
        )
        try:
            lab.kubectl(
                "wait", "pods", "--all", "-n", namespace, "--for=condition=Ready",
                f"--timeout={_READY_SECONDS}s", timeout_seconds=_READY_SECONDS + 10,
            )  # fmt: skip
            yield namespace
        finally:
            remove_pods(lab, namespace)


def _bare(lab: Lab, namespace: str, pods: int, script: str) -> Finished:
    command = [sys.executable, "-m", "bench.bare_loop", namespace, IMAGE, script]
    done = run(command, environment=environment(lab)).must_end_with(0)
    if done.stdout.strip() != str(pods).encode():
        raise VoidError(f"the bare loop: {done.stdout!r} containers of {pods} have ended")
    return done


def measure(lab: Lab, runs: int, pods: int = PODS) -> dict[str, Any]:
    lab.images("busybox")
    stdout = expected_stdout()
    ours: list[Finished] = []
    bare: list[Finished] = []
    step_alone: list[Finished] = []
    program = build([program_step()], nonce="bare-loop", deadline_seconds=120)
    for _ in range(runs):
        for found, script in ((step_alone, SCRIPT), (bare, program)):
            with _pods(lab, pods) as namespace:
                found.append(_bare(lab, namespace, pods, script))
        with _pods(lab, pods) as namespace:
            done = sweep(lab, namespace, LIFTED, pods=pods, stdout=stdout, script=SCRIPT)
            ours.append(done.process)
    ratios = [one.wall_seconds / floor.wall_seconds for one, floor in zip(ours, bare, strict=True)]
    return {
        "pods": pods,
        "bare_loop": costs(bare),
        "bare_loop_step_alone": costs(step_alone),
        "podmedic": costs(ours),
        "wall_of_bare_loop": spread(ratios),
        "limits": [limit("wall, of a bare loop's", statistics.median(ratios), _OF_BARE_LOOP)],
    }


if __name__ == "__main__":
    command_line("real", __doc__, measure, runs=3)
