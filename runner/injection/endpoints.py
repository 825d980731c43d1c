"""Network endpoints that a container's own configuration names: `host[:port]` in env values,
command and args. Only host and port leave this module, never the credentials of a URL."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from runner.late import late
from runner.model.pod import Container

MAX_ENDPOINTS = 40

_DEFAULT_PORTS: Mapping[str, int] = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "grpc": 443,
    "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "sqlserver": 1433,
    "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "mongodb": 27017,
    "nats": 4222, "kafka": 9092, "mqtt": 1883, "ldap": 389, "ldaps": 636, "smtp": 25,
    "elasticsearch": 9200, "memcached": 11211, "cassandra": 9042, "tcp": 0,
}  # fmt: skip

_CLIENTS: Mapping[str, int] = {
    "psql": 5432, "pg_isready": 5432, "pg_dump": 5432, "createdb": 5432,
    "mysql": 3306, "mysqladmin": 3306, "mariadb": 3306, "redis-cli": 6379, "mongosh": 27017,
}  # fmt: skip
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_URL = late(
    rf"(?P<scheme>[A-Za-z][A-Za-z0-9+]{{1,20}})://(?:[^\s/@\"']*@)?"
    rf"(?P<hosts>{_HOST}(?::\d{{1,5}})?(?:,{_HOST}(?::\d{{1,5}})?)*)(?![A-Za-z0-9_.:%$-]*@)"
)
_HOST_PORT = late(rf"(?P<host>{_HOST}):(?P<port>\d{{1,5}})(?:/.*)?")
_PLAIN_HOST = late(_HOST)
_NETCAT = late(
    rf"\b(?:nc|ncat|netcat|telnet)\b(?:[ \t]+-[A-Za-z]+(?:[ \t]+\d+)?(?=[ \t]))*"
    rf"[ \t]+(?P<host>{_HOST})[ \t]+(?P<port>\d{{1,5}})\b"
)
_CLIENT = late(
    rf"\b(?P<tool>{'|'.join(_CLIENTS)})\b[^\n;|&]{{0,200}}?[ \t](?:-h[ \t]?|--host[= \t])"
    rf"(?P<host>[\"']?{_HOST}[\"']?)(?P<rest>[^\n;|&]{{0,200}})"
)
_CLIENT_PORT = late(r"[ \t](?:-[pP][ \t]?|--port[= \t])(?P<port>\d{1,5})\b")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_HOST_NAME_SUFFIXES = ("HOST", "HOSTNAME", "ADDR", "ADDRESS", "SERVER", "ENDPOINT", "SERVICE_NAME")
_OF_SERVICES = late(r"_SERVICE_(?:HOST|PORT)(?:_\w+)?$|_PORT(?:_\d+_\w+)?$")
_REFERENCE = late(r"\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
# `main.go:71` in a script or a log format is a place in a program, though `.go` might be a domain.
_SOURCE_FILE = late(
    r"(?i).*\.(?:c|cc|cpp|cs|ex|go|h|java|js|jsx|kt|mjs|php|pl|py|rb|rs|scala|sh|ts|tsx)"
)
_EVERY_ADDRESS = frozenset({"0.0.0.0", "localhost", "127.0.0.1"})  # noqa: S104


class Endpoint(NamedTuple):
    """`port` is 0 when the configuration names none; `source` is `env:NAME`, `args`, `command`."""

    source: str
    host: str
    port: int


def _is_host(text: str) -> bool:
    """A name that resolves somewhere, not a number, a version or an address of our own."""
    if text in _EVERY_ADDRESS or not _PLAIN_HOST.fullmatch(text) or len(text) > 253:
        return False
    if _IPV4.fullmatch(text):
        return all(int(part) < 256 for part in text.split("."))
    return any(c.isalpha() for c in text.rstrip(".").rpartition(".")[2])


def _url_endpoints(source: str, text: str) -> Iterator[Endpoint]:
    for match in _URL.finditer(text):
        if match["scheme"].lower().endswith("+srv"):
            continue  # the name has SRV records, and mostly no address
        default = _DEFAULT_PORTS.get(match["scheme"].lower().partition("+")[0], 0)
        for host_port in match["hosts"].split(","):
            host, _, port = host_port.partition(":")
            if _is_host(host):
                yield Endpoint(source, host, int(port) if port else default)


def _token_endpoints(source: str, text: str) -> Iterator[Endpoint]:
    for token in re.split(r"[\s,;=\"'\[\](){}<>|]+", text):
        match = _HOST_PORT.fullmatch(token)
        if match is None or not _is_host(match["host"]) or _SOURCE_FILE.fullmatch(match["host"]):
            continue
        port = int(match["port"])
        # `redis:7` is an image, `10:30` a time: a bare word needs a port that servers use.
        lowest = 22 if "." in match["host"] else 80
        if lowest <= port <= 65535:
            yield Endpoint(source, match["host"], port)


def _spoken_endpoints(source: str, text: str) -> Iterator[Endpoint]:
    """Where a script does not write HOST:PORT: `nc -z HOST PORT`, `psql -h HOST -p PORT`."""
    for match in _NETCAT.finditer(text):
        if _is_host(match["host"]) and 0 < int(match["port"]) < 65536:
            yield Endpoint(source, match["host"], int(match["port"]))
    for match in _CLIENT.finditer(text):
        host = match["host"].strip("\"'")
        if _is_host(host):
            port = _CLIENT_PORT.search(match["rest"])
            known = _CLIENTS[match["tool"]]
            yield Endpoint(source, host, int(port["port"]) if port else known)


def literal_env(container: Container) -> dict[str, str]:
    """Env literals with `$(NAME)` references to earlier ones expanded, as the kubelet does."""
    values: dict[str, str] = {}
    for variable in container.env:
        if variable.value_from is None:
            values[variable.name] = _REFERENCE.sub(lambda m: values.get(m[1], m[0]), variable.value)
    return values


def unexpanded(container: Container) -> dict[str, tuple[str, ...]]:
    """By the name of a variable, the names in its `$(NAME)` that the kubelet leaves as they stand:
    no variable before it is called so. What ConfigMaps or Services add is not known here."""
    if container.env_from:
        return {}
    known: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    for variable in container.env:
        # $$(NAME) is meant as it stands.
        names = _REFERENCE.findall(variable.value.replace("$$(", "")) if variable.value else []
        open_names = tuple(n for n in names if n not in known and not _OF_SERVICES.search(n))
        if open_names:
            found[variable.name] = open_names
        known.add(variable.name)
    return found


def _sibling_port(values: Mapping[str, str], name: str, suffix: str) -> int:
    port = values.get(name.removesuffix(suffix) + "PORT", "")
    return int(port) if port.isascii() and port.isdigit() and 0 < int(port) < 65536 else 0


def _env_endpoints(values: Mapping[str, str]) -> Iterator[Endpoint]:
    for name, value in values.items():
        source, found = f"env:{name}", False
        for endpoint in (*_url_endpoints(source, value), *_token_endpoints(source, value)):
            found = True
            yield endpoint
        suffix = next((s for s in _HOST_NAME_SUFFIXES if name.upper().endswith(s)), "")
        if not found and suffix and _is_host(value):
            yield Endpoint(source, value, _sibling_port(values, name, name[-len(suffix) :]))


def endpoints_of(container: Container) -> tuple[Endpoint, ...]:
    """Each host and port once, in the order the container names them, at most MAX_ENDPOINTS."""
    values = literal_env(container)
    return _endpoints(tuple(values.items()), container.command, container.args)


# The replicas of a workload name the same ones.
@lru_cache(maxsize=1024)
def _endpoints(
    env: tuple[tuple[str, str], ...], command: tuple[str, ...], args: tuple[str, ...]
) -> tuple[Endpoint, ...]:
    values = dict(env)
    seen: dict[tuple[str, int], Endpoint] = {}
    for endpoint in _env_endpoints(values):
        seen.setdefault((endpoint.host, endpoint.port), endpoint)
    for source, words in (("command", command), ("args", args)):
        for word in words:
            text = _REFERENCE.sub(lambda m: values.get(m[1], m[0]), word)
            for endpoint in (
                *_url_endpoints(source, text),
                *_token_endpoints(source, text),
                *_spoken_endpoints(source, text),
            ):
                seen.setdefault((endpoint.host, endpoint.port), endpoint)
    return tuple(e for e in seen.values() if e.port < 65536)[:MAX_ENDPOINTS]


_PLAIN = late(r"(?:true|false|yes|no|on|off|-?\d{1,9}(?:\.\d{1,4})?(?:[kKMGT]i?|m|ms|s|h|d|%)?)")
_PATH = late(r"(?:/[A-Za-z0-9._-]{1,24}){1,6}/?")


def shown_address(name: str, value: str) -> str:
    """What may be told of a variable's value: a number, a switch, a path, or where it points to
    (never the credentials, path or query of a URL); the empty string where that is nothing."""
    if not value:
        return '""'
    if _PLAIN.fullmatch(value) or _PATH.fullmatch(value):
        return "" if _SECRET_NAME.search(name.upper()) else value
    match = _URL.match(value)
    if match is not None:
        # A sign that what was taken for a host is the beginning of a name and its password.
        odd = value[match.end() : match.end() + 1] not in ("", "/", "?", ",")
        if odd or "@" in value[match.end() :]:
            return ""
        return f"{match['scheme']}://{match['hosts']}" + ("/…" if value[match.end() + 1 :] else "")
    named = any(name.upper().endswith(suffix) for suffix in _HOST_NAME_SUFFIXES)
    host, colon, port = value.partition(":")
    # `john.doe:4711` may be somebody's name and password: a port follows what is called a host, or
    # an address.
    known = _is_host(host) and (named or _IPV4.fullmatch(host) or host.endswith(_CLUSTER_SUFFIXES))
    if colon:
        number = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536
        return value if known and number else ""
    return value if named and _is_host(value) else ""


_CLUSTER_SUFFIXES = (".svc", ".local", ".internal")
_SECRET_NAME = late(r"PASS|PW|PIN|OTP|CODE|KEY|SALT|SECRET|TOKEN|CRED|AUTH")
