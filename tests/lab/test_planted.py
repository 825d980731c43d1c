"""Secrets planted all over real pods are in nothing that a sweep leaves behind or sends."""

import base64
import gzip
import json
import random
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.unit.planted import ANYWHERE, BASE62, NAMED, SHAPED, URLS, drawn, password

FORMS = {**NAMED, **{f"url {name}": form for name, form in URLS.items()}}
CRASHES = 3
TERMINATION_BYTES = 4000  # the kubelet keeps 4096


class Plants:
    """Draws secrets and remembers where each was planted."""

    def __init__(self) -> None:
        self._rng = random.Random("planted")
        self.where: dict[str, str] = {}

    def shaped(self, kind: str, place: str) -> str:
        return self._remember(SHAPED[kind](self._rng), f"{kind} in {place}")

    def named(self, form: str, place: str) -> str:
        secret = drawn(self._rng, BASE62, 20) if form.startswith("url ") else password(self._rng)
        return FORMS[form].format(self._remember(secret, f"{form} in {place}"))

    def secret(self, place: str) -> str:
        return self._remember(drawn(self._rng, BASE62, 20), f"a password in {place}")

    def _remember(self, secret: str, where: str) -> str:
        self.where[secret] = where
        return secret

    def texts(self, place: str) -> Iterator[str]:
        """Every kind in a text that says nothing of secrets, and a password in every form."""
        for number, kind in enumerate(SHAPED):
            yield ANYWHERE[number % len(ANYWHERE)].format(self.shaped(kind, place))
        for form in FORMS:
            yield self.named(form, place)


def manifests(plants: Plants) -> list[dict[str, Any]]:
    """A server with secrets everywhere, and programs that end with secrets in their last words."""
    files = {name: printable("\n".join(plants.texts(place))) for name, place in (
        ("app.conf", "a file"), ("said.log", "the log"), ("written.log", "a termination message"),
    )}  # fmt: skip
    crashes = [f"crash{number}" for number in range(CRASHES)]
    for number, name in enumerate(crashes):
        forms = list(FORMS)[number::CRASHES]
        files[name] = printable("\n".join(plants.named(form, "the last words") for form in forms))
    mounts = [{"name": "planted", "mountPath": "/planted"}]
    env = [
        {"name": f"SETTING_{number}", "value": plants.shaped(kind, "a variable")}
        for number, kind in enumerate(SHAPED)
    ]
    env.append({"name": "DB_PASSWORD", "value": plants.secret("a variable")})
    env.append({"name": "DB_URL", "value": plants.named("url postgres", "a variable")})
    argv = [word for kind in SHAPED for word in ("--with", plants.shaped(kind, "argv"))]
    argv += ["--password", plants.secret("argv"), f"--api-key={plants.secret('argv')}"]
    probe = printable(plants.named("log", "a probe's output"))
    server = {
        "command": ["sh", "-c", "cat /planted/said.log; while :; do sleep 3600; done", *argv],
        "env": env,
        "volumeMounts": mounts,
        "readinessProbe": {
            "exec": {"command": ["sh", "-c", 'echo "$0" >&2; exit 1', probe]}, "periodSeconds": 2,
        },
    }  # fmt: skip
    volumes = {"volumes": [{"name": "planted", "configMap": {"name": "planted"}}]}
    end = f"cat /planted/{{name}}; tail -c {TERMINATION_BYTES} /planted/written.log >/dev/termination-log; exit 1"
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "planted"}, "data": files},
        pm.deployment("server", "", container=server, spec=volumes),
        *(
            pm.deployment(name, end.format(name=name), container={"volumeMounts": mounts}, spec=volumes)
            for name in crashes
        ),
    ]  # fmt: skip


def printable(text: str) -> str:
    """What a manifest can hold."""
    return re.sub(r"[^\t\n\x20-\x7e]", " ", text)


def test_s49_nothing_that_a_sweep_leaves_behind_holds_a_planted_secret(
    lab: Lab, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In variables, arguments, logs, files, last words, and what a probe prints: the run directory
    with every format, decompressed and decoded, both streams, metrics, what was put into the pods,
    Events, and what a chat, a collector of traces and a Pushgateway are told. The last look at the
    bundle finds nothing either."""
    lab.images("busybox", "tools")
    plants = Plants()
    pm.apply(lab, namespace, *manifests(plants))
    lab.kubectl(
        "wait", "pods", "-l", "app!=server", "-n", namespace, "--timeout=180s",
        "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=1",
    )  # fmt: skip
    lab.kubectl(
        "wait", "pods", "-l", "app=server", "-n", namespace, "--timeout=180s",
        "--for=jsonpath={.status.containerStatuses[0].started}=true",
    )  # fmt: skip
    metrics = tmp_path / "podmedic.prom"
    with listener() as (address, heard):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{address}")
        swept = pm.run(
            lab, namespace, "triage", "incident-evidence", "--metrics-textfile", metrics,
            "-o", "markdown", "-o", "html,junit,sarif,csv,ndjson,yaml", "--bundle", "--events",
            f"--notify=json://{address}/chat", f"--pushgateway={address}", "--otel",
            directory=tmp_path / "run",
        )  # fmt: skip
    assert swept.code == 1, swept.stderr
    assert "Bundle: " in swept.stderr
    assert heard.keys() == {"/chat", "/metrics/job/podmedic", "/v1/traces"}, swept.stderr
    outcomes = {pod["workload"]["name"]: pod["outcome"] for pod in swept.report["pods"]}
    assert set(outcomes.values()) <= {"failed", "warned"}, outcomes
    texts = {
        path.name: b"\n".join(unpacked(path))
        for path in swept.directory.rglob("*")
        if path.is_file()
    }
    texts |= {
        "stdout": swept.stdout.encode(),
        "stderr": swept.stderr.encode(),
        "metrics": metrics.read_bytes(),
    }
    added = [pod["spec"].get("ephemeralContainers") for pod in items(lab, namespace)]
    assert all(added)
    # The report names every pod that was changed, and by which container.
    assert {
        pod["name"]: sorted(i["container"] for i in pod["injections"])
        for pod in swept.report["pods"]
    } == {name: sorted(made) for name, made in pm.ephemeral_containers(lab, namespace).items()}
    texts["ephemeral containers"] = json.dumps(added).encode()
    texts["events"] = lab.kubectl(
        "get", "events.events.k8s.io", "-n", namespace, "-o", "json",
        "-l", "app.kubernetes.io/name=podmedic",
    ).encode()  # fmt: skip
    texts |= {f"sent to {path}": body for path, body in heard.items()}
    assert b"DiagnosticsFailed" in texts["events"]
    assert b"[redacted:" in texts["report.json"]
    assert b"SETTING_0" in texts["evidence.json.gz"]

    leaks = sorted(
        f"{name}: {where}"
        for name, text in texts.items()
        for secret, where in plants.where.items()
        if secret.encode() in text
    )

    assert leaks == [], f"{len(leaks)} of {len(plants.where)}"


@contextmanager
def listener() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server that takes everything; what was sent to each path."""
    heard: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if body.startswith(b"\x1f\x8b"):
                body = gzip.decompress(body)
            heard[self.path] = heard.get(self.path, b"") + body
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        server.server_close()


def items(lab: Lab, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        lab.kubectl("get", "pods", "-n", namespace, "-o", "json")
    )["items"]
    return found


def unpacked(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and whatever is packed in them: gzip, the data of a page, JSON."""
    raw = path.read_bytes()
    yield raw
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
        yield raw
    for chunk in re.findall(rb"<script[^>]*>([A-Za-z0-9+/=\s]{200,})</script>", raw):
        inner = zlib.decompress(base64.b64decode(chunk))
        yield inner
        yield from decoded(inner)
    for line in raw.splitlines():
        yield from decoded(line)


def decoded(raw: bytes) -> Iterator[bytes]:
    try:
        value = json.loads(raw)
    except ValueError:
        return
    yield from strings(value)


def strings(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "replace")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key.encode()
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
