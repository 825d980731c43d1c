"""Every benchmark, one after the other: `python -m bench.all [--lab NAME] [--output FILE]`.

Without --lab it brings a lab of its own up and takes it down. Prints one JSON document, and on
stderr a line for each promise.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import (
    analysis,
    concurrency,
    kubectl_debug,
    real,
    selection,
    simulated,
    startup,
    unit_tests,
)
from bench.measure import VOID, document
from lab.handle import Lab
from lab.layout import LabError

_OWN_LAB = "bench-all"
_UP_SECONDS = 3600
_DOWN_SECONDS = 300

BENCHMARKS: Mapping[str, tuple[Callable[[Lab, int], Mapping[str, Any]], int]] = {
    "startup": (startup.measure, 15),
    "real": (real.measure, 5),
    "kubectl_debug": (kubectl_debug.measure, 3),
    "concurrency": (concurrency.measure, 3),
    "simulated": (simulated.measure, 3),
    "selection": (selection.measure, 3),
    "analysis": (analysis.measure, 3),
    "unit_tests": (unit_tests.measure, 1),
}
"""What measures, and how often it does."""


@contextmanager
def _lab(name: str | None) -> Iterator[Lab]:
    if name is not None:
        yield Lab.named(name)
        return
    command = [sys.executable, "-m", "lab", "--name", _OWN_LAB]
    try:
        subprocess.run([*command, "up", "--kwok", "1"], check=True, timeout=_UP_SECONDS)
        yield Lab.named(_OWN_LAB)
    finally:
        subprocess.run([*command, "down"], check=True, timeout=_DOWN_SECONDS)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measure(lab: Lab, names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        measure, runs = BENCHMARKS[name]
        _say(f"{name}: {runs} runs ...")
        try:
            found = document(name, measure(lab, runs))
        except VOID as error:
            found = document(name, {"void": str(error), "limits": []})
            _say(f"  void: {error}")
        for one in found["limits"]:
            kept = "kept  " if one["kept"] else "MISSED"
            _say(f"  {kept}  {one['what']}: {one['value']:g} (at most {one['at_most']:g})")
        yield found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.all", description=__doc__)
    parser.add_argument("--lab", help="a lab with kwok that is up (default: one of its own)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the document there too")
    parser.add_argument("benchmark", nargs="*", help=f"of {', '.join(BENCHMARKS)}; default: all")
    given = parser.parse_args()
    names = given.benchmark or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    try:
        with _lab(given.lab) as lab:
            results = list(_measure(lab, names))
    except LabError as error:
        _say(f"bench.all: {error}")
        return 1
    text = json.dumps(results, indent=2)
    if given.output is not None:
        given.output.write_text(text + "\n")
    print(text)
    promises = [one for result in results for one in result["limits"]]
    kept = sum(one["kept"] for one in promises)
    _say(f"{kept} of {len(promises)} promises kept")
    return 1 if any("void" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
