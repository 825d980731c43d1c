"""What a signal does to a sweep."""

import os
import signal
from collections.abc import Callable

from runner.cli.main import complain
from runner.sweep.pool import Stop

# A terminal and whoever started us may both hand on the one Ctrl-C.
_SAME_SECONDS = 1.0


class Signals:
    """The first ends the sweep in good order, a second one at once."""

    def __init__(
        self, stop: Stop, clock: Callable[[], float], end: Callable[[signal.Signals], None]
    ) -> None:
        self._stop = stop
        self._clock = clock
        self._end = end
        self._first: float | None = None

    def came(self, number: signal.Signals) -> None:
        now = self._clock()
        if self._first is None:
            self._first = now
            self._stop.set()
        elif now - self._first >= _SAME_SECONDS:
            self._end(number)


def end(number: signal.Signals) -> None:
    """As the signal would without us: whoever waits for us sees which it was."""
    complain(
        f"ended at once by a second signal ({number.name}): there may be no report yet;"
        " `podmedic resume` or the same command again, with the same directory, finishes it"
    )
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
