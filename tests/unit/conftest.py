"""Pure tests start no program (what needs one is in tests/programs) and ask no proxy of the
machine's."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest

_STARTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
_MAIN = threading.main_thread().ident
_is_pure = False
_proxies: dict[str, str] = {}


def _refuse(event: str, _: object) -> None:
    # Threads of the labs of other tests may start what they like.
    if _is_pure and event in _STARTS and threading.get_ident() == _MAIN:
        pytest.fail(f"a test of tests/unit starts no program ({event}): put it into tests/programs")


# Audit hooks stay for good, so there is one, and it heeds pure tests alone.
sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    global _is_pure  # noqa: PLW0603
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        _proxies[name] = os.environ.pop(name)
    _is_pure = True
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    global _is_pure  # noqa: PLW0603
    # The last test of all ends the labs as well.
    _is_pure = False
    yield
    os.environ.update(_proxies)
    _proxies.clear()
