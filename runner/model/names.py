"""Names of files that every file system can hold: Windows' too, whatever it reserves, and those
that do not tell `a` from `A`."""

import hashlib
import re

MAX_COMPONENT = 100
MAX_PATH = 200
# What the header of a tar has room for (POSIX ustar).
_MAX_PREFIX = 155
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)
_HASH_CHARS = 8


def portable(name: str, limit: int) -> str:
    """The name itself if it is safe and at most `limit` characters long; else one that is, still
    told apart from others by a hash."""
    if not _why_not(name) and len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    clean = _UNSAFE.sub("_", name)
    if not clean or clean[0] in ".-" or _is_reserved(clean):
        clean = f"_{clean}"
    return f"{clean[: limit - _HASH_CHARS - 1]}-{digest}"


def why_not_portable(path: str) -> str:
    """Why a relative path, as `blobs/0a1b`, cannot be kept everywhere; empty if it can."""
    components = path.split("/")
    for component in components:
        if why := _why_not(component):
            return why
    if len(path) > MAX_PATH:
        return f"is longer than {MAX_PATH} characters"
    rest = path
    while len(rest) > MAX_COMPONENT:
        rest = rest.partition("/")[2]
    if len(path) - len(rest) - 1 > _MAX_PREFIX:
        return "is too long for the header of a tar"
    return ""


def _why_not(component: str) -> str:
    if component in {"", ".", ".."}:
        return "does not stay in the directory"
    if not _SAFE.fullmatch(component):
        return "has characters other than letters, digits, '.', '_' and '-', or begins with one"
    if component.endswith("."):
        return "ends with a dot"
    if _is_reserved(component):
        return "is a name that Windows reserves"
    if len(component) > MAX_COMPONENT:
        return f"has a part that is longer than {MAX_COMPONENT} characters"
    return ""


def _is_reserved(component: str) -> bool:
    return component.partition(".")[0].casefold() in _RESERVED
