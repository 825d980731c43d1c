"""How a sweep is getting on, on a terminal and in a log."""

import io
import re

import pytest

from runner.progress import Lines, Live, Quiet, State, eta_seconds, progress, sentence
from tests.unit.report_samples import HOSTILE


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _state(done: int, failed: int = 0) -> dict[str, int]:
    return {"selected": 40, "injected": 10 + done, "running": 8, "done": done, "failed": failed}


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "expected"),
    [(10, 0, 40, None), (10, 2, 40, None), (10, 4, 40, 90), (10, 40, 40, 0), (8, 1, 1, 0), (8, 2, 2, 0)],
)  # fmt: skip
def test_eta(elapsed: float, done: int, total: int, expected: float | None) -> None:
    assert eta_seconds(elapsed, done, total) == expected


@pytest.mark.parametrize(
    ("state", "elapsed", "expected"),
    [
        (State(selected=1), 0, "0 of 1 pod done, 0 injected, 0 running"),
        (
            State(selected=45, injected=25, running=8, done=12, failed=1),
            6,
            "12 of 45 pods done (1 could not be examined), 25 injected, 8 running, about 16 s left",
        ),
        (
            State(selected=4000, injected=100, running=9, done=91),
            60,
            "91 of 4000 pods done, 100 injected, 9 running, about 43 min left",
        ),
    ],
)
def test_sentence(state: State, elapsed: float, expected: str) -> None:
    assert sentence(state, elapsed) == expected


def test_a_log_gets_few_lines() -> None:
    """At the start, at the first failure, every 5 s, and at the end; nothing twice."""
    clock, stream = Clock(), io.StringIO()
    lines = progress(stream, clock=clock, environ={"TERM": "xterm"})
    assert isinstance(lines, Lines)

    lines.start(40)
    for done in range(41):
        clock.now += 0.5
        lines.update(**_state(done, failed=1 if done >= 7 else 0))
        lines.update(**_state(done, failed=1 if done >= 7 else 0))
    clock.now += 100
    lines.update(**_state(40, failed=1))
    lines.close()

    assert stream.getvalue().splitlines() == [
        "40 pods selected",
        "7 of 40 pods done (1 could not be examined), 17 injected, 8 running, about 19 s left",
        "17 of 40 pods done (1 could not be examined), 27 injected, 8 running, about 12 s left",
        "27 of 40 pods done (1 could not be examined), 37 injected, 8 running, about 7 s left",
        "37 of 40 pods done (1 could not be examined), 47 injected, 8 running, about 2 s left",
        "40 of 40 pods done (1 could not be examined), 50 injected, 8 running",
    ]


def test_notes_are_harmless_in_a_log() -> None:
    stream = io.StringIO()

    Lines(stream, clock=Clock()).note("pod \x1b[2Jevil\r\n[bold]x[/bold]")

    assert stream.getvalue() == "pod ^[[2Jevil^M [bold]x[/bold]\n"


def test_quiet_is_quiet() -> None:
    stream = io.StringIO()
    quiet = progress(stream, clock=Clock(), environ={}, quiet=True)
    assert isinstance(quiet, Quiet)

    quiet.start(1)
    quiet.update(**_state(1))
    quiet.note("x")
    quiet.close()

    assert stream.getvalue() == ""


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": ""}, {}])
def test_a_terminal_that_can_do_nothing_gets_lines(environ: dict[str, str]) -> None:
    assert isinstance(progress(Terminal(), clock=Clock(), environ=environ), Lines)


def _live(environ: dict[str, str]) -> str:
    clock, stream = Clock(), Terminal()
    live = progress(
        stream, clock=clock, environ={"TERM": "xterm-256color", "COLUMNS": "120", **environ}
    )
    assert isinstance(live, Live)
    live.start(40)
    clock.now += 8
    live.update(**_state(20))
    for text in HOSTILE:
        live.note(text)
    live.close()
    return stream.getvalue()


def test_a_terminal_gets_one_line_that_is_gone_at_the_end() -> None:
    said = _live({})

    assert "20 of 40 pods done, 30 injected, 8 running, about 8 s left" in said
    assert "[bold red]markup[/bold red]" in said
    assert "^[[31mred^[[0m" in said
    assert said.endswith("\x1b[1A\x1b[2K")  # up and erased


def test_no_color_is_honoured() -> None:
    colors = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")

    assert colors.search(_live({}))
    assert not colors.search(_live({"NO_COLOR": "1"}))
