"""What kind of value each fact is, by what `vocabulary` says of it. Only `validate` asks."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from runner.playbook import vocabulary

_NUMBERS = frozenset(
    {"attempts", "count", "endpoints", "exitCode", "gracePeriodSeconds", "lastExitCode", "missing"}
    | {"port", "restartCount", "runAsUser", "signal", "targetPort"}
)
_NUMBER = re.compile(r".*(?:Seconds|KiB|Millis)\??")
_LIST = re.compile(r"(?:of a `?\w+`?: )?(?:list\b|names of|the same names|the workloads whose)")
_MAP = re.compile(r"(?:of the target container: )?map\b")
_CONDITION = "conditions{}"
_TABLES: Mapping[str, Mapping[str, str]] = {
    **vocabulary.TABLES,
    _CONDITION: {"status": "", "reason": "", "message": ""},
}
_OF: Mapping[tuple[str, str], str] = {
    ("container", "args"): "string",
    ("container", "command"): "string",
    ("container", "envNames"): "string",
    ("container", "hostMounts"): "string",
    ("container", "memoryVolumes"): "string",
    ("container", "meant"): "string",
    ("container", "mounts"): "string",
    ("container", "ports"): "number",
    ("container", "sources"): "string",
    ("object", "conditions"): _CONDITION,
    ("pod", "claims"): "string",
    ("pod", "conditions"): _CONDITION,
    ("pod", "labels"): "string",
    ("pod", "shows"): "string",
}
# Whatever else they were would be new in Kubernetes, or in podmedic.
_WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("container", "state"): ("running", "waiting", "terminated"),
    ("events[]", "type"): ("Normal", "Warning"),
    ("pod", "phase"): ("Pending", "Running", "Succeeded", "Failed", "Unknown"),
    ("pod", "qosClass"): ("Guaranteed", "Burstable", "BestEffort"),
    ("pod", "restartPolicy"): ("Always", "OnFailure", "Never"),
    ("services[]", "protocol"): ("TCP", "UDP", "SCTP"),
    ("steps.NAME", "outcome"): ("passed", "failed", "timeout", "error", "not-evaluated"),
    (_CONDITION, "status"): ("True", "False", "Unknown"),
}


class Kind(msgspec.Struct, frozen=True):
    """`name` is empty where nobody knows. `of` says what is in a list or map: a kind or one of the
    tables; of the map that a table describes it is `=TABLE`. `words` are all that a string can be,
    where that is known."""

    name: str = ""
    of: str = ""
    words: tuple[str, ...] = ()


UNKNOWN = Kind()


def root(name: str) -> Kind:
    if name == "steps":
        return Kind("map", "steps.NAME")
    if name == "match":
        return Kind("map", "string")
    if f"{name}[]" in _TABLES:
        return Kind("list", f"{name}[]")
    if name == "containers":
        return Kind("list", "container")
    return Kind("map", f"={name}") if name in vocabulary.MAPS else UNKNOWN


def inside(kind: Kind) -> Kind:
    """An element of a list, or a value of a map with keys of any name."""
    if kind.of in _TABLES:
        return Kind("map", f"={kind.of}")
    return UNKNOWN if kind.of.startswith("=") else Kind(kind.of)


def member(kind: Kind, name: str) -> Kind:
    if kind.name != "map":
        return UNKNOWN
    if not kind.of.startswith("="):
        return inside(kind)
    return _of_table(kind.of[1:], name)


def _of_table(table: str, name: str) -> Kind:
    members = _TABLES.get(table, {})
    said = members.get(name, members.get(f"{name}?"))
    if said is None or name == "parsed" or (table == "control" and name in ("container", "steps")):
        return UNKNOWN
    of = _OF.get((table, name), "")
    if said.startswith("true "):
        return Kind("bool")
    if _LIST.match(said):
        return Kind("list", of)
    if _MAP.match(said):
        return Kind("map", of)
    if name in _NUMBERS or _NUMBER.fullmatch(name):
        return Kind("number")
    return Kind("string", "", _WORDS.get((table, name), ()))


def every_member() -> Iterator[tuple[str, str, Kind]]:
    """Table, member and what it is."""
    for table, members in _TABLES.items():
        for name in members:
            bare = name.removesuffix("?")
            yield table, bare, _of_table(table, bare)
