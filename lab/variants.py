"""Another workload with the same defect: other names, ports and, where the defect shows in a log,
the words of another language. Pure: the same seed makes the same variant.

What a rule has learnt by heart fails on it, what it has understood does not.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from lab.wordings import failures, filled, filled_pattern
from runner.injection import endpoints_of
from runner.model.pod import Container

_FIRST = (
    "amber", "basalt", "cobalt", "dune", "ember", "fjord", "garnet", "hazel", "indigo", "jasper",
    "karst", "larch", "mistral", "nimbus", "ochre", "pumice", "quartz", "russet", "sorrel",
    "tundra",
)  # fmt: skip
_SECOND = (
    "badger", "curlew", "dipper", "egret", "falcon", "grebe", "heron", "ibis", "jackdaw", "kestrel",
    "lapwing", "magpie", "nuthatch", "osprey", "plover", "quail", "rook", "siskin", "teal", "wren",
)  # fmt: skip
# Words of programs, images and paths that a manifest may use as names, too.
_COMMON = frozenset(
    """
    agent api app backend bin bootstrap bus c ca cache cat cert client cluster com conf config
    consumer curl data db default dev etc example format frontend h home http https init
    internal io lib load local localhost log logs main metrics migrate mysql net nginx opt org
    postgres proc proxy public python python3 queue redis register report run s script scripts
    server service sh share sleep srv state static svc sync sys system test thread tls tmp usr
    v var wait web work worker t x y
    """.split()  # noqa: SIM905 (a list of forty words)
)
# The programs of these images read them or listen there, whatever the manifest says.
_FIXED_PORTS = frozenset((80, 443, 5432, 6379))
_FIXED_VARIABLES = re.compile(r"^(?:POSTGRES|PG|REDISCLI|PYTHON|NGINX|MYSQL)\w*$")
_WORD = r"(?<![A-Za-z0-9_-]){}(?![A-Za-z0-9_-])"
_PRINTED = "END-OF-LOG"


@dataclass(frozen=True, slots=True)
class Variant:
    manifest: str
    expected: Mapping[str, Any]


def variant(manifest: str, expected: Mapping[str, Any], seed: int) -> Variant:
    """Of one workload, and of what must be said of it."""
    chance = random.Random(f"{seed} {manifest}")
    documents = [each for each in yaml.load_all(manifest, yaml.CSafeLoader) if each]
    wanted = dict(expected)
    if "speaks" in wanted:
        wanted = _in_other_words(documents, wanted, chance)
    names = _new_names(documents, chance)
    text = _renamed(_dumped(documents), names)
    return Variant(text, yaml.load(_renamed(_dumped([wanted]), names), yaml.CSafeLoader))


def _dumped(documents: Sequence[Any]) -> str:
    return str(yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000))


def _in_other_words(
    documents: Sequence[Any], expected: dict[str, Any], chance: random.Random
) -> dict[str, Any]:
    """The container prints what a program of another language prints, and exits as that does."""
    speaks = expected.pop("speaks")
    failure = failures()[speaks["failure"]]
    wording = chance.choice(failure.wordings)
    names = {name: str(word) for name, word in speaks.get("names", {}).items()}
    kind, _, name = expected["workload"].partition("/")
    (document,) = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    for container in _containers(document):
        if container["name"] == expected.get("container", container["name"]):
            log = filled(wording.log, names).rstrip("\n")
            container["image"] = "busybox:1.36"
            container["command"] = [
                "sh", "-c",
                f"cat >&2 <<'{_PRINTED}'\n{log}\n{_PRINTED}\nexit {wording.exit_code}\n",
            ]  # fmt: skip
            container.pop("args", None)
    says = [filled_pattern(pattern, names) for pattern in failure.says]
    return {**expected, "says": says}


def _containers(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    spec = document.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    spec = spec.get("template", {}).get("spec", spec)
    yield from (*spec.get("initContainers", ()), *spec.get("containers", ()))


def _new_names(documents: Sequence[Any], chance: random.Random) -> Mapping[str, str]:
    """By the word as it stands: names of objects and hosts, of variables, of ports."""
    pairs = [f"{one}-{other}" for one in _FIRST for other in _SECOND]
    chance.shuffle(pairs)
    free = iter(pairs)
    found: dict[str, str] = {}
    for name in dict.fromkeys(_names(documents)):
        if name not in _COMMON and not name.isdigit():
            found[name] = next(free)
    for name in dict.fromkeys(_variables(documents)):
        if not _FIXED_VARIABLES.match(name):
            found[name] = _variable(name, found) or next(free).replace("-", "_").upper()
    ports = dict.fromkeys(p for p in _ports(documents) if p not in _FIXED_PORTS and p > 1024)
    others = chance.sample(range(20_000, 30_000), len(ports))
    found.update({str(port): str(other) for port, other in zip(ports, others, strict=True)})
    return found


def _variable(name: str, found: Mapping[str, str]) -> str:
    """`REDIS_PORT` is what Kubernetes calls the port of a Service redis: it keeps that shape."""
    stem, _, rest = name.rpartition("_")
    service = stem.lower().replace("_", "-")
    if rest not in ("HOST", "PORT"):
        return ""
    return (
        f"{found[service].replace('-', '_').upper()}_{rest}"
        if service in found
        else (name if service in _COMMON else "")
    )


def _names(documents: Sequence[Any]) -> Iterator[str]:
    for document in documents:
        yield document["metadata"]["name"]
        for container in _containers(document):
            yield container["name"]
            known = msgspec.convert(container, Container, strict=False)
            for endpoint in endpoints_of(known):
                yield from endpoint.host.split(".")[:2] if not endpoint.host[0].isdigit() else ()


def _variables(documents: Sequence[Any]) -> Iterator[str]:
    for document in documents:
        for container in _containers(document):
            yield from (each["name"] for each in container.get("env", ()))


def _ports(documents: Sequence[Any]) -> Iterator[int]:
    for document in documents:
        if document["kind"] == "Service":
            for port in document["spec"].get("ports", ()):
                yield port["port"]
                target = port.get("targetPort")
                yield from (target,) if isinstance(target, int) else ()
        for container in _containers(document):
            yield from (port["containerPort"] for port in container.get("ports", ()))
            known = msgspec.convert(container, Container, strict=False)
            yield from (endpoint.port for endpoint in endpoints_of(known))


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Whole words, all at once: no name is renamed twice."""
    if not names:
        return text
    words = sorted(names, key=lambda name: (-len(name), name))
    pattern = re.compile(_WORD.format(f"(?:{'|'.join(map(re.escape, words))})"))
    return pattern.sub(lambda match: names[match[0]], text)
