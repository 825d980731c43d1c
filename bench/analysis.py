"""What judging and writing cost: `python -m bench.analysis --lab NAME [--pods 10000]`.

Sweeps a few workloads of `lab/workloads/` on the lab, multiplies what that run recorded to so many
pods, ten to a workload, and measures the CPU of the rules and of each output. No pod is simulated:
the evidence is that of real ones under other names.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from bench.causes import cases, deployed
from bench.measure import PODMEDIC, VOID, document, environment, limit, run
from lab.handle import Lab
from runner.cli.options import load_playbooks
from runner.model.seen import Seen, SeenPod
from runner.report import to_html, to_json
from runner.report.evidence import read_evidence
from runner.sweep import report_of

WORKLOADS = (
    "missing-env-shell", "dns-nxdomain", "exception-java", "exception-node", "config-bad-json",
    "killed-by-liveness", "file-mode", "nginx-config-error", "readiness-wrong-port", "init-fails",
    "command-typo", "exit-0-at-once",
)  # fmt: skip
PODS = 10_000
REPLICAS = 10
_SETTLE_SECONDS = 45.0


def recorded(lab: Lab, names: Sequence[str] = WORKLOADS) -> Seen:
    """What one run saw of these workloads."""
    wanted = cases(names)
    with deployed(lab, wanted) as namespaces, tempfile.TemporaryDirectory() as folder:
        time.sleep(_SETTLE_SECONDS)
        where = [word for namespace in namespaces.values() for word in ("-n", namespace)]
        directory = Path(folder) / "report"
        command: list[str | Path] = [PODMEDIC, "run", *where, "-o", directory, "-q"]
        run(command, environment=environment(lab)).must_end_with(0, 1)
        return read_evidence(directory)


def multiplied(seen: Seen, count: int) -> Seen:
    """The same evidence under other names, ten replicas to a workload."""
    found = [
        _renamed(pod, number)
        for number, pod in enumerate(islice(cycle(_tenfold(seen.pods)), count))
    ]
    return msgspec.structs.replace(seen, pods=tuple(found))


def _tenfold(pods: Sequence[SeenPod]) -> list[SeenPod]:
    return [pod for pod in pods for _ in range(REPLICAS)]


def _renamed(pod: SeenPod, number: int) -> SeenPod:
    one = pod.examination
    workload = msgspec.structs.replace(one.workload, name=f"w-{number // REPLICAS}")
    name = f"w-{number // REPLICAS}-{number % REPLICAS}"
    metadata = msgspec.structs.replace(one.pod.metadata, name=name, uid=name)
    examination = msgspec.structs.replace(
        one, workload=workload, pod=msgspec.structs.replace(one.pod, metadata=metadata)
    )
    result = msgspec.structs.replace(pod.result, name=name, uid=name, workload=workload)
    return msgspec.structs.replace(pod, examination=examination, result=result)


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure(lab: Lab, runs: int, pods: int = PODS) -> Mapping[str, Any]:
    seen, playbooks = multiplied(recorded(lab), pods), load_playbooks((), None)
    report = report_of(seen, playbooks)
    rules = min(_cpu(lambda: report_of(seen, playbooks)) for _ in range(runs))
    written = min(_cpu(lambda: to_json(report)) for _ in range(runs))
    page = min(_cpu(lambda: to_html(report)) for _ in range(runs))
    return {
        "pods": pods,
        "findings": len(report.findings),
        "rules_cpu_seconds": round(rules, 2),
        "json_cpu_seconds": round(written, 2),
        "html_cpu_seconds": round(page, 2),
        "html_bytes": len(to_html(report)),
        "limits": [
            limit("CPU of rules and analysis per pod in ms", rules / pods * 1000, 2.0),
            limit("CPU of the page in s", page, 2.0),
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.analysis", description=__doc__)
    parser.add_argument("--lab", default="bench", help="a lab that is up (default: bench)")
    parser.add_argument("--pods", type=int, default=PODS)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    try:
        found = measure(Lab.named(given.lab), given.runs, given.pods)
    except VOID as error:
        print(f"bench.analysis: void: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(document("analysis", found), indent=2))


if __name__ == "__main__":
    main()
