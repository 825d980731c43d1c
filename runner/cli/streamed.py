"""`run -o ndjson`: a line on stdout for each pod as it finishes, then the rest of the report."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from runner.model.report import PodOutcome, PodResult, Report
from runner.report.stream import pod_line, rest_of_stream


class Streamed:
    """A reader that is slow, or has left, holds up no examination: a thread writes the lines."""

    def __init__(self, run_id: str, complain: Callable[[str], None]) -> None:
        self._run_id = run_id
        self._complain = complain
        self._said: dict[str, PodOutcome] = {}
        self._lines: SimpleQueue[PodResult | Iterable[bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="ndjson", daemon=True)
        self._thread.start()

    def pod(self, result: PodResult) -> None:
        self._said[result.uid] = result.outcome
        self._lines.put(result)

    def finish(self, report: Report) -> None:
        """All that the report has besides; returns when it is written."""
        self._lines.put(rest_of_stream(report, self._said))
        self.close()

    def close(self) -> None:
        self._lines.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        lost = False
        while (item := self._lines.get()) is not None:
            if lost:
                continue
            lines = [pod_line(self._run_id, item)] if isinstance(item, PodResult) else item
            try:
                for line in lines:
                    _write(line)
            except OSError as error:
                lost = True
                self._complain(f"-o ndjson: {error.strerror}: the rest is not printed")


def _write(line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]
