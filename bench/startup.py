"""How soon the command answers when no cluster is asked: `--help`, and `validate` of a playbook
with a hundred steps. A Python that does nothing is the floor."""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.measure import PODMEDIC, Finished, command_line, costs, environment, limit, run
from lab.handle import Lab

_STEPS = 100


def _playbook(folder: Path) -> Path:
    """As people write them: YAML, scripts of a few lines, a finding for every tenth step."""
    lines = [
        "apiVersion: podmedic.io/v1alpha1",
        "kind: Playbook",
        "metadata: {name: large, description: Many steps}",
        "spec:",
        "  targets: {conditions: [NotReady]}",
        "  steps:",
    ]
    for number in range(_STEPS):
        lines += [
            f"    - name: step-{number}",
            f"      description: What directory {number} holds",
            "      timeoutSeconds: 10",
            "      script: |",
            f"        cd /var/lib/app/{number} || exit 1",
            "        ls -lan | head -n 20",
        ]
    lines.append("  findings:")
    for number in range(0, _STEPS, 10):
        lines += [
            f"    - id: empty-{number}",
            f"      when: steps['step-{number}'].exitCode != 0 && container.restartCount > 3",
            "      severity: warning",
            f"      title: Directory {number} is missing",
            f"      message: The container has no /var/lib/app/{number}.",
        ]
    path = folder / "large.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(lab: Lab, runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, list[str | Path]] = {
            "python": [sys.executable, "-c", "pass"],
            "help": [PODMEDIC, "--help"],
            "validate": [PODMEDIC, "validate", _playbook(Path(folder))],
        }
        found: dict[str, list[Finished]] = {name: [] for name in commands}
        for command in commands.values():
            run(command, environment=environment(lab)).must_end_with(0)  # warms the caches
        for _ in range(runs):
            for name, command in commands.items():
                found[name].append(run(command, environment=environment(lab)).must_end_with(0))

    def median(name: str, field: str) -> float:
        return float(statistics.median(getattr(one, field) for one in found[name]))

    return {
        **{name: costs(every) for name, every in found.items()},
        "limits": [
            limit(f"seconds of {name}, {field}", median(name, f"{field}_seconds"), at_most)
            for name, at_most in (("help", 0.15), ("validate", 0.3))
            for field in ("wall", "cpu")
        ],
    }


if __name__ == "__main__":
    command_line("startup", __doc__, measure, runs=15)
