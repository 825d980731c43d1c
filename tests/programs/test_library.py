"""The scripts of the playbooks about resources and certificates, run by the shells of images."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.programs.scripts import SHELLS, run, step_of
from tests.unit.certificates import self_signed

NOW = datetime.now(UTC)
DATES = {
    "old": (NOW - timedelta(days=30), NOW - timedelta(days=2, hours=1)),
    "soon": (NOW - timedelta(days=30), NOW + timedelta(days=3, hours=1)),
    "fine": (NOW - timedelta(days=1), NOW + timedelta(days=90, hours=1)),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_mounted_certificates(shell: list[str], tmp_path: Path) -> None:
    """As a Secret's volume has them; a key, and a file that only looks like a certificate, say
    nothing."""
    mount = tmp_path / "tls"
    for name, dates in DATES.items():
        self_signed(mount, name, *dates)
    (mount / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    for path in mount.glob("*.pem"):
        path.with_suffix(".pem").touch()
    rows = run(step_of("tls-expiry", "mounted"), shell, PODMEDIC_MOUNTS=str(mount))
    assert {(row["state"], row["days"], row["path"], row["subject"]) for row in rows} >= {
        ("expired", "3", f"{mount}/old.crt", "CN=old"),
        ("left", "3", f"{mount}/soon.crt", "CN=soon"),
        ("left", "90", f"{mount}/fine.crt", "CN=fine"),
    }
    assert {Path(row["path"]).suffix for row in rows} <= {".crt", ".pem"}


@contextmanager
def tls_server(certificate: Path, key: Path) -> Iterator[int]:
    """The port of a server on 127.0.0.2 that shakes hands and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.2", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.mark.parametrize("shell", SHELLS)
def test_certificates_of_servers(shell: list[str], tmp_path: Path) -> None:
    with (
        tls_server(*self_signed(tmp_path, "old", *DATES["old"])) as old,
        tls_server(*self_signed(tmp_path, "fine", *DATES["fine"])) as fine,
        socket.create_server(("127.0.0.2", 0)) as silent,
    ):
        ports = {"old": old, "fine": fine, "silent": silent.getsockname()[1]}
        lines = "\n".join(f"env:{name} 127.0.0.2 {port}" for name, port in ports.items())
        rows = run(step_of("tls-expiry", "met"), shell, PODMEDIC_ENDPOINTS=lines)
    seen = {row["port"]: (row["state"], row["days"], row["subject"]) for row in rows}
    assert seen == {
        str(old): ("expired", "3", "CN=old"),
        str(fine): ("left", "90", "CN=fine"),
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_connections(shell: list[str]) -> None:
    """One that the other side closed counts as what it is."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        theirs.close()
        counts: dict[str, Any] = run(step_of("resource-exhaustion", "connections"), shell)
        ours.close()
    assert int(counts["close_wait"]) >= 1
    assert int(counts["outgoing"]) >= 1
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert int(counts["ports"]) == int(last) - int(first) + 1


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_ours_is_not_counted(shell: list[str]) -> None:
    """Here all processes are ours, unless some are in another cgroup."""
    rows = run(step_of("resource-exhaustion", "files"), shell)
    assert str(os.getpid()) not in {row["pid"] for row in rows}
