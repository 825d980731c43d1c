"""The built program beside a real shell, and shellcheck."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.program.text import FIXED, LAST
from tests.programs.program_runs import command, needed, script
from tests.unit.test_program_build import STEP, built


@settings(max_examples=40)
@given(
    words=st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
        | st.text(alphabet="$()' \\\n`\"aB_*~#!-"),
        min_size=1,
        max_size=8,
    )
)
def test_every_word_arrives_as_it_is(words: list[str]) -> None:
    """The step's line is run by a shell whose `_step` prints its arguments."""
    line = built(command("argv", "x", *words)).removesuffix(LAST).partition(FIXED)[2]
    program = f"_step() {{ shift 8; printf '%s\\0' \"$@\"; }}\n{line}"
    ran = subprocess.run([needed("dash"), "-c", program], capture_output=True, check=True)
    assert ran.stdout.decode().split("\0")[:-1] == words


def test_shellcheck_finds_nothing() -> None:
    """What it is told to leave alone: -ef (not in POSIX before 2024, but in all our shells)."""
    program = built(STEP, script("script", "true"))
    checked = subprocess.run(
        [needed("shellcheck"), "-s", "sh", "-e", "SC3013", "-"],
        input=program.encode(),
        capture_output=True,
        check=False,
    )
    assert checked.stdout.decode() == ""
    assert checked.returncode == 0
