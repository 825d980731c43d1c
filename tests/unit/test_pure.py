"""What tests/unit/conftest.py holds the pure tests to."""

import os
import subprocess
import sys

import pytest

from tests.unit import conftest

WORDS = "a test of tests/unit starts no program"


def test_no_program_is_started() -> None:
    with pytest.raises(pytest.fail.Exception, match=WORDS):
        subprocess.run([sys.executable, "--version"], check=True)
    with pytest.raises(pytest.fail.Exception, match=WORDS):
        os.system("true")
    with pytest.raises(pytest.fail.Exception, match=WORDS):
        os.fork()


def test_no_proxy_of_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    begun, ended = conftest.pytest_runtest_setup(), conftest.pytest_runtest_teardown()
    next(begun)
    assert "HTTPS_PROXY" not in os.environ
    assert [*begun, *ended] == [None]
    assert os.environ["HTTPS_PROXY"] == "http://127.0.0.1:1"


def test_what_ends_the_labs_may_start_programs() -> None:
    """It runs when the last test of all is over, which may be a pure one."""
    ended = conftest.pytest_runtest_teardown()
    next(ended)
    assert subprocess.run([sys.executable, "--version"], check=False, capture_output=True).stdout
