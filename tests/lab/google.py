"""Google's XML API on loopback, as far as it is S3's: a door before versitygw that takes Google's
bearer tokens and signs in S3's way. It knows nothing of objects; each request goes on as it came,
and what it says is what versitygw says."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

from tests.lab import s3

TOKEN = "the-writers-own"
_MAY_NOT = "<Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>"
_WHO = "<Error><Code>AuthenticationRequired</Code><Message>Who is it?</Message></Error>"


@dataclass
class Google:
    """Requests go through `faults`, then the door. `may_read`: whoever has the token."""

    store: s3.S3
    faults: s3.Faults
    may_read: bool = True

    @property
    def environment(self) -> dict[str, str]:
        return {
            "GOOGLE_BASE_URL": f"http://127.0.0.1:{self.faults.port}",
            "GOOGLE_BEARER_TOKEN": TOKEN,
        }


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    google: Google

    def _pass(self) -> None:
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self._refuse(401, _WHO)
        elif self.command == "GET" and not self.google.may_read:
            self._refuse(403, _MAY_NOT)
        else:
            with contextlib.suppress(ConnectionError):
                self._go_on()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

    def _go_on(self) -> None:
        host = f"127.0.0.1:{self.google.store.faults.server}"
        path, _, query = self.path.partition("?")
        path, query = quote(unquote(path)), "&".join(sorted(query.split("&")))
        headers = s3.signed_by_writer(self.command, path, query, {"host": host}, "UNSIGNED-PAYLOAD")
        left = int(self.headers["content-length"] or 0)
        server = http.client.HTTPConnection(host, timeout=30)
        with contextlib.closing(server):
            server.putrequest(self.command, f"{path}?{query}", skip_host=True)
            for name, value in headers.items():
                server.putheader(name, value)
            for name in ("content-type", "content-length"):
                if name in self.headers:
                    server.putheader(name, self.headers[name])
            server.endheaders()
            while left:
                data = self.rfile.read(min(left, 65536))
                if not data:
                    # Cut off on the way: so it is for the server.
                    self.close_connection = True
                    return
                server.send(data)
                left -= len(data)
            answer = server.getresponse()
            body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "content-length", "date", "server"}:
                self.send_header(name, value)
        self._end(body)

    def _refuse(self, status: int, said: str) -> None:
        self.close_connection = True
        self.send_response(status)
        self._end(said.encode())

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Google]:
    with s3.running(folder) as store, ThreadingHTTPServer(("127.0.0.1", 0), _Door) as door:
        google = Google(store, s3.Faults(door.server_address[1]))
        _Door.google = google
        for work in (door.serve_forever, google.faults.serve):
            threading.Thread(target=work, daemon=True).start()
        try:
            yield google
        finally:
            google.faults.close()
            door.shutdown()
