"""Processes with what they cost, numbers with their spread, and the one JSON document."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.handle import KubectlError, Lab
from lab.layout import LabError

PODMEDIC = Path(sys.executable).with_name("podmedic")
_TIMEOUT_SECONDS = 900.0


class VoidError(Exception):
    """What was measured is not what was meant; the numbers are worth nothing."""


VOID = (VoidError, LabError, KubectlError, subprocess.TimeoutExpired)
"""Whatever makes a benchmark void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A process that ended. `cpu_seconds` is user and system time, of the children it waited for
    too; `peak_rss_mb` that of the largest of them. `started_at` is the machine's clock."""

    code: int
    stdout: bytes
    stderr: bytes
    started_at: float
    wall_seconds: float
    cpu_seconds: float
    peak_rss_mb: float

    def must_end_with(self, *codes: int) -> "Finished":
        """Raises VoidError with the end of its stderr for any other exit code."""
        if self.code not in codes:
            last = self.stderr.decode(errors="replace").strip()[-800:]
            raise VoidError(f"exit code {self.code}: {last}")
        return self


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Finished:
    """Runs a command to its end, or kills it after `timeout_seconds` (exit code -9).

    The peak RSS of a process begins with that of the process which started it: keep this one
    small.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, (
        tempfile.TemporaryFile()
    ) as err:  # fmt: skip
        given.write(stdin)
        given.seek(0)
        started_at, began = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], stdin=given, stdout=out, stderr=err,
            env=dict(environment),
        )  # fmt: skip
        killer = threading.Timer(timeout_seconds, process.kill)
        killer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
        wall_seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Finished(
            code=process.returncode,
            stdout=out.read(),
            stderr=err.read(),
            started_at=started_at,
            wall_seconds=wall_seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_rss_mb=usage.ru_maxrss / 1024,
        )


def environment(lab: Lab) -> dict[str, str]:
    """Ours without any cluster but the lab's, and without what steers podmedic."""
    clean = {k: v for k, v in lab.environment().items() if not k.startswith("PODMEDIC")}
    return clean | {"PYTHONDONTWRITEBYTECODE": "", "NO_COLOR": "1"}


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, least and most."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "runs": len(values),
    }


def costs(finished: Sequence[Finished]) -> dict[str, dict[str, float]]:
    return {
        "wall_seconds": spread([one.wall_seconds for one in finished]),
        "cpu_seconds": spread([one.cpu_seconds for one in finished]),
        "peak_rss_mb": spread([one.peak_rss_mb for one in finished], 1),
    }


def limit(what: str, value: float, at_most: float) -> dict[str, Any]:
    """One promise, and whether this run kept it."""
    return {
        "what": what,
        "value": round(value, 4),
        "at_most": round(at_most, 4),
        "kept": value <= at_most,
    }


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 2**30, 1),
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        # How much others asked of the machine while we measured.
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }


def document(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """`result` with what a reader needs to judge it."""
    return {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        **result,
    }


def command_line(
    name: str, description: str | None, measure: Callable[[Lab, int], Mapping[str, Any]], runs: int
) -> None:
    """The command of one benchmark: prints its document; exit code 1 if it is void."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--lab", default="bench", help="a lab that is up (default: bench)")
    parser.add_argument("--runs", type=int, default=runs, help=f"how often (default: {runs})")
    given = parser.parse_args()
    try:
        result = measure(Lab.named(given.lab), given.runs)
    except VOID as error:
        print(f"bench.{name}: void: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(document(name, result), indent=2))
