"""A real S3 server on loopback, and a way to it on which things go wrong."""

import base64
import contextlib
import hashlib
import hmac
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lab import binaries
from lab.handle import Lab
from lab.layout import cache_folder
from tests.lab import podmedic as pm
from tests.lab import preloaded

BUCKET = "evidence"
KEY, SECRET, REGION = "writer", "writers-own", "us-east-1"
_START_SECONDS = 20
_HEAD_END = b"\r\n\r\n"


def podmedic(
    folder: Path, environment: Mapping[str, str], *words: str | Path, lab: Lab | None = None
) -> tuple[int, list[str]]:
    """Exit code and the lines on stderr."""
    done = preloaded.call(
        words, environment={**pm.environment(lab), **environment}, folder=folder,
        timeout_seconds=pm.RUN_SECONDS,
    )  # fmt: skip
    return done.returncode, done.stderr.decode().splitlines()


@dataclass
class S3:
    """`folder` holds each object as a plain file; requests go through `faults`."""

    folder: Path
    faults: "Faults"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.faults.port}",
        }

    def ask(
        self, method: str, path: str, query: str = "", body: bytes = b"", **headers: str
    ) -> tuple[int, Mapping[str, str], str]:
        """One request of an administrator, signed: status, headers, body."""
        host = f"127.0.0.1:{self.faults.server}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        digest = hashlib.sha256(body).hexdigest()
        signed = signed_by_writer(method, path, query, named | {"host": host}, digest)
        url = f"http://{host}{path}" + (f"?{query}" if query else "")
        asked = urllib.request.Request(url, data=body or None, method=method, headers=signed)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def objects(self) -> dict[str, bytes]:
        """The server's own notes begin with a dot."""
        bucket = self.folder / BUCKET
        return {
            path.relative_to(bucket).as_posix(): path.read_bytes()
            for path in sorted(bucket.rglob("*"))
            if path.is_file() and not path.relative_to(bucket).parts[0].startswith(".")
        }


def signed_by_writer(
    method: str, path: str, query: str, headers: Mapping[str, str], digest: str
) -> dict[str, str]:
    """These headers, all of them signed, and what says so."""
    now = datetime.now(UTC)
    signed = {**headers, "x-amz-content-sha256": digest, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}"}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{now:%Y%m%d}/{REGION}/s3/aws4_request"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    told = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", signed["x-amz-date"], scope, told))
    signed["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, "
        f"Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
    )
    return signed


@dataclass
class Faults:
    """Passes connections on to the server. `cut_after`: each ends after so many bytes to it;
    `answer`: what is said instead to the next `times` requests; `flip`: one bit of what comes
    after so many bytes of a connection. `seen` counts connections."""

    server: int
    cut_after: int = 0
    answer: bytes = b""
    times: int = 0
    flip: int = 0
    seen: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def calm(self) -> None:
        self.cut_after, self.answer, self.times, self.flip, self.seen = 0, b"", 0, 0, 0

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.seen += 1
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _one(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.answer and self.times > 0:
                self.times -= 1
                head = b""
                while _HEAD_END not in head:
                    head += client.recv(65536)
                client.sendall(self.answer)
                return
            with socket.create_connection(("127.0.0.1", self.server)) as server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                self._forth(client, server)
                back.join()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        while data := client.recv(65536):
            if self.cut_after and passed + len(data) > self.cut_after:
                server.sendall(data[: self.cut_after - passed])
                client.shutdown(socket.SHUT_RDWR)
                server.shutdown(socket.SHUT_RDWR)
                return
            at = self.flip - passed
            if self.flip and 0 <= at < len(data):
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            passed += len(data)
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def answer(status: str, code: str = "") -> bytes:
    body = f"<Error><Code>{code}</Code><Message>So it is.</Message></Error>" if code else ""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3]:
    program = binaries.ensure(["versitygw"], cache_folder())["versitygw"]
    data, versions = folder / "data", folder / "versions"
    (data / BUCKET).mkdir(parents=True)
    versions.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = ("--access", KEY, "--secret", SECRET)
    where = ("posix", "--versioning-dir", versions, data)
    server = subprocess.Popen(
        [program, *keys, "--quiet", "--port", f"127.0.0.1:{port}", *where],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    faults = Faults(port)
    threading.Thread(target=faults.serve, daemon=True).start()
    try:
        _wait(port, server)
        yield S3(data, faults)
    finally:
        faults.close()
        server.terminate()
        server.wait(10)


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert server.poll() is None, "versitygw ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
