"""From steps to the text of a program: what it costs, what it refuses, what Kubernetes sees."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.program import MAX_PROGRAM_BYTES, ProgramStep, build
from runner.program.text import FIXED, LAST
from tests.programs.program_runs import NONCE, command, script

STEP = command("resolve", "getent", "hosts", "db")


def built(*steps: ProgramStep, deadline_seconds: float = 60) -> str:
    return build(steps, nonce=NONCE, deadline_seconds=deadline_seconds)


def test_the_text_of_a_program() -> None:
    """Fixed part and fixed last line, and one line for each step."""
    text = built(
        command("resolve", "getent", "hosts", "it's", timeout_seconds=2.5, attempts=3),
        script("ports", "ss -ltn | grep :80", output_limit_bytes=5000, tools=("ss", "grep")),
    )
    assert text == (
        "_N=pm-3f9a _K=2 _D=5750 _G=200 _B=8388608 _L=/dev/termination-log _F=131072\n"
        + FIXED
        + "_step 0 250 100 3 256 test/resolve '' getent hosts 'it'\\''s'\n"
        + "_step 1 1500 100 1 2 test/ports 'ss grep' \"$0\" -c 'ss -ltn | grep :80'\n"
        + LAST
    )
    assert len(FIXED + LAST) <= 5500


def test_the_end_of_the_deadline_is_kept_for_ending_in_order() -> None:
    assert "_D=90 _G=8 " in built(STEP, deadline_seconds=1)
    assert "_D=1800 _G=160 " in built(STEP, deadline_seconds=20)
    assert "_D=29750 _G=200 " in built(STEP, deadline_seconds=300)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (replace(STEP, argv=()), "step test/resolve: either argv or script is expected"),
        (replace(STEP, script="x"), "step test/resolve: either argv or script is expected"),
        (replace(STEP, argv=("", "x")), "step test/resolve: argv begins with an empty word"),
        (replace(STEP, argv=("a\0b",)), "step test/resolve: a NUL byte cannot be passed"),
        (replace(STEP, argv=("\ud800",)), "step test/resolve: a lone surrogate cannot be passed"),
        (replace(STEP, name=""), "step test/: a step needs a name"),
        (replace(STEP, tools=("a b",)), "step test/resolve: tool 'a b': the name of a command"),
        (replace(STEP, tools=("*",)), r"step test/resolve: tool '\*': the name of a command"),
        (replace(STEP, tools=("_step",)), "step test/resolve: tool '_step': the name"),
        (replace(STEP, attempts=0), "step test/resolve: attempts 0: 1 to 1000 are expected"),
        (replace(STEP, timeout_seconds=0), "step test/resolve: timeout_seconds 0: 0.01 to"),
        (replace(STEP, timeout_seconds=float("nan")), "step test/resolve: timeout_seconds nan"),
        (replace(STEP, backoff_seconds=-1), "step test/resolve: backoff_seconds -1: 0 to"),
        (replace(STEP, output_limit_bytes=-1), "step test/resolve: output_limit_bytes -1: 0 to"),
    ],
)
def test_a_step_that_cannot_be_run_is_refused(step: ProgramStep, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}"):
        built(step)


def test_a_program_that_cannot_be_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a program needs at least one step"):
        built()
    with pytest.raises(ValueError, match=r"^step test/resolve: the name occurs twice"):
        built(STEP, STEP)
    with pytest.raises(ValueError, match=r"^deadline_seconds inf: 0.01 to"):
        built(STEP, deadline_seconds=float("inf"))
    with pytest.raises(ValueError, match=r"^nonce 'a b': 1 to 63 letters"):
        build([STEP], nonce="a b", deadline_seconds=1)
    with pytest.raises(ValueError, match=rf"^the program has .* at most {MAX_PROGRAM_BYTES} "):
        built(script("long", "x" * MAX_PROGRAM_BYTES))
    assert built(STEP, replace(STEP, playbook="other"))


def expanded_by_kubernetes(text: str, env: dict[str, str]) -> str:
    """What the kubelet makes of a command: `$(NAME)` if there is one, `$$` is `$`."""

    def one(match: re.Match[str]) -> str:
        found = match[0]
        if found == "$$":
            return "$"
        return env.get(found[2:-1], found) if found.startswith("$(") else found

    return re.sub(r"\$\$|\$\([^)]*\)|\$", one, text, flags=re.DOTALL)


class EveryName(dict[str, str]):
    """An environment in which every possible name is set."""

    def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
        return "changed" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", key) else default


@settings(max_examples=100)
@given(text=st.text(alphabet="$()' \\\n`\"aB_", min_size=1, max_size=40))
def test_kubernetes_expands_nothing(text: str) -> None:
    """`$(HOSTNAME)` and `$$` of a script mean what a shell means by them."""
    program = built(script("script", text), command("argv", "echo", text))
    assert expanded_by_kubernetes(program, EveryName()) == program
