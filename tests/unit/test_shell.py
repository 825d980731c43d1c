"""What a shell needs and sends, without a cluster."""

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.permissions import shell_needs
from runner.shell import document
from runner.shell.command import seconds_left
from runner.shell.program import ending, holder

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def test_the_page_names_every_verb() -> None:
    page = (ROOT / "docs" / "shell.md").read_text()
    for need in shell_needs():
        optional = "optional: " if need.optional else ""
        assert f"| {', '.join(need.verbs)} | {need.resource} | {optional}{need.why} |" in page


def test_options_become_a_playbook() -> None:
    made = document(
        image="busybox:1.36",
        profile="general",
        strategy="own-image",
        run_as_user=7,
        container="api",
    )
    debugger = made.spec.debugger
    assert (debugger.image, debugger.profile) == ("busybox:1.36", "general")
    assert (debugger.strategy, debugger.run_as_user) == (("own-image",), 7)
    assert made.spec.targets.container == "api"
    least = document(
        image=None, profile="restricted", strategy="auto", run_as_user=None, container=""
    )
    assert least.spec.targets.container is None
    assert least.spec.debugger.image.startswith("ghcr.io/podmedic/tools:")


def test_kubernetes_expands_nothing_of_what_is_sent() -> None:
    text = holder("podmedic-abcdefghijkl-1", 60)
    assert "$(" not in text
    assert "$$" not in text


def test_the_container_waits_and_ends_at_once_when_told() -> None:
    """By the program that looks for it, which leaves namesakes alone."""
    names = ("podmedic-abcdefghijkl-1", "podmedic-abcdefghijkl-2")
    waiting = [subprocess.Popen(["/bin/sh", "-c", holder(name, 60)]) for name in names]
    try:
        deadline = time.monotonic() + 10
        while waiting[0].poll() is None:
            assert time.monotonic() < deadline
            assert subprocess.run(ending(names[0]), check=False, timeout=10).returncode == 0
        assert waiting[0].returncode == 0
        assert waiting[1].poll() is None
    finally:
        for process in waiting:
            process.terminate()
    assert waiting[1].wait(timeout=5) == 0


def test_the_container_ends_by_itself() -> None:
    assert (
        subprocess.run(["/bin/sh", "-c", holder("n", 1)], check=False, timeout=10).returncode == 0
    )


@pytest.mark.parametrize(("ttl_seconds", "left"), [(60, 59.0), (1, 0.0), (0, 0.0)])
def test_a_command_ends_before_its_container(ttl_seconds: int, left: float) -> None:
    assert seconds_left(NOW, ttl_seconds, NOW) == left
