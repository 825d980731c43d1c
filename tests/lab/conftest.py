"""The cluster that tests marked `lab` run on: a real one, brought up once for the session."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.handle import Lab

_HERE = Path(__file__).parent
_UP_SECONDS = 3600  # the first time on a machine it builds Kubernetes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab named by PODMEDIC_TEST_LAB, one for each of xdist's workers; PODMEDIC_KEEP_LAB=1
    leaves it up for the next session."""
    name = os.environ.get("PODMEDIC_TEST_LAB") or "test"
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        name = f"{name}-{worker}"
    command = [sys.executable, "-m", "lab", "--name", name]
    subprocess.run([*command, "up"], check=True, timeout=_UP_SECONDS)
    keeps = os.environ.get("PODMEDIC_KEEP_LAB") == "1"
    yield replace(Lab.named(name), is_disposable=not keeps)
    if not keeps:
        subprocess.run([*command, "down"], check=True, timeout=120)


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    """A namespace of the test's own."""
    with lab.namespace() as name:
        yield name
