"""No example fails because the machine is busy: time is measured in bench/."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("podmedic", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podmedic")

_HERE = Path(__file__).parent
_BUSY = {_HERE / "lab", _HERE / "programs"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reruns = int(os.environ.get("PODMEDIC_TEST_RERUNS", "1"))
    for item in items:
        if not _BUSY.isdisjoint(item.path.parents):
            # Two cores carry six control planes beside the test: what failed for want of time gets
            # a second chance, which the summary shows as a rerun.
            item.add_marker(pytest.mark.flaky(reruns=reruns))
