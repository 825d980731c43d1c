"""What tests/unit/conftest.py holds the pure tests to."""

import os
import subprocess
import sys

import pytest

WORDS = "a test of tests/unit starts no program"


def test_no_program_is_started() -> None:
    with pytest.raises(pytest.fail.Exception, match=WORDS):
        subprocess.run([sys.executable, "--version"], check=True)
    with pytest.raises(pytest.fail.Exception, match=WORDS):
        os.system("true")
    with pytest.raises(pytest.fail.Exception, match=WORDS):
        os.fork()
