"""The socket: plain or TLS, whose certificates may be replaced while it listens."""

import asyncio
import socket
import ssl
from pathlib import Path

import msgspec
from aiohttp import web

from runner.serve.auth import AuthError
from runner.serve.log import log

_LOOK_SECONDS = 2.0


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """With `client_ca` a client may show a certificate of that authority; one of another authority
    ends the connection. Probes show none."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises AuthError."""
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
        except ssl.SSLError as error:
            why = f"one of them is no PEM, or they do not belong together ({error.reason})"
            raise AuthError(f"TLS: {self.certificate}, {self.key}: {why}") from None
        except OSError as error:
            raise AuthError(f"TLS: {self.certificate}, {self.key}: {error}") from None
        return context

    def versions(self) -> tuple[bytes, ...]:
        files = (self.certificate, self.key, self.client_ca)
        return tuple(path.read_bytes() for path in files if path is not None)


def bind(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


class Listener:
    """Serves on a socket; with other certificates a second server takes it over before the first
    one leaves it, so that no connection is refused."""

    def __init__(self, runner: web.AppRunner, listening: socket.socket, tls: Tls | None) -> None:
        self._runner = runner
        self._socket = listening
        self._tls = tls
        self._site: web.SockSite | None = None

    async def start(self) -> None:
        """Raises AuthError."""
        context = None if self._tls is None else self._tls.context()
        site = web.SockSite(self._runner, self._socket.dup(), ssl_context=context)
        await site.start()
        previous, self._site = self._site, site
        if previous is not None:
            await previous.stop()

    async def renew(self) -> None:
        """For ever: looks whether the files of TLS were replaced."""
        if self._tls is None:
            return
        known = self._tls.versions()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                found = self._tls.versions()
                if found != known:
                    await self.start()
                    known = found
                    log("tls-renewed")
            except (OSError, AuthError) as error:
                log("tls-not-renewed", message=str(error))
