"""What changed in a workload's pod template before its pods fell ill. Pure."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from runner.injection import shown_address
from runner.late import late
from runner.model.changes import NOT_SHOWN, Difference, Revision, RevisionChange
from runner.model.objects import ControllerRevision, ReplicaSet
from runner.model.pod import ObjectMeta, Pod
from runner.model.subject import Workload
from runner.select import revision_hash

NUMBER_ANNOTATION = "deployment.kubernetes.io/revision"
MAX_DIFFERENCES = 40
_MAX_CHARACTERS = 200
# What an item of a list goes by, where it has one of these.
_KEYS = ("name", "mountPath", "devicePath", "containerPort", "ip", "key")
# kubectl's own, and the hash of the template itself.
_OURSELVES = frozenset({"pod-template-hash", "controller-revision-hash"})
_RANKS = (
    (re.compile(r"\.image$"), 0),
    (re.compile(r"\.(env|envFrom)\b"), 1),
    (re.compile(r"\.(command|args|workingDir)$"), 2),
    (re.compile(r"volume|\.ports|serviceAccountName"), 3),
    (re.compile(r"Probe|resources|securityContext"), 4),
    (re.compile(r"^(labels|annotations)"), 6),
)

_VARIABLE = late(r"\.env\[(.+)\]$")
_NUMBER = late(r"[0-9]{1,18}")
# Free text of authors, and what plugins are told: nobody knows what is in there.
_SECRETIVE = late(
    r"^annotations\[(?!checksum/)|httpHeaders|\.(?:volumeAttributes|options|parameters)\b|\.env\["
)

Show = Callable[[str], str]


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A revision with its pod template; `hash` is what its pods carry in a label."""

    workload: Workload
    hash: str
    revision: Revision
    template: Mapping[str, Any]


def of_replica_set(one: ReplicaSet) -> Generation | None:
    """None for one that no Deployment owns."""
    meta = one.metadata
    workload = _owner(meta)
    digits = meta.annotations.get(NUMBER_ANNOTATION, "")
    if workload is None or workload.kind != "Deployment" or not _NUMBER.fullmatch(digits):
        return None
    return Generation(
        workload=workload,
        hash=meta.labels.get("pod-template-hash", ""),
        revision=_revision(meta, int(digits), one.status.ready_replicas),
        template=one.spec.template,
    )


def of_controller_revision(
    one: ControllerRevision, ready: Mapping[tuple[Workload, str], int]
) -> Generation | None:
    """`ready` counts Ready pods by workload and hash."""
    meta = one.metadata
    workload = _owner(meta)
    if workload is None:
        return None
    # Pods of a StatefulSet carry the revision's name, those of a DaemonSet the end of it.
    own = meta.name
    if workload.kind == "DaemonSet":
        own = own.removeprefix(f"{workload.name}-")
    return Generation(
        workload=workload,
        hash=own,
        revision=_revision(meta, one.revision, ready.get((workload, own), 0)),
        template=one.data.spec.template,
    )


def revision_changes(
    ill: Iterable[tuple[Workload, Pod]], generations: Sequence[Generation], show: Show
) -> tuple[RevisionChange, ...]:
    """One for each workload with ill pods that has an earlier revision, by name. `show` is the
    choke point: it takes out of a text what must not be told."""
    hashes: dict[Workload, Counter[str]] = {}
    for workload, pod in ill:
        hashes.setdefault(workload, Counter())[revision_hash(pod.metadata.labels)] += 1
    by_workload: dict[Workload, list[Generation]] = {}
    for each in generations:
        by_workload.setdefault(each.workload, []).append(each)
    found = []
    for workload, counted in hashes.items():
        known = by_workload.get(workload, [])
        most = counted.most_common(1)[0][0]
        after = next((each for each in known if each.hash == most), None)
        if after is None:
            continue
        earlier = [e for e in known if e.revision.number < after.revision.number]
        if not earlier:
            continue
        before = max(earlier, key=lambda e: (e.revision.ready > 0, e.revision.number))
        told = differences(before.template, after.template, show)
        found.append(
            RevisionChange(
                workload=workload,
                before=before.revision,
                after=after.revision,
                differences=told[:MAX_DIFFERENCES],
                more=max(len(told) - MAX_DIFFERENCES, 0),
            )
        )
    return tuple(sorted(found, key=lambda c: (c.workload.namespace, c.workload.name)))


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], show: Show
) -> tuple[Difference, ...]:
    """What breaks pods most often comes first."""
    found = [
        Difference(path=path, before=_shown(path, old, show), after=_shown(path, new, show))
        for path, old, new in _compare("", _flat(before), _flat(after))
    ]
    return tuple(sorted(found, key=lambda each: _rank(each.path)))


def _rank(path: str) -> int:
    return next((rank for pattern, rank in _RANKS if pattern.search(path)), 5)


def _flat(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template without the word `spec`, which says nothing to anybody."""
    metadata = _mapping(template.get("metadata"))
    labels = _mapping(metadata.get("labels"))
    return {
        **_mapping(template.get("spec")),
        "labels": {k: v for k, v in labels.items() if k not in _OURSELVES},
        "annotations": _mapping(metadata.get("annotations")),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    """The API server does not look into a ControllerRevision."""
    return value if isinstance(value, Mapping) else {}


def _compare(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Path, then the value before and after; None where there was none."""
    if old == new:
        return
    key = next((key for key in _KEYS if _identifies(key, old) and _identifies(key, new)), "")
    olds, news = _children(path, old, key), _children(path, new, key)
    if olds is None or news is None or not (olds or news) or _VARIABLE.search(path):
        yield path, old, new
        return
    for child in dict.fromkeys((*olds, *news)):
        yield from _compare(child, olds.get(child), news.get(child))


def _identifies(key: str, items: Any) -> bool:
    """Whether each item of the list has another value there."""
    if not isinstance(items, list):
        return items is None
    names = [each.get(key) if isinstance(each, Mapping) else None for each in items]
    return all(names) and len(set(map(str, names))) == len(names)


def _children(path: str, value: Any, key: str) -> dict[str, Any] | None:
    """By path; None for what is compared as a whole. What an item goes by stands in its path."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        dot = f"{path}." if path else ""
        bare = path in ("labels", "annotations")
        return {f"{path}[{k}]" if bare else f"{dot}{k}": v for k, v in value.items()}
    if not key:
        return None
    return {
        f"{path}[{each[key]}]": {k: v for k, v in each.items() if k != key} or each[key]
        for each in value
    }


def _shown(path: str, value: Any, show: Show) -> str | None:
    if value is None:
        return None
    variable = _VARIABLE.search(path)
    if variable is not None:
        return _variable(variable[1], value, show)
    if _SECRETIVE.search(path):
        return NOT_SHOWN
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = " ".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, sort_keys=True, separators=(", ", ": "), default=str)
        if '"value"' in text or '"httpHeaders"' in text:
            # A whole container that is new: its variables are nobody's business.
            text = str(value.get("image", NOT_SHOWN)) if isinstance(value, Mapping) else NOT_SHOWN
    if show(text) != text:
        return _cut(show(text))
    # Some values are only known for secrets by what they are called.
    name = path.rpartition(".")[2]
    if any(show(f"{name}{mark}{text}") != f"{name}{mark}{text}" for mark in ("=", ": ")):
        return NOT_SHOWN
    return _cut(text)


def _variable(name: str, value: Any, show: Show) -> str:
    source = value.get("valueFrom") if isinstance(value, Mapping) else None
    if isinstance(source, Mapping):
        kind, reference = next(iter(source.items()), ("", {}))
        words = reference.values() if isinstance(reference, Mapping) else ()
        return _cut(show(f"{kind} {'/'.join(str(word) for word in words if word)}"))
    text = str(value.get("value", "")) if isinstance(value, Mapping) else ""
    if show(f"{name}={text}") != f"{name}={text}":
        return NOT_SHOWN
    return shown_address(name, text) or NOT_SHOWN


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 1] + "…"


def _owner(meta: ObjectMeta) -> Workload | None:
    owner = next((each for each in meta.owner_references if each.controller), None)
    if owner is None:
        return None
    return Workload(kind=owner.kind, namespace=meta.namespace, name=owner.name)


def _revision(meta: ObjectMeta, number: int, ready: int) -> Revision:
    return Revision(name=meta.name, number=number, created_at=meta.creation_timestamp, ready=ready)
