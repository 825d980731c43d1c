"""The scripts that probe as the kubelet does, run by the shells of images."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runner.analyze.parse import parse_output
from tests.programs.program_runs import needed
from tests.programs.scripts import SHELLS, run, step_of

NAME = "readiness-failing"


class Server(BaseHTTPRequestHandler):
    """Answers by the path; of a query and of headers nothing is told."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/slow":
            time.sleep(1.2)
        good = path in ("/slow", "/ok") and self.headers["User-Agent"].startswith("kube-probe/")
        self.send_response(200 if good else int(path[1:]))
        self.end_headers()
        self.wfile.write(b"no db\n\x1b[31m at 10.0.0.1\n" if path == "/503" else b"")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.2", 0), Server) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield web.server_address[1]
        web.shutdown()


@contextmanager
def closing() -> Iterator[int]:
    """A server that hangs up on whoever speaks."""
    with socket.create_server(("127.0.0.2", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                one.recv(1)
                one.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.mark.parametrize("shell", SHELLS)
def test_http(shell: list[str]) -> None:
    needed("curl")
    with server() as port, closing() as shut, socket.create_server(("127.0.0.2", 0)) as gone:
        nobody = gone.getsockname()[1]
        gone.close()
        lines = [
            f"readiness http {port} 1 http 0 - /ok?token=hunter2",
            f"startup http {port} 1 http 0 127.0.0.2 /503",
            f"readiness http {port} 1 http 2 - /404",
            f"readiness http {port} 1 http 0 - /slow",
            f"readiness http {port} 1 https 0 - /ok",
            f"readiness http {shut} 1 http 0 - /",
            f"readiness http {nobody} 1 http 0 - /",
            f"liveness http {port} 1 http 0 - /ok",
            "readiness http - 1 http 0 - /",
            "readiness http 80 1 http 0 -x /",
            "readiness http 80 1 file 0 - /etc/passwd",
            "readiness exec - 1 - 0 - -",
        ]
        step = step_of(NAME, "http")
        given = {"PODMEDIC_PROBES": "\n".join(lines), "PODMEDIC_POD_IP": "127.0.0.2"}
        step = step.changed(parse=None)
        text = run(step, shell, http_proxy="http://127.0.0.3:1", **given)
    parse = step_of(NAME, "http").parse
    assert parse is not None
    rows = parse_output(parse, text)
    told = [(r["kind"], r["port"], r["status"], r["headers"], r["path"], r["body"]) for r in rows]
    assert told == [
        ("readiness", str(port), "200", "0", "/ok", ""),
        ("startup", str(port), "503", "0", "/503", "no db  [31m at 10.0.0.1 "),
        ("readiness", str(port), "404", "2", "/404", ""),
        ("readiness", str(port), "200", "0", "/slow", ""),
        ("readiness", str(port), "tls", "0", "/ok", ""),
        ("readiness", str(shut), "closed", "0", "/", ""),
        ("readiness", str(nobody), "refused", "0", "/", ""),
    ]
    slow = {r["path"]: int(r["ms"]) for r in rows if r["port"] == str(port)}
    assert 1200 <= slow["/slow"] < 5000
    assert slow["/404"] < 1000
    assert "hunter2" not in text


@pytest.mark.parametrize("shell", SHELLS)
def test_port(shell: list[str], tmp_path: Path) -> None:
    """With busybox' nc, which cannot only look, and a server that says nothing."""
    busybox = needed("busybox")
    (tmp_path / "nc").symlink_to(busybox)
    soon = tmp_path / "timeout"
    soon.write_text(f'#!/bin/sh\nshift\nexec {busybox} timeout 1 "$@"\n')
    soon.chmod(0o755)
    with (
        socket.create_server(("127.0.0.2", 0)) as server,
        socket.create_server(("127.0.0.2", 0)) as gone,
    ):
        port, nobody = server.getsockname()[1], gone.getsockname()[1]
        gone.close()
        given = (
            f"readiness tcp {port} 1 - 0 - -\nstartup http {nobody} 1 http 0 - /\n"
            f"readiness grpc {port} 1 - 0 127.0.0.2 -\nliveness tcp {port} 1 - 0 - -\n"
            f"readiness tcp {port} 1 - 0 -x -\nreadiness exec - 1 - 0 - -"
        )
        rows = run(step_of(NAME, "port"), shell, path=str(tmp_path), PODMEDIC_PROBES=given,
                   PODMEDIC_POD_IP="127.0.0.2")  # fmt: skip
        hosts = f"env:A 127.0.0.2 {port}\nenv:B 127.0.0.2 {nobody}\nenv:B 127.0.0.2 {nobody}\nenv:C -x 1"
        others = run(
            step_of(NAME, "dependencies"), shell, path=str(tmp_path), PODMEDIC_ENDPOINTS=hosts
        )
    assert [tuple(row[k] for k in ("kind", "how", "host", "port", "word")) for row in rows] == [
        ("readiness", "tcp", "-", str(port), "open"),
        ("startup", "http", "-", str(nobody), "refused"),
        ("readiness", "grpc", "127.0.0.2", str(port), "open"),
    ]
    assert {(row["source"], row["port"], row["word"]) for row in others} == {
        ("env:A", str(port), "open"), ("env:B", str(nobody), "refused"),
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_sockets(shell: list[str]) -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.create_server(("127.0.0.2", 0)) as loopback,
    ):
        rows = run(step_of(NAME, "sockets"), shell)
        outer, inner = str(everywhere.getsockname()[1]), str(loopback.getsockname()[1])
    assert outer in rows["outside"].split(",")
    assert inner in rows["inside"].split(",")
    assert inner not in rows["outside"].split(",")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("code", "serving"), [(0, "yes"), (4, "no")])
def test_grpc(shell: list[str], tmp_path: Path, code: int, serving: str) -> None:
    (tmp_path / "timeout").symlink_to(needed("timeout"))
    asked = tmp_path / "asked"
    probe = tmp_path / "grpc_health_probe"
    probe.write_text(f'#!/bin/sh\necho "$@" >{asked}\nexit {code}\n')
    probe.chmod(0o755)
    given = "readiness grpc 9000 3 - 0 - shop.Cart\nreadiness grpc 9000 3 - 0 - a;b"
    rows = run(step_of(NAME, "grpc"), shell, path=f"{tmp_path}:/bin", PODMEDIC_PROBES=given,
               PODMEDIC_POD_IP="fd00::7")  # fmt: skip
    assert rows == {"serving": serving}
    assert asked.read_text() == "-addr=[fd00::7]:9000 -service=shop.Cart -rpc-timeout=3s\n"
    # Without the tool there is no answer, so the rule is not evaluated.
    assert run(step_of(NAME, "grpc"), shell, PODMEDIC_PROBES=given) == {}
