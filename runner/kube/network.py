"""The way to the server: which proxy to take, and what it means when there is no answer."""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from runner.kube.errors import one_line


def proxy_from_environment(server: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that kubectl would take: HTTPS_PROXY unless NO_PROXY or loopback exempts it."""
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port

    def variable(name: str) -> str:
        return environ.get(name) or environ.get(name.lower()) or ""

    proxy = variable("HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY")
    if not proxy or host == "localhost" or _is_loopback(host):
        return None
    for rule in variable("NO_PROXY").replace(" ", "").lower().split(","):
        if rule and _exempts(rule, host.lower(), port):
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _exempts(rule: str, host: str, port: int | None) -> bool:
    if rule == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        pass
    name, _, rule_port = rule.partition(":")
    if rule_port and rule_port != str(port):
        return False
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def is_final(error: BaseException) -> bool:
    """Whether asking again is useless: a certificate that is not trusted stays so."""
    return isinstance(error, aiohttp.ClientConnectorCertificateError)


def explain(error: BaseException, timeout_seconds: float) -> str:
    """Why there was no answer, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return one_line(f"TLS: certificate not trusted: {why}", 300)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return one_line(f"the proxy said {error.status} {error.message}", 300)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy cannot be reached: {_of_system(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "DNS: the host name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return one_line(f"TLS: {getattr(error, 'os_error', error)}", 300)
    if isinstance(error, TimeoutError):
        return f"time-out: no answer within {timeout_seconds:.0f} s"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the connection was cut before the answer was complete"
    if isinstance(error, OSError):
        return _of_system(error)
    return one_line(str(error) or type(error).__name__, 300)


def _of_system(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return one_line(str(error) or type(error).__name__, 300)
