"""What the values of a container's variables say that a cause can be told by, read before they are
taken away: no value leaves this module but a size, a path and the name of a host."""

import re
from collections.abc import Iterator, Mapping

from runner.injection.endpoints import literal_env
from runner.late import late
from runner.model.pod import Container, Heap, Proxied, Trusted

_HEAP = late(
    r"(?P<flag>-Xmx|-XX:MaxHeapSize=|--max[-_]old[-_]space[-_]size[= ])"
    r"(?P<size>\d{1,12})(?P<unit>[kKmMgG]?)"
)
_UNITS: Mapping[str, int] = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_URL = late(r"(?P<scheme>https?)://(?:[^/@\s]*@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)")
_OF_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_OF_AUTHORITIES = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
)  # fmt: skip
_SERVICE = late(r"[a-z0-9-]+|[a-z0-9.-]+\.svc(?:\.[a-z0-9.-]+)?\.?")
_MAX_PROXIED = 10


def heap_of(container: Container) -> Heap | None:
    """How much a JVM or Node.js may take for its objects: the command line wins over variables."""
    values = literal_env(container)
    told = [(f"env:{name}", value) for name, value in values.items()]
    told += [("command", " ".join(container.command)), ("args", " ".join(container.args))]
    found = None
    for source, text in told:
        for match in _HEAP.finditer(text):
            unit = match["unit"].lower()
            # Node.js counts in MiB, a JVM in bytes.
            each = _UNITS[unit] if unit else (1 << 20 if "space" in match["flag"] else 1)
            found = Heap(source=source, flag=match[0], kib=int(match["size"]) * each >> 10)
    return found


def trusted_by(container: Container) -> tuple[Trusted, ...]:
    """Where it looks for the authorities whose certificates it accepts."""
    values = literal_env(container)
    return tuple(
        Trusted(variable=name, path=values[name])
        for name in _OF_AUTHORITIES
        if values.get(name, "").startswith("/")
    )


def proxied_by(container: Container) -> tuple[Proxied, ...]:
    """Services that its URLs name and that NO_PROXY does not leave out: asked through the proxy,
    which mostly cannot resolve them. Nothing where NO_PROXY may come from elsewhere."""
    values = literal_env(container)
    proxies = {
        name.lower(): name for name in values if name.lower() in _OF_PROXIES and values[name]
    }
    if not proxies or container.env_from:
        return ()
    left_out = [v for v in container.env if v.name.lower() == "no_proxy"]
    if any(variable.value_from is not None for variable in left_out):
        return ()
    spared = [w for v in left_out for w in re.split(r"[,\s]+", values.get(v.name, "")) if w]
    found = {
        (host, proxies[kind])
        for scheme, host in _services(values, container)
        for kind in (f"{scheme}_proxy", "all_proxy")
        if kind in proxies and not any(_spares(word, host) for word in spared)
    }
    return tuple(Proxied(host=host, variable=name) for host, name in sorted(found)[:_MAX_PROXIED])


def _services(values: Mapping[str, str], container: Container) -> Iterator[tuple[str, str]]:
    texts = [value for name, value in values.items() if not name.lower().endswith("_proxy")]
    for text in (*texts, *container.command, *container.args):
        for match in _URL.finditer(text):
            host = match["host"]
            if _SERVICE.fullmatch(host) and not host.isdigit() and host != "localhost":
                yield match["scheme"], host


def _spares(word: str, host: str) -> bool:
    name = word.partition(":")[0].lstrip("*").strip(".")
    return word == "*" or host.rstrip(".") == name or host.rstrip(".").endswith(f".{name}")
