"""The way to the server: which proxy to take, and what it means when there is no answer."""

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pycurl

from runner.kube.curl import TransferError
from runner.kube.errors import one_line

_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_TLS = {pycurl.E_SSL_CONNECT_ERROR, pycurl.E_SSL_CERTPROBLEM, pycurl.E_SSL_CACERT_BADFILE}
_CUT = {
    pycurl.E_GOT_NOTHING, pycurl.E_PARTIAL_FILE, pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR,
    pycurl.E_ABORTED_BY_CALLBACK,
}  # fmt: skip


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


def complete_proxy(proxy: str) -> str:
    """The proxy as libcurl wants it: with a port, and with host names left to a SOCKS proxy, as
    kubectl does. Raises ValueError."""
    try:
        parts = urlsplit(proxy)
        is_url = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        # Not shown: it may hold a password.
        raise ValueError("the proxy is no URL: expected http://HOST:PORT")
    port = _PROXY_PORTS.get(parts.scheme)
    if port is None:
        known = ", ".join(_PROXY_PORTS)
        raise ValueError(f"proxy by {parts.scheme}: only {known} work")
    if parts.port is None:
        parts = parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{port}")
    scheme = "socks5h" if parts.scheme == "socks5" else parts.scheme
    return parts._replace(scheme=scheme).geturl()


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


def is_final(error: TransferError) -> bool:
    """Whether asking again is useless: a certificate that is not trusted stays so."""
    return error.code == pycurl.E_PEER_FAILED_VERIFICATION


def explain(error: TransferError, proxy: str | None) -> str:
    """Why there was no answer, in a few words."""
    text = str(error)
    if proxy is not None and error.proxy_status >= 300:
        return f"the proxy said {error.proxy_status}"
    if error.code == pycurl.E_PEER_FAILED_VERIFICATION:
        return one_line(f"TLS: certificate not trusted: {_reason(text)}", 300)
    if error.code == pycurl.E_COULDNT_RESOLVE_PROXY:
        return "the proxy cannot be reached: DNS: its host name does not resolve"
    if error.code == pycurl.E_COULDNT_RESOLVE_HOST:
        return "DNS: the host name does not resolve"
    if error.code == pycurl.E_COULDNT_CONNECT:
        why = os.strerror(error.errno).lower() if error.errno > 0 else text
        return one_line(f"the proxy cannot be reached: {why}" if proxy is not None else why, 300)
    if error.code == pycurl.E_OPERATION_TIMEDOUT:
        what = "answer" if error.is_connected else "connection"
        return f"time-out: no {what} within {error.seconds:.0f} s"
    if error.code in _CUT:
        return "the connection was cut before the answer was complete"
    if error.code in _TLS:
        return one_line(f"TLS: {text}", 300)
    return one_line(text, 300)


def _reason(text: str) -> str:
    """OpenSSL's word of a certificate without libcurl's words around it."""
    return re.sub(r"^SSL[^:]*: | \(\d+\)$", "", text)
