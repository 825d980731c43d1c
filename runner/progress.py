"""How a sweep is getting on, on stderr: a live line on a terminal, now and then a plain line
anywhere else. Nothing that is shown here is interpreted: neither escapes nor markup."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TextIO

from runner.model.base import Value
from runner.report.plain import one_line
from runner.report.view import plural

LINE_INTERVAL_SECONDS = 5.0
# Words of TERM for what neither moves a cursor nor knows colours.
NO_TERMINAL = frozenset({"", "dumb", "unknown"})
_ETA_NEEDS_DONE = 3  # the first pods to end are the quick ones


class State(Value, frozen=True, kw_only=True):
    """Numbers of pods. `injected` have their ephemeral container, `running` run in it now, `done`
    have ended in any way, `failed` are those of the done ones that could not be examined."""

    selected: int = 0
    injected: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0


class Progress(Protocol):
    """What a sweep tells while it runs; every call returns at once."""

    def start(self, total: int) -> None: ...
    def update(
        self, *, selected: int, injected: int, running: int, done: int, failed: int
    ) -> None: ...
    def note(self, line: str) -> None: ...
    def close(self) -> None: ...


def progress(
    stream: TextIO,
    *,
    clock: Callable[[], float],
    environ: Mapping[str, str],
    quiet: bool = False,
) -> Progress:
    """The progress that fits `stream`: `clock` gives monotonic seconds, `environ` is asked for
    TERM, and by rich for NO_COLOR."""
    if quiet:
        return Quiet()
    if stream.isatty() and environ.get("TERM", "dumb") not in NO_TERMINAL:
        return Live(stream, clock=clock, environ=environ)
    return Lines(stream, clock=clock)


def eta_seconds(elapsed_seconds: float, done: int, total: int) -> float | None:
    """How long the rest takes if it goes on as it went; None when too little was seen."""
    if done < min(_ETA_NEEDS_DONE, total) or done <= 0:
        return None
    return elapsed_seconds / done * max(total - done, 0)


def sentence(state: State, elapsed_seconds: float) -> str:
    """`12 of 45 pods done (1 could not be examined), 25 injected, 8 running, about 14 s left`."""
    failed = f" ({state.failed} could not be examined)" if state.failed else ""
    words = [
        f"{state.done} of {plural(state.selected, 'pod')} done{failed}",
        f"{state.injected} injected",
        f"{state.running} running",
    ]
    left = eta_seconds(elapsed_seconds, state.done, state.selected)
    if left:
        words.append(f"about {_rough(left)} left")
    return ", ".join(words)


def _rough(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min"


class Quiet:
    """Says nothing; notes are dropped too."""

    def start(self, total: int) -> None:
        pass

    def update(self, *, selected: int, injected: int, running: int, done: int, failed: int) -> None:
        pass

    def note(self, line: str) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """For logs: a line at the start, at the first failure, at the end, and otherwise at most one
    every 5 s."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._started = self._said_at = clock()
        self._state = State()
        self._said = ""

    def start(self, total: int) -> None:
        self._started = self._clock()
        self._state = State(selected=total)
        self.note(f"{plural(total, 'pod')} selected")
        self._said_at = self._started

    def update(self, *, selected: int, injected: int, running: int, done: int, failed: int) -> None:
        before = self._state
        self._state = State(
            selected=selected, injected=injected, running=running, done=done, failed=failed
        )
        is_first_failure = failed and not before.failed
        is_due = self._clock() - self._said_at >= LINE_INTERVAL_SECONDS
        if self._state != before and (is_first_failure or is_due):
            self._say()

    def note(self, line: str) -> None:
        self._stream.write(one_line(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        if self._state.selected:
            self._say()

    def _say(self) -> None:
        self._said_at = self._clock()
        line = sentence(self._state, self._said_at - self._started)
        if line != self._said:
            self.note(line)
        self._said = line


class Live:
    """For people: one line that is drawn again four times a second, and disappears at the end."""

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float], environ: Mapping[str, str]
    ) -> None:
        # Imported only here: it is slow to import, and most runs have no terminal.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live as RichLive  # noqa: PLC0415

        self._clock = clock
        self._started = clock()
        self._state = State()
        self._console = Console(
            file=stream,
            markup=False,
            emoji=False,
            highlight=False,
            _environ=environ,
        )
        self._live = RichLive(
            console=self._console,
            get_renderable=self._line,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self, total: int) -> None:
        self._started = self._clock()
        self._state = State(selected=total)
        self._live.start()

    def update(self, *, selected: int, injected: int, running: int, done: int, failed: int) -> None:
        self._state = State(
            selected=selected, injected=injected, running=running, done=done, failed=failed
        )

    def note(self, line: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        self._console.print(Text(one_line(line)), soft_wrap=True)

    def close(self) -> None:
        self._live.stop()

    def _line(self) -> Any:
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        state = self._state
        bar = ProgressBar(total=max(state.selected, 1), completed=state.done, width=20)
        words = Text(sentence(state, self._clock() - self._started), no_wrap=True)
        words.overflow = "ellipsis"
        grid = Table.grid(padding=(0, 1))
        grid.add_row(bar, words)
        return grid
