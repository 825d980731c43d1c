"""How long `make test-unit` takes. No lab is needed: `python -m bench.unit_tests [--runs N]`."""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from bench.measure import VOID, VoidError, costs, document, limit, run
from lab.handle import Lab

_ROOT = Path(__file__).parents[1]
_COMMAND = ("make", "-C", str(_ROOT), "-s", "test-unit")
_AT_MOST_SECONDS = 30


def measure(_: Lab | None, runs: int) -> dict[str, Any]:
    # Tests that are run by make are told so, and would be told its options.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PODMEDIC"))}
    # What is only collected is compiled.
    run([*_COMMAND, "PYTEST_ARGS=--collect-only"], environment=environment).must_end_with(0)
    found = [run(_COMMAND, environment=environment) for _ in range(runs)]
    for one in found:
        if one.code != 0:
            raise VoidError(one.stdout.decode(errors="replace")[-2000:].strip())
    passed = re.search(rb"(\d+) passed", found[-1].stdout)
    if passed is None:
        raise VoidError("no test passed")
    spent = costs(found)
    del spent["peak_rss_mb"]
    median = spent["wall_seconds"]["median"]
    return {
        "tests": int(passed[1]),
        **spent,
        "limits": [limit("seconds of make test-unit", median, _AT_MOST_SECONDS)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.unit_tests", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often (default: 3)")
    try:
        result = measure(None, parser.parse_args().runs)
    except VOID as error:
        print(f"bench.unit_tests: void: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(document("unit_tests", result), indent=2))


if __name__ == "__main__":
    main()
