"""Bundles on their way to a real Azure Blob server: Azurite, which Microsoft's own tools test with."""

import base64
import hashlib
import hmac
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import obstore
import pytest
from obstore.store import AzureStore

from tests.npm import installed
from tests.unit.bundles import noise, run_directory
from tests.unit.test_verify import command

pytestmark = pytest.mark.tools

# The last ones want a newer Node.js than Debian's.
PACKAGE = "azurite@3.33.0"
ACCOUNT = "devstoreaccount1"
# Azurite's own, known to everybody.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "evidence"
START_SECONDS = 60
RUN = "20261123-031240-k3f9"


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureStore]:
    """With one container; the environment says where it is."""
    program = installed(PACKAGE) / "azurite/dist/src/blob/main.js"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["node", program, "--inMemoryPersistence", "--silent", "--skipApiVersionCheck",
         f"--blobPort={port}"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{port}")
    try:
        _wait(port, server)
        _make_container(port)
        yield AzureStore(CONTAINER, account_name=ACCOUNT, client_options={"allow_http": True})
    finally:
        server.terminate()
        server.wait(10)


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert server.poll() is None, "Azurite ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def _make_container(port: int) -> None:
    """Which obstore has no word for."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    told = "\n".join(f"{name}:{value}" for name, value in headers.items())
    text = "PUT" + "\n" * 12 + f"{told}\n/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    url = f"http://127.0.0.1:{port}/{ACCOUNT}/{CONTAINER}?restype=container"
    urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=30)


def test_a_bundle_arrives_as_it_is(azure: AzureStore, tmp_path: Path) -> None:
    """In one piece, and in several where it is large; a container that does not exist is told."""
    run = run_directory(tmp_path / "run")
    url, bundle = f"az://{ACCOUNT}/{CONTAINER}/runs", tmp_path / "run.tar.zst"
    for size in (0, 20 << 20):
        (run / "blobs" / "0f").write_bytes(noise(size))
        code, _, said = command("bundle", run, "--upload", url)
        there = f"{url}/{RUN}.tar.zst ({bundle.stat().st_size} bytes, read back and compared)"
        assert (code, said.splitlines()[-1]) == (0, f"Uploaded: {there}")
        found = obstore.get(azure, f"runs/{RUN}.tar.zst")
        assert (
            found.attributes["podmedic_sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
        )
        assert bytes(found.bytes()) == bundle.read_bytes()
    code, _, said = command("bundle", run, "-q", "--upload", f"az://{ACCOUNT}/nowhere")
    why = "the store says ContainerNotFound: The specified container does not exist"
    place = f"az://{ACCOUNT}/nowhere/{RUN}.tar.zst"
    assert (code, said) == (
        6, f"podmedic: cannot upload to {place}: {why}; the bundle is kept in {bundle}\n"
    )  # fmt: skip
