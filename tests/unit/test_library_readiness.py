"""The playbook readiness-failing: what its rules say, and how its steps see a server."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runner.analyze.parse import parse_output
from runner.model.pod import PodCondition
from tests.unit.examinations import event
from tests.unit.library_cases import Case, said, unanswered, without_case
from tests.unit.program_runs import needed
from tests.unit.test_playbook_scripts import SHELLS, run, step_of

NAME = "readiness-failing"
OPEN = "outside=8080,9090\ninside=6060\n"
UNHEALTHY = "Readiness probe failed: cannot reach db"


def http(status: str, ms: int = 3, headers: int = 0, scheme: str = "http", body: str = "") -> str:
    return (
        f"http readiness 8080 status={status} ms={ms} limit_ms=1000 headers={headers} "
        f"scheme={scheme} path=/ready\nbody {body}\n"
    )


def refused(port: int) -> str:
    return f"port readiness http - {port} refused\n"


DOWN = "dependency env:DB db 5432 refused\ndependency args q 4222 unresolved\ndependency args ok 80 open\n"
CASES: list[Case] = [
    ({"probes": "probe readiness http - 1 -\nprobe readiness http 80 1 -\n"}, [
        ("probe-port-unnamed", ("Container app is never ready because its readiness probe goes to "
         "a port by a name that no port of the container has."))]),
    ({"sockets": OPEN, "port": "port readiness tcp 10.0.0.9 80 timeout\n"}, [
        ("probe-host-elsewhere", ("Container app is not ready because its readiness probe goes to "
         "10.0.0.9:80 and not to the pod, and that does not accept connections (timeout)."))]),
    ({"sockets": OPEN, "port": refused(6060)}, [
        ("probe-port-on-loopback", ("Container app is not ready because it listens on port 6060 of "
         "the loopback address (localhost) only, where its readiness probe does not reach it."))]),
    ({"sockets": OPEN, "port": refused(808)}, [
        ("probe-wrong-port", ("Container app is not ready because its readiness probe goes to port "
         "808, where nothing listens; open in the pod: 8080,9090."))]),
    ({"sockets": "outside=\ninside=6060\n", "port": refused(8080), "dependencies": "", "http": ""}, [
        ("probe-nothing-listens", ("Container app is not ready because nothing in the pod listens, "
         "and its readiness probe goes to port 8080."))]),
    ({"sockets": OPEN, "http": http("503", body='{"db":"down"}'), "port": "", "dependencies": DOWN}, [
        ("dependency-down", ("Container app is not ready, and db:5432, which it uses (env:DB), "
         "refuses connections.")),
        ("dependency-down", ("Container app is not ready, and q:4222, which it uses (args), does "
         "not resolve."))]),
    # It says that it is ready: what it uses is not why the probe fails.
    ({"sockets": OPEN, "http": http("404"), "port": "", "dependencies": DOWN}, [
        ("probe-path-missing", ("Container app is not ready because its readiness probe asks for "
         "/ready on port 8080, which answers 404."))]),
    ({"http": http("tls", scheme="https")}, [
        ("probe-speaks-tls", ("Container app is not ready because its readiness probe speaks HTTPS, "
         "and on port 8080 there is no TLS handshake."))]),
    ({"http": http("400", body="Client sent an HTTP request to an HTTPS server. ")}, [
        ("probe-speaks-plain", ("Container app is not ready because its readiness probe speaks "
         'plain HTTP, and what listens on port 8080 does not: "Client sent an HTTP request to an '
'HTTPS server.".'))]),
    ({"http": http("401")}, [
        ("probe-refused", ("Container app is not ready because its readiness probe is answered 401 "
         "for /ready on port 8080."))]),
    ({"http": http("404", headers=1)}, [
        ("probe-refused-without-headers", ("The readiness probe of container app is answered 404 "
         "for /ready on port 8080, when it is asked without the headers that the probe sends."))]),
    ({"sockets": OPEN, "http": http("503", body="warming up "), "port": "", "dependencies": ""}, [
        ("probe-answers-5xx", ("Container app answers its readiness probe for /ready with 503: "
'"warming up".'))]),
    ({"sockets": OPEN, "http": http("200", ms=1001), "port": "", "dependencies": ""}, [
        ("probe-slow", ("Container app is not ready because its readiness probe for /ready takes "
         "1001 ms, and the kubelet waits 1000 ms (timeoutSeconds)."))]),
    ({"sockets": OPEN, "http": http("timeout", ms=5001), "port": "", "dependencies": ""}, [
        ("probe-hangs", ("Container app is not ready because nothing answers its readiness probe "
         "for /ready on port 8080, even after 5001 ms."))]),
    ({"probes": "probe readiness grpc 9000 1 -\n", "grpc": "serving=no\n"}, [
        ("grpc-not-serving", ("Container app is not ready because its gRPC health service on port "
         "9000 does not say SERVING."))]),
    ({"probes": "probe readiness exec - 1 -\n", "grpc": ""}, [
        ("probe-by-command-fails", ("Container app is not ready because its readiness probe, which "
         "the kubelet alone runs, fails: cannot reach db."))]),
    ({"sockets": OPEN, "http": http("200"), "port": "", "dependencies": DOWN}, [
        ("probe-succeeds-from-inside", ("The readiness probe of container app succeeds when it is "
         "asked from inside the pod, though the pod was not ready: it has just become so, its "
         "answer changes, or the kubelet does not reach the pod."))]),
    ({"sockets": OPEN, "http": "", "port": "port readiness tcp - 8080 open\n", "dependencies": ""}, [
        ("probe-succeeds-from-inside", ("The readiness probe of container app succeeds when it is "
         "asked from inside the pod, though the pod was not ready: it has just become so, its "
         "answer changes, or the kubelet does not reach the pod."))]),
]  # fmt: skip
GATE = ("All containers of the pod are ready, but a readiness gate is not: corresponding condition "
        'of pod readiness gate "lb" does not exist.')  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    found = said(NAME, outputs, ready=False, events=[event("Unhealthy", UNHEALTHY)])
    assert found == sorted(expected)


@pytest.mark.parametrize("outputs", [case for case, _ in CASES])
def test_nothing_is_said_of_a_container_that_is_ready(outputs: dict[str, str]) -> None:
    assert said(NAME, outputs, ready=True, events=[event("Unhealthy", UNHEALTHY)]) == []


def test_a_readiness_gate() -> None:
    why = 'corresponding condition of pod readiness gate "lb" does not exist'
    conditions = [
        PodCondition(type="ContainersReady", status="True"),
        PodCondition(type="Ready", status="False", reason="ReadinessGatesNotReady", message=why),
    ]
    assert said(NAME, {}, ready=True, pod_conditions=conditions) == [("readiness-gate", GATE)]
    waiting = [PodCondition(type="ContainersReady", status="False"), conditions[1]]
    assert said(NAME, {}, ready=True, pod_conditions=waiting) == []


def test_a_grpc_answer_that_nobody_asked_for_is_not_evaluated() -> None:
    """The image has no grpc_health_probe; the port alone says nothing."""
    outputs = {"probes": "probe readiness grpc 9000 1 -\n", "port": "", "grpc": "", "http": "",
               "sockets": OPEN, "dependencies": ""}  # fmt: skip
    assert said(NAME, outputs, ready=False) == []
    assert unanswered(NAME, outputs, ready=False) == [
        ("rule grpc-not-serving", 'there is no "serving"')
    ]


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == {"readiness-gate"}


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
        step = step.model_copy(update={"parse": None})
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
