"""Whatever language a program is written in, its last words are understood: what is said first
names what matters, and nothing is certain that was only read."""

import re

import pytest

from lab.wordings import Wording, failures, filled, filled_pattern
from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import examination, exited, findings_of

CRASHLOOP = resolve("crashloop")
NAMES = {
    "app": "tariffs", "host": "tariff-db.billing", "port": "6543", "path": "/var/lib/tariffs/rates.yaml",
    "variable": "TARIFF_DSN", "user": "tariffs_rw", "database": "tariffs", "table": "tariff_rates",
    "option": "--rate-table", "module": "tariffkit", "value": "12,5",
}  # fmt: skip
ALL = [
    pytest.param(name, wording, id=f"{name}-{wording.language}-{number}")
    for name, failure in failures().items()
    for number, wording in enumerate(failure.wordings)
]


def test_there_are_enough() -> None:
    assert len(failures()) >= 18
    assert len(ALL) >= 200
    assert (
        len({wording.language for each in failures().values() for wording in each.wordings}) >= 15
    )


@pytest.mark.parametrize(("failure", "wording"), ALL)
def test_the_first_finding_names_the_cause(failure: str, wording: Wording) -> None:
    log = f"tariffs 4.2 starting\nlistening soon\n{filled(wording.log, NAMES)}"
    one = examination(state=exited(wording.exit_code), log=log, steps=steps())
    first, *_ = findings_of(CRASHLOOP, one)
    said = f"{first.title} {first.message}"
    wanted = [filled_pattern(pattern, NAMES) for pattern in failures()[failure].says]
    assert [p for p in wanted if not re.search(p, said)] == [], (first.rule, said)
    assert first.confidence != "possible"
