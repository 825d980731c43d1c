"""Requests by libcurl, awaited in asyncio: a response is read as it comes, or when it is complete.

Nothing is known here of Kubernetes, of credentials or of trying again; libcurl's own repetition of
a request is stopped (`Response._before_request`).
"""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec
import pycurl

from runner.kube.errors import TEXT_LIMIT
from runner.kube.places import Places

# Of a stream whose reader is slow; libcurl then leaves the rest to the kernel and the peer.
_UNREAD_LIMIT = 1 << 20
_IDLE_CONNECTION_SECONDS = 30
_IDLE_CONNECTIONS = 64
_CLOSED = -1


class TransferError(Exception):
    """No answer, or only a part of it. `code` is libcurl's; `proxy_status` what a proxy answered
    instead of a tunnel; `errno` the system's; `is_connected` whether there was a connection;
    `seconds` how long it was waited for, where that was too long."""

    def __init__(
        self, code: int, text: str = "", *, proxy_status: int = 0, errno: int = 0,
        is_connected: bool = True, seconds: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(text or f"libcurl's error {code}")
        self.code = code
        self.proxy_status = proxy_status
        self.errno = errno
        self.is_connected = is_connected
        self.seconds = seconds


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """PEM of the authority and of the client's certificate with its key. `default_paths` are the
    machine's authorities (a file, a folder) where none is given."""

    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    default_paths: tuple[str | None, str | None] = (None, None)
    is_verified: bool = True


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """`url` as it is sent. `timeout_seconds` is for all of it, `idle_seconds` for any silence."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    trust: Trust
    body: bytes | None = None
    proxy: str | None = None
    name_in_certificate: str | None = None
    connect_seconds: float = 10.0
    timeout_seconds: float | None = None
    idle_seconds: float | None = None


class _Multi(pycurl.AsyncCurlMulti):
    def go_on(self) -> None:
        """After a pause: libcurl may hold bytes of which no socket will tell, and does not ask for
        its timer once more when it had asked for it already."""
        asyncio.get_running_loop().call_soon(self._drive, pycurl.SOCKET_TIMEOUT, 0)  # type: ignore[attr-defined]


class Client:
    """Connections of one process to one server, kept for the next request."""

    def __init__(self, places: Places) -> None:
        """Requests share the places, those apart that wait for none."""
        self._multi = _Multi()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self._places = places
        self._spare: list[pycurl.Curl] = []

    async def open(
        self, outgoing: Outgoing, *, is_whole: bool = False, has_place: bool = True
    ) -> "Response":
        """A response with its status, `is_whole` also with all of its body; to be closed. Raises
        TransferError."""
        places = self._places if has_place else None
        if places is not None:
            await places.take()
        curl = self._spare.pop() if self._spare else pycurl.Curl()
        response = Response(self, self._multi, curl, places, outgoing, is_whole=is_whole)
        try:
            await response.begin()
        except BaseException:
            response.close()
            raise
        return response

    def take_back(self, curl: pycurl.Curl) -> None:
        curl.reset()
        self._spare.append(curl)

    async def close(self) -> None:
        self._places.close()
        await self._multi.aclose()
        for curl in self._spare:
            curl.close()
        self._spare.clear()


class Response:
    """One exchange. What it takes from libcurl's callbacks it keeps for its one reader."""

    def __init__(
        self, client: Client, multi: _Multi, curl: pycurl.Curl,
        places: Places | None, outgoing: Outgoing, *, is_whole: bool,
    ) -> None:  # fmt: skip
        self.status = 0
        self._is_closed = False
        self._client = client
        self._multi = multi
        self._curl = curl
        self._places = places
        self._outgoing = outgoing
        self._is_whole = is_whole
        self._head: list[bytes] = []
        self._pieces: list[bytes] = []
        self._unread_bytes = 0
        self._is_full = False
        self._was_sent = False
        self._is_over = False
        self._error: TransferError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Send it, and wait for what the reader is to see first."""
        _prepare(self._curl, self._outgoing)
        self._curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        self._curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        self._curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        self._multi.add_handle(self._curl).add_done_callback(self._on_end)
        while not self._is_over and (self._is_whole or not self.status):
            await self._wait()
        if self._error is not None and (self._is_whole or not self.status):
            raise self._error

    def header(self, name: str) -> list[str]:
        """The values of a header, [] without one."""
        lead = name.lower().encode() + b":"
        return [
            line[len(lead) :].strip().decode(errors="replace")
            for line in self._head
            if line[: len(lead)].lower() == lead
        ]

    async def next_chunk(self) -> bytes:
        """More of the body, b"" at its end. Raises TransferError."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._is_over or self._is_closed:
                return b""
            await self._wait()
        chunk = b"".join(self._pieces)
        self._pieces.clear()
        self._unread_bytes = 0
        if self._is_full:
            self._is_full = False
            self.resume()
        return chunk

    def body(self) -> bytes:
        """What has arrived: of a whole response all of it."""
        return b"".join(self._pieces)

    def pause(self) -> None:
        """Leave what arrives to the kernel for a while."""
        if not self._is_over and not self._is_closed:
            self._curl.pause(pycurl.PAUSE_RECV)

    def resume(self) -> None:
        if not self._is_over and not self._is_closed:
            self._curl.pause(pycurl.PAUSE_CONT)
            self._multi.go_on()

    def close(self) -> None:
        """Give the connection back, or end it when there is more to come."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_over:
            self._client.take_back(self._curl)
        else:
            # It may have ended, and not yet be said to us. pycurl looks a handle up a moment
            # after its removal: used again at once it would be removed again.
            with suppress(RuntimeError):
                self._multi.remove_handle(self._curl)
            self._curl.close()
        if self._places is not None:
            self._places.give_back()

    async def _wait(self) -> None:
        idle_seconds = self._outgoing.idle_seconds
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            if idle_seconds is None:
                await self._waiter
            else:
                async with asyncio.timeout(idle_seconds):
                    await self._waiter
        except TimeoutError:
            raise TransferError(pycurl.E_OPERATION_TIMEDOUT, seconds=idle_seconds or 0.0) from None
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _before_request(self, *_: object) -> int:
        """Stops libcurl from repeating what it had sent on a kept connection that turns out to
        be cut: whatever the method, past our rate limit, uncounted."""
        if self._was_sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self._was_sent = True
        return int(pycurl.PREREQFUNC_OK)

    def _on_header(self, line: bytes) -> None:
        # What a proxy says of its tunnel comes before the request, trailers after the body.
        if self.status or not self._was_sent:
            return
        if line.startswith(b"HTTP/"):
            self._head = [line]
        elif line.strip():
            self._head.append(line)
        else:
            status = int(self._head[0].split(None, 2)[1])
            if status >= 200:
                self.status = status
                if not self._is_whole:
                    self._wake()

    def _on_body(self, data: bytes) -> int | None:
        if self._is_whole:
            if self.status < 300 or self._unread_bytes < TEXT_LIMIT:
                self._pieces.append(data)
                self._unread_bytes += len(data)
            return None
        if self._unread_bytes >= _UNREAD_LIMIT:
            self._is_full = True
            return int(pycurl.WRITEFUNC_PAUSE)
        self._pieces.append(data)
        self._unread_bytes += len(data)
        self._wake()
        return None

    def _on_end(self, ended: "asyncio.Future[pycurl.Curl]") -> None:
        if self._is_closed:
            if not ended.cancelled():
                ended.exception()
            return
        self._is_over = True
        if ended.cancelled():
            self._error = TransferError(_CLOSED, "the client was closed")
        elif (failed := ended.exception()) is not None:
            self._error = self._explained(*failed.args)
        self._wake()

    def _explained(self, code: int, text: str = "") -> TransferError:
        info, outgoing = self._curl.getinfo, self._outgoing
        seconds = (outgoing.timeout_seconds or 0.0) if self._was_sent else outgoing.connect_seconds
        return TransferError(
            code,
            text,
            proxy_status=info(pycurl.HTTP_CONNECTCODE),
            errno=info(pycurl.OS_ERRNO),
            is_connected=self._was_sent,
            seconds=seconds,
        )


def _prepare(curl: pycurl.Curl, outgoing: Outgoing) -> None:
    setopt = curl.setopt
    url, other_headers = outgoing.url, []
    if outgoing.name_in_certificate is not None:
        url, netloc, connect_to = _under_another_name(url, outgoing.name_in_certificate)
        setopt(pycurl.CONNECT_TO, [connect_to])
        other_headers.append(("Host", netloc))
    setopt(pycurl.URL, url)
    setopt(pycurl.PATH_AS_IS, 1)
    setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    setopt(pycurl.NOSIGNAL, 1)
    setopt(pycurl.TCP_KEEPALIVE, 1)
    setopt(pycurl.MAXAGE_CONN, _IDLE_CONNECTION_SECONDS)
    setopt(pycurl.CONNECTTIMEOUT_MS, round(outgoing.connect_seconds * 1000))
    if outgoing.timeout_seconds is not None:
        setopt(pycurl.TIMEOUT_MS, max(1, round(outgoing.timeout_seconds * 1000)))
    # An empty list of exceptions, or libcurl reads NO_PROXY by itself.
    setopt(pycurl.PROXY, outgoing.proxy or "")
    setopt(pycurl.NOPROXY, "")
    if outgoing.method != "GET":
        setopt(pycurl.CUSTOMREQUEST, outgoing.method)
    if outgoing.body is not None:
        setopt(pycurl.POSTFIELDS, outgoing.body)
    headers = (*outgoing.headers, *other_headers)
    if not any(name.lower() == "accept-encoding" for name, _ in headers):
        setopt(pycurl.ACCEPT_ENCODING, "gzip, deflate")
    # Nobody asks first whether the body may come.
    setopt(pycurl.HTTPHEADER, [*itertools.starmap(_header_line, headers), b"Expect:"])
    _set_trust(curl, outgoing)


def _under_another_name(url: str, name: str) -> tuple[str, str, str]:
    """The URL with the name that the certificate is to have, the true `Host`, and where to go
    instead: libcurl has no other way to ask for a name."""
    parts = urlsplit(url)
    login, at, netloc = parts.netloc.rpartition("@")
    port = parts.port or 443
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    asked = parts._replace(netloc=f"{login}{at}{name}:{port}").geturl()
    return asked, netloc, f"{name}:{port}:{host}:{port}"


def _header_line(name: str, value: str) -> bytes:
    return f"{name}: {value}".encode() if value else f"{name};".encode()


_TRUST_OPTIONS = (
    (
        pycurl.SSL_VERIFYPEER, pycurl.SSL_VERIFYHOST, pycurl.CAINFO, pycurl.CAPATH,
        pycurl.CAINFO_BLOB, pycurl.SSLCERT_BLOB, pycurl.SSLKEY_BLOB,
    ),
    (
        pycurl.PROXY_SSL_VERIFYPEER, pycurl.PROXY_SSL_VERIFYHOST, pycurl.PROXY_CAINFO,
        pycurl.PROXY_CAPATH, pycurl.PROXY_CAINFO_BLOB, pycurl.PROXY_SSLCERT_BLOB,
        pycurl.PROXY_SSLKEY_BLOB,
    ),
)  # fmt: skip


def _set_trust(curl: pycurl.Curl, outgoing: Outgoing) -> None:
    trust = outgoing.trust
    through_tls = (outgoing.proxy or "").startswith("https:")
    for verify_peer, verify_host, file, folder, authority, certificate, key in (
        _TRUST_OPTIONS if through_tls else _TRUST_OPTIONS[:1]
    ):
        if not trust.is_verified:
            curl.setopt(verify_peer, 0)
            curl.setopt(verify_host, 0)
        # Those that libcurl was built with count beside an authority of ours.
        for option, path in zip((file, folder), trust.default_paths, strict=True):
            if path is None:
                curl.unsetopt(option)
            else:
                curl.setopt(option, path)
        for option, pem in (
            (authority, trust.authority), (certificate, trust.certificate), (key, trust.key),
        ):  # fmt: skip
            if pem is not None:
                curl.setopt(option, pem)
