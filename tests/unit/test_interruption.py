"""A signal ends a sweep in good order, a second one at once, unless it is the same."""

import signal

from runner.cli.interruption import Signals
from runner.sweep.pool import Stop


def test_a_second_signal_is_a_second_thought() -> None:
    now, ended = [10.0], list[signal.Signals]()
    stop = Stop()
    signals = Signals(stop, lambda: now[0], ended.append)
    signals.came(signal.SIGINT)
    assert stop.is_set()
    for now[0] in (10.0, 10.02, 10.99):
        signals.came(signal.SIGTERM)
    assert ended == []
    now[0] = 11.0
    signals.came(signal.SIGINT)
    assert ended == [signal.SIGINT]
