"""`podmedic run` as it is measured: the command, and whether its report says what it must."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import PODMEDIC, Finished, VoidError, environment, run
from lab.handle import Lab
from runner.program import ProgramStep

LIFTED = (
    "--max-in-flight=0",
    "--max-per-node=0",
    "--max-per-workload=0",
    "--no-canary",
    "--qps=0",
)
MODES: Mapping[str, Sequence[str]] = {"limits_lifted": LIFTED, "default_limits": ()}
IMAGE = "busybox:1.36"

# 2 kB of text such as diagnostics print.
SCRIPT = """\
i=100
while [ $i -lt 132 ]; do
  echo "tcp 0 0 10.244.0.$i:8080 10.244.1.7:$((i * 311)) ESTABLISHED $i/web $((i * 7919 % 997))"
  i=$((i + 1))
done
"""
TRIVIAL = "true\n"


def program_step(script: str = SCRIPT) -> ProgramStep:
    return ProgramStep(name="probe", playbook="bench", script=script, timeout_seconds=10)


def playbook(folder: Path, script: str = SCRIPT) -> Path:
    """The same step as a playbook."""
    path = folder / "bench.yaml"
    document = {
        "apiVersion": "podmedic.io/v1alpha1",
        "kind": "Playbook",
        "metadata": {"name": "bench"},
        "spec": {
            "debugger": {"image": IMAGE},
            "steps": [{"name": "probe", "script": script, "timeoutSeconds": 10}],
        },
    }
    path.write_text(json.dumps(document))
    return path


@dataclass(frozen=True)
class Sweep:
    """A sweep that went well. `requests` are audit events: all of podmedic's."""

    process: Finished
    requests: Sequence[dict[str, Any]]
    report: dict[str, Any]


def sweep(
    lab: Lab, namespace: str, options: Sequence[str], *, pods: int, stdout: str, script: str
) -> Sweep:
    """One `podmedic run`. Raises VoidError unless each of the pods passed with that output."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "report"
        offset = lab.audit_offset()
        process = run(
            [PODMEDIC, "run", playbook(Path(folder), script), "-n", namespace, "-o", directory,
             *options],
            environment=environment(lab),
        ).must_end_with(0)  # fmt: skip
        report = json.loads((directory / "report.json").read_bytes())
    _check(report, pods, stdout)
    return Sweep(process, lab.requests(offset, user_agent="podmedic/"), report)


def _check(report: dict[str, Any], pods: int, stdout: str) -> None:
    if len(report["pods"]) != pods:
        raise VoidError(f"{len(report['pods'])} pods in the report, {pods} were meant")
    for pod in report["pods"]:
        steps = [(s["name"], s["outcome"], s["exitCode"], s["stdout"]) for s in pod["steps"]]
        if pod["outcome"] != "passed" or steps != [("probe", "passed", 0, stdout)]:
            raise VoidError(
                f"pod {pod['name']}: {pod['outcome']} {pod['reason']} {pod['message']} {steps}"
            )
        if len(pod["injections"]) != 1:
            raise VoidError(f"pod {pod['name']}: {len(pod['injections'])} containers")


def expected_stdout(script: str = SCRIPT) -> str:
    """What the step prints, found without podmedic."""
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout
