"""What well-known programs print before they exit: the first finding names what matters."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import examination, exited, findings_of

CRASHLOOP = resolve("crashloop")
PROGRAMS = yaml.load((Path(__file__).parent / "known_programs.yaml").read_bytes(), yaml.CSafeLoader)


@pytest.mark.parametrize("known", PROGRAMS, ids=[each["program"] for each in PROGRAMS])
def test_the_first_finding_says_why(known: dict[str, Any]) -> None:
    one = examination(state=exited(known["exitCode"]), log=known["log"], steps=steps())
    first, *_ = findings_of(CRASHLOOP, one)
    assert re.search(known["says"], f"{first.title} {first.message}")
    assert first.confidence != "possible"


def test_a_parser_s_invalid_token_is_no_password() -> None:
    (known,) = (each for each in PROGRAMS if each["program"] == "clickhouse")
    one = examination(state=exited(232), log=known["log"], steps=steps())
    assert "authentication-failed" not in [each.rule for each in findings_of(CRASHLOOP, one)]
