"""Waiting for what a cluster does in its own time: by the clock, never by a number of tries, which
a quick machine has used up too early."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from lab.handle import Lab
from runner.injection.strategy import MIN_UPTIME
from tests.lab import podmedic as pm

T = TypeVar("T")
# Four control planes on two cores: what takes a second alone may take half a minute.
PATIENCE_SECONDS = 120.0


def until(
    found: Callable[[], T | None],
    what: str,
    seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.4,
) -> T:
    """What is found, as soon as it is not empty; `what` is told when it never comes. To look more
    often costs other tests more than it spares this one."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(every_seconds)
    return value


def wait_restarted(lab: Lab, namespace: str, app: str) -> None:
    """Until its pod has crashed and been started again; it may live for a while."""
    until(
        lambda: [
            status
            for pod in pm.pods(lab, namespace)
            if pod.metadata.labels.get("app") == app
            for status in pod.status.container_statuses
            if status.restart_count >= 1
        ],
        f"{app} is not started again", 2 * PATIENCE_SECONDS,
    )  # fmt: skip


def wait_crashing(lab: Lab, namespace: str, app: str, pods: int) -> None:
    """Until each of the pods has crashed at least twice."""

    def all_crashed() -> bool:
        statuses = [
            pod.status.container_statuses
            for pod in pm.pods(lab, namespace)
            if pod.metadata.labels.get("app") == app
        ]
        crashed = [
            each
            for each in statuses
            # One that has been started again may be about to crash for the second time.
            if any(
                s.restart_count >= 2 or (s.restart_count == 1 and s.state.running is None)
                for s in each
            )
        ]
        return len(crashed) == pods

    until(all_crashed, f"{app} does not crash", 2 * PATIENCE_SECONDS)


def wait_enterable(lab: Lab, namespace: str, *apps: str) -> None:
    """Until the target strategy may reach every pod of the apps, or every pod: a container that
    has just started is not entered, and nothing but time changes that."""

    def started() -> datetime | None:
        newest = []
        for pod in pm.pods(lab, namespace):
            if apps and pod.metadata.labels.get("app") not in apps:
                continue
            # An init container that runs is the target.
            every = (*pod.status.init_container_statuses, *pod.status.container_statuses)
            times = [s.state.running.started_at for s in every if s.state.running is not None]
            if not (known := [each for each in times if each is not None]):
                return None
            newest.append(max(known))
        return max(newest, default=None)

    last = until(started, f"no container of {apps or 'any pod'} runs in {namespace}")
    assert last is not None
    # The node's clock is cut to whole seconds.
    left = last + MIN_UPTIME + timedelta(seconds=1) - datetime.now(UTC)
    time.sleep(max(0.0, left.total_seconds()))
