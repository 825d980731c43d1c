"""How often the report names the cause: `python -m bench.causes --lab NAME [WORKLOAD…]`.

With `--variants SEED` the broken ones get other names, ports and wordings (`lab/variants.py`).

Deploys workloads of `lab/workloads/`, each into a namespace of its own, sweeps them all with one
`podmedic run`, and holds the first finding of each against its `expected.yaml`.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from bench.measure import PODMEDIC, VOID, VoidError, document, environment, run
from lab.handle import Lab
from lab.variants import variant

WORKLOADS = Path(__file__).parents[1] / "lab" / "workloads"
IMAGES = ("busybox", "python", "nginx", "redis", "postgres", "tools")
# Long enough for a probe to fail and for a crash to be a loop.
SETTLE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One folder of `lab/workloads/{broken,healthy}`."""

    name: str
    broken: bool
    manifest: str
    expected: Mapping[str, Any]


def cases(names: Sequence[str] = ()) -> list[Case]:
    """Those of these names, or all; raises ValueError for one that does not exist."""
    found = [
        Case(
            name=folder.name,
            broken=folder.parent.name == "broken",
            manifest=(folder / "manifest.yaml").read_text(),
            expected=yaml.load((folder / "expected.yaml").read_bytes(), yaml.CSafeLoader),
        )
        for kind in ("broken", "healthy")
        for folder in sorted((WORKLOADS / kind).iterdir())
    ]
    unknown = set(names) - {case.name for case in found}
    if unknown:
        raise ValueError(f"no such workload: {', '.join(sorted(unknown))}")
    return [case for case in found if not names or case.name in names]


def varied(case: Case, seed: int) -> Case:
    """The same defect in other words; a healthy one stays as it is."""
    if not case.broken:
        return case
    made = variant(case.manifest, case.expected, seed)
    return replace(case, manifest=made.manifest, expected=made.expected)


def _release(lab: Lab, namespace: str) -> None:
    """Finalizers would keep the namespace for ever, and long grace periods for too long."""
    raw = lab.kubectl("get", "pods", "-n", namespace, "-o", "json")
    for pod in json.loads(raw)["items"]:
        patient = pod["spec"].get("terminationGracePeriodSeconds", 0) > 60
        kept = pod["metadata"].get("finalizers")
        if patient or kept:
            # What owns it would make another one.
            owners = "deployments,replicasets,statefulsets"
            lab.kubectl("delete", owners, "--all", "-n", namespace, "--cascade=orphan")
        if patient:
            lab.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")
        if kept:
            lab.kubectl(
                "patch", "pod", pod["metadata"]["name"], "-n", namespace, "--type=merge",
                "-p", '{"metadata":{"finalizers":null}}',
            )  # fmt: skip


@contextmanager
def deployed(lab: Lab, wanted: Sequence[Case]) -> Iterator[dict[str, str]]:
    """Namespace by name of the case; everything is gone afterwards."""
    lab.images(*IMAGES)
    with ExitStack() as stack:
        namespaces = {}
        for case in wanted:
            namespace = stack.enter_context(lab.namespace("case"))
            stack.callback(_release, lab, namespace)
            namespaces[case.name] = namespace
            lab.kubectl("apply", "-n", namespace, "-f", "-", input=case.manifest)
            if "finalizer" in case.manifest:
                lab.kubectl("delete", "pods", "--all", "-n", namespace, "--wait=false")
        for case in wanted:
            _continue(lab, namespaces[case.name], case.expected.get("then", ()))
        yield namespaces


def _continue(lab: Lab, namespace: str, commands: Sequence[str]) -> None:
    """What happens to a workload once its pods run: kubectl's words, separated by blanks."""
    if commands:
        running = "--for=jsonpath={.status.phase}=Running"
        lab.kubectl("wait", "pods", "--all", "-n", namespace, running, "--timeout=120s")
    for command in commands:
        lab.kubectl(*command.split(" "), "-n", namespace)


def _says(finding: Mapping[str, Any]) -> str:
    return " ".join(str(finding[key]) for key in ("title", "message", "remediation"))


def _first(report: Mapping[str, Any], namespace: str, workload: str) -> dict[str, Any] | None:
    kind, _, name = workload.partition("/")
    for finding in report["findings"]:
        owner = finding["workload"]
        if owner["namespace"] == namespace and (
            not workload or (owner["kind"], owner["name"]) == (kind, name)
        ):
            return dict(finding)
    return None


def judge(case: Case, report: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """`ok`, and what was said first."""
    if not case.broken:
        said = [
            f for f in report["findings"]
            if f["workload"]["namespace"] == namespace and f["severity"] != "info"
        ]  # fmt: skip
        return {"case": case.name, "ok": not said, "said": [_says(f) for f in said]}
    expected = case.expected
    first = _first(report, namespace, expected["workload"])
    if first is None:
        return {"case": case.name, "ok": False, "said": None, "cause": expected["cause"]}
    text = _says(first)
    everything = " ".join(
        _says(f) for f in report["findings"] if f["workload"]["namespace"] == namespace
    )
    ok = (
        all(re.search(pattern, text) for pattern in expected["says"])
        and first["confidence"] in expected["confidence"]
        and not any(re.search(pattern, everything) for pattern in expected.get("neverSays", ()))
    )
    return {
        "case": case.name,
        "ok": ok,
        "rule": first["rule"],
        "confidence": first["confidence"],
        "said": text,
        "cause": expected["cause"],
    }


def measure(
    lab: Lab, wanted: Sequence[Case], settle_seconds: float, kept: Path | None
) -> dict[str, Any]:
    with deployed(lab, wanted) as namespaces, tempfile.TemporaryDirectory() as folder:
        time.sleep(settle_seconds)
        where = [word for namespace in namespaces.values() for word in ("-n", namespace)]
        if len(wanted) == len(cases()):
            # One LIST of a kind for all, as in the sweep of a cluster.
            where = ["-A"]
        directory = kept or Path(folder) / "report"
        # They crash of themselves, some for the first time while they are examined.
        lifted = ["--max-changed", "0"]
        command: list[str | Path] = [PODMEDIC, "run", *where, "-o", directory, "-q", *lifted]
        done = run(command, environment=environment(lab)).must_end_with(0, 1, 3)
        report = json.loads((directory / "report.json").read_bytes())
        if done.code == 3:
            raise VoidError(f"the sweep was cut short: {report['run']['aborted']}")
    found = [judge(case, report, namespaces[case.name]) for case in wanted]
    right = sum(one["ok"] for one in found)
    return {
        "workloads": len(wanted),
        "right": right,
        "share": round(right / len(wanted), 3),
        # What was claimed as certain and is not what `expected.yaml` says.
        "certain_and_wrong": [
            one["case"] for one in found if not one["ok"] and one.get("confidence") == "certain"
        ],
        "wall_seconds": round(done.wall_seconds, 1),
        "cases": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.causes", description=__doc__)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--lab", default="bench", help="a lab that is up (default: bench)")
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, metavar="SECONDS")
    parser.add_argument("-o", type=Path, metavar="DIR", help="keep the sweep's report there")
    parser.add_argument("--variants", type=int, metavar="SEED", help="variants of the broken ones")
    given = parser.parse_args()
    try:
        wanted = cases(given.workloads)
        if given.variants is not None:
            wanted = [varied(case, given.variants) for case in wanted]
        result = measure(Lab.named(given.lab), wanted, given.settle, given.o)
    except (*VOID, ValueError) as error:
        print(f"bench.causes: void: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(document("causes", result), indent=2))


if __name__ == "__main__":
    main()
