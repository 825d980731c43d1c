"""Lab tests call podmedic without its start: it must end as the command does."""

import json
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab import podmedic as pm
from tests.lab import preloaded


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("list",),
        ("no-such-command",),
        ("validate", "nowhere-ä.yaml"),
        ("run", "-l", "app in (", "-o", "out"),
    ],
    ids=lambda words: words[0],
)
def test_it_says_and_ends_as_the_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    called = preloaded.call(
        words, environment=pm.environment(None), folder=tmp_path, timeout_seconds=60
    )
    done = subprocess.run(
        [pm.COMMAND, *words], env=pm.environment(None), cwd=tmp_path, capture_output=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert (called.returncode, called.stdout, called.stderr) == (
        done.returncode, done.stdout, done.stderr,
    )  # fmt: skip


def test_it_has_the_environment_and_the_folder_that_were_given(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("{}")
    environment = pm.environment(None) | {"KUBECONFIG": "config"}
    called = preloaded.call(["plan"], environment=environment, folder=tmp_path, timeout_seconds=60)
    assert (called.returncode, called.stdout) == (4, b"")
    assert b"config" in called.stderr


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """By SIGKILL: whom it spoke to sees the connection end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.getsockname()[1]}"}}
            ],
            "users": [{"name": "u", "user": {}}],
        }  # fmt: skip
        (tmp_path / "config").write_text(json.dumps(config))
        server.setblocking(False)
        # Under load it is ended before it has asked anything.
        for timeout_seconds in (2, 8, 30):
            with pytest.raises(subprocess.TimeoutExpired):
                preloaded.call(
                    ["plan", "--kubeconfig", "config"], environment=pm.environment(None),
                    folder=tmp_path, timeout_seconds=timeout_seconds,
                )  # fmt: skip
            with suppress(BlockingIOError):
                connection, _ = server.accept()
                break
        else:
            pytest.fail("it never asked")
        with connection:
            connection.settimeout(30)
            while connection.recv(1 << 16):
                pass
