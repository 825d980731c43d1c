"""A real S3 server on loopback, and a way to it on which things go wrong."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab import binaries
from lab.layout import cache_folder

BUCKET = "evidence"
_START_SECONDS = 20
_HEAD_END = b"\r\n\r\n"


@dataclass
class S3:
    """`folder` holds each object as a plain file; requests go through `faults`."""

    folder: Path
    faults: "Faults"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "writer",
            "AWS_SECRET_ACCESS_KEY": "writers-own",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.faults.port}",
        }

    def objects(self) -> dict[str, bytes]:
        """The server's own notes begin with a dot."""
        bucket = self.folder / BUCKET
        return {
            path.relative_to(bucket).as_posix(): path.read_bytes()
            for path in sorted(bucket.rglob("*"))
            if path.is_file() and not path.relative_to(bucket).parts[0].startswith(".")
        }


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
    (folder / BUCKET).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = ("--access", "writer", "--secret", "writers-own")
    server = subprocess.Popen(
        [program, *keys, "--quiet", "--port", f"127.0.0.1:{port}", "posix", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    faults = Faults(port)
    threading.Thread(target=faults.serve, daemon=True).start()
    try:
        _wait(port, server)
        yield S3(folder, faults)
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
