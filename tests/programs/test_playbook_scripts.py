"""The scripts of the built-in playbooks, run by the shells that debug images have."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runner.playbook.spec import Step
from tests.playbooks import every
from tests.programs.scripts import BUSYBOX, SHELLS, run, step_of, without_waits

SCRIPTS = [
    pytest.param(step, id=f"{name}-{step.name}")
    for name, playbook in every().items()
    for step in playbook.spec.steps
    if step.script
]


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.2", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("step", SCRIPTS)
def test_runs_with_an_empty_environment(step: Step, shell: list[str]) -> None:
    """No pod gives everything; a step that finds nothing is no failure."""
    run(without_waits(step), [*_few_processes(), *shell])


@cache
def _few_processes() -> tuple[str, ...]:
    """As in a pod: one other process, and not all of a machine, whose executables are gigabytes.
    Empty where that is not allowed."""
    neighbour = ("sh", "-c", 'sleep 60 & exec "$@"', "sh")
    command = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *neighbour)
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return ()
    return command if done.returncode == 0 else ()


def test_shellcheck_finds_nothing() -> None:
    """What it is told to leave alone: `name= other=` for empty values, and -ef."""
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck")
    for name, playbook in every().items():
        for step in playbook.spec.steps:
            checked = subprocess.run(
                [shellcheck, "-s", "sh", "-S", "warning", "-e", "SC1007,SC3013", "-"],
                input=(step.script or "").encode(),
                capture_output=True,
                check=False,
            )
            assert checked.stdout.decode() == "", f"{name} {step.name}"


@pytest.mark.parametrize("shell", SHELLS)
def test_endpoints(shell: list[str], tmp_path: Path, listener: int) -> None:
    """With the tools of busybox alone: what resolves, what accepts, what refuses, and that nothing
    of a URL but host and port is printed."""
    for tool in ("env", "nc", "ping", "sleep", "timeout"):
        (tmp_path / tool).symlink_to(BUSYBOX or "/bin/busybox")
    with socket.create_server(("127.0.0.2", 0)) as server:
        closed = server.getsockname()[1]
    rows = run(
        without_waits(step_of("crashloop", "endpoints")),
        shell,
        path=str(tmp_path),
        PODMEDIC_ENDPOINTS=f"env:OPEN 127.0.0.2 {listener}\nargs 127.0.0.2 {closed}\n"
        f"env:AGAIN 127.0.0.2 {closed}\nenv:EVIL -evil;reboot 80\nenv:SELF localhost 80\n"
        "env:NAME name.invalid -",
        CACHE_URL="redis://user:secret@cache.invalid:6379/0?x=y",
        BROKERS="a.invalid:9092,b.invalid:9092",
        IMAGE="redis:7",
        SINCE="10:30",
        WEB_PORT="tcp://10.96.1.2:80",
        WEB_SERVICE_HOST="10.96.1.2",
        DB_HOST="db.invalid",
        GREETING="hello",
    )
    assert {(r["source"], r["host"], r["port"], r["dns"], r["tcp"]) for r in rows} == {
        ("env:OPEN", "127.0.0.2", str(listener), "ok", "open"),
        ("args", "127.0.0.2", str(closed), "ok", "refused"),
        ("env:NAME", "name.invalid", "-", "fail", "none"),
        ("env:CACHE_URL", "cache.invalid", "6379", "fail", "none"),
        ("env:BROKERS", "a.invalid", "9092", "fail", "none"),
        ("env:BROKERS", "b.invalid", "9092", "fail", "none"),
        ("env:DB_HOST", "db.invalid", "-", "fail", "none"),
    }


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("playbook", ["crashloop", "triage"])
@pytest.mark.parametrize(("answers", "asked", "said"), [(1, 1, "ok"), (3, 3, "ok"), (9, 3, "fail")])
def test_dns(
    playbook: str, shell: list[str], answers: int, asked: int, said: str, tmp_path: Path
) -> None:
    """Asked by the whole name, and again when an answer got lost: the question number `answers` is
    the first that is answered."""
    tools = {
        "cat": "echo 'nameserver 10.96.0.10'; echo 'search shop.svc.c.local svc.c.local c.local'",
        "getent": f'echo "$*" >>{tmp_path}/asked; [ "$(wc -l <{tmp_path}/asked)" -ge {answers} ]',
        "timeout": 'shift; exec "$@"',
        "sleep": ":",
    }
    for name, script in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nPATH={tmp_path}:{os.environ['PATH']}\n{script}\n")
        (tmp_path / name).chmod(0o755)
    found = run(step_of(playbook, "dns"), shell, path=str(tmp_path))
    assert (found["cluster"], found["kubernetes"]) == ("yes", said)
    questions = (tmp_path / "asked").read_text().splitlines()
    assert questions == ["hosts kubernetes.default.svc.c.local."] * asked


@pytest.mark.parametrize("shell", SHELLS)
def test_mounts(shell: list[str], tmp_path: Path) -> None:
    """Names, as a ConfigMap volume has them, and never a content."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "app.yaml").write_text("password: hunter2\n")
    (tmp_path / "app.yaml").symlink_to("..data/app.yaml")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b c").write_text("")
    step = step_of("crashloop", "mounts")
    rows = run(step, shell, PODMEDIC_MOUNTS=f"{tmp_path}\n/no/such\n/etc/hostname\n")
    assert [(row["kind"], row["path"]) for row in rows] == [
        ("mount", str(tmp_path)),
        ("file", f"{tmp_path}/app.yaml"),
        ("dir", f"{tmp_path}/sub"),
        ("file", f"{tmp_path}/sub/b c"),
        ("absent", "/no/such"),
        ("file", "/etc/hostname"),
    ]
    out = run(step.changed(parse=None), shell, PODMEDIC_MOUNTS=str(tmp_path))
    assert "hunter2" not in out


@pytest.mark.parametrize("shell", SHELLS)
def test_sockets(shell: list[str], listener: int) -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        rows = run(step_of("triage", "sockets"), shell)
        port = everywhere.getsockname()[1]
    scopes = {(row["port"], row["scope"]) for row in rows}
    assert {(str(port), "all"), (str(listener), "loopback")} <= scopes


@pytest.mark.parametrize("shell", SHELLS)
def test_disk(shell: list[str], tmp_path: Path) -> None:
    rows = run(step_of("triage", "disk"), shell, PODMEDIC_MOUNTS=f"{tmp_path}\n/no/such")
    assert {"/", str(tmp_path)} >= {row["path"] for row in rows}
    used = {row["path"]: int(row["percent"]) for row in rows if row["kind"] == "disk"}
    assert used.keys() == {"/", str(tmp_path)}
    assert all(0 <= percent <= 100 for percent in used.values())


@pytest.mark.parametrize("shell", SHELLS)
def test_usage_leaves_our_own_processes_out(shell: list[str]) -> None:
    """Here all processes are ours, unless some are in another cgroup."""
    usage = run(without_waits(step_of("triage", "usage")), shell)
    assert usage.keys() in (
        set(),
        {"memory_kib", "memory_kib_per_minute", "grows", "cpu_millis", "our_cpu_millis"},
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_processes(shell: list[str]) -> None:
    rows = run(step_of("triage", "processes"), shell)
    own = next(row for row in rows if row["pid"] == str(os.getpid()))
    assert own["parent"] == str(os.getppid())
    assert int(own["rss"]) > 1000
