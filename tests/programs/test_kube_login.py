"""Exec plugins of a kubeconfig, run as programs."""

import asyncio
import gc
import json
from asyncio.base_subprocess import BaseSubprocessTransport
from pathlib import Path

import pytest
import yaml

from runner.cluster import ClusterError
from runner.kube import access as access_module
from tests.unit.kubeconfigs import config, error_of, loaded, write


async def test_many_refused_requests_refresh_once(tmp_path: Path) -> None:
    """A plug-in that opens a browser opens it once."""
    calls = tmp_path / "calls"
    plugin = exec_plugin(tmp_path, f"echo x >> {calls}", {"token": "t"})
    access = await loaded(tmp_path, kubeconfig=str(plugin))

    refused = access.headers

    await asyncio.gather(*(access.replace(refused) for _ in range(20)))
    await access.replace(refused)  # a 401 that was long on its way

    assert calls.read_text() == "x\nx\n"


def exec_plugin(folder: Path, before: str, status: dict[str, str]) -> Path:
    answer = json.dumps(
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": status,
        }
    )
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{before}\ncat <<'E'\n{answer}\nE\n")
    program.chmod(0o700)
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "Never",
    }
    return write(folder / "config", config("c", current="c", exec=command))


async def test_exec_plugins_give_tokens(tmp_path: Path) -> None:
    """The token of the plug-in goes with each request."""
    path = exec_plugin(tmp_path, "true", {"token": "of-the-plugin"})

    access = await loaded(tmp_path, kubeconfig=str(path))

    assert dict(access.headers) == {"Authorization": "Bearer of-the-plugin"}


def test_a_failing_plugin_is_heard(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What it wrote is in our line, not beside it; we do not go on as nobody."""
    path = exec_plugin(tmp_path, 'echo "it\'s late: log in" >&2; exit 3', {"token": "t"})

    message = error_of(tmp_path, kubeconfig=str(path))

    assert message == "context c: exec: process returned 3. it's late: log in"
    assert capfd.readouterr() == ("", "")


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    """With the hint of the kubeconfig."""
    path = exec_plugin(tmp_path, "true", {"token": "t"})
    (tmp_path / "plugin").unlink()

    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"]["exec"]["installHint"] = "Get it from the shop."
    write(path, document)

    message = error_of(tmp_path, kubeconfig=str(path))

    assert message == (
        f"context c: exec plug-in {tmp_path}/plugin: No such file or directory; "
        "Get it from the shop."
    )


async def test_a_plugin_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, for ever."""
    monkeypatch.setattr(access_module, "LOGIN_SECONDS", 0.2)
    path = exec_plugin(tmp_path, "exec sleep 1", {"token": "t"})

    with pytest.raises(ClusterError) as caught:
        await loaded(tmp_path, kubeconfig=str(path))

    assert caught.value.message == (
        "context c: no credentials within 0 s: does the exec plug-in wait for input?"
    )
    await subprocesses_ended()


async def subprocesses_ended() -> None:
    """The library leaves its plug-in behind; its end must not fall into another test."""
    for _ in range(1000):
        transports = [o for o in gc.get_objects() if isinstance(o, BaseSubprocessTransport)]
        if all(t.is_closing() and t.get_returncode() is not None for t in transports):
            return
        await asyncio.sleep(0.01)
    pytest.fail("a plug-in does not end")
