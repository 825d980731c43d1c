"""The PATCH that adds an ephemeral container, and whether the answer shows what was sent."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.kube.errors import one_line
from runner.model.base import Value
from runner.model.pod import Pod

# Admission rewrites these where a registry mirror or a security policy is in force; the program
# that runs is ours all the same.
_REWRITTEN = ("image", "imagePullPolicy", "securityContext")
# What a server of today fills in where we said nothing.
_DEFAULTED = {
    "imagePullPolicy",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "resources",
    "securityContext",
}
_ABSENT: tuple[object, ...] = (None, "", False, {}, [], ())


class _Spec(Value, frozen=True, kw_only=True):
    ephemeral_containers: tuple[dict[str, Any], ...] = ()


class _Pod(Value, frozen=True, kw_only=True):
    spec: _Spec


_decode = msgspec.json.Decoder(_Pod).decode
_encode = msgspec.json.Encoder().encode


class Patch(NamedTuple):
    body: bytes
    content_type: str


def patch(uid: str, container: Mapping[str, Any], *, version: str = "") -> Patch:
    """A strategic merge that adds by name and is refused by a pod with another uid. Without
    `version` it meets no conflict, and the same again changes nothing; with that resourceVersion it
    is refused by a pod that has changed since."""
    metadata = {"uid": uid} | ({"resourceVersion": version} if version else {})
    body = {"metadata": metadata, "spec": {"ephemeralContainers": [dict(container)]}}
    return Patch(_encode(body), "application/strategic-merge-patch+json")


def patch_if_unchanged(pod: Pod, container: Mapping[str, Any]) -> Patch:
    """One that adds to the pod as it was seen and to no other. What its kubelet says of a pod does
    not change its generation, as what it is to run does; before 1.33 pods had none, and any change
    since is one too many."""
    meta = pod.metadata
    if not meta.generation:
        return patch(meta.uid, container, version=meta.resource_version)
    added: tuple[str, Any] = "/spec/ephemeralContainers", [dict(container)]
    if pod.spec.ephemeral_containers:
        # At the front, where a merge puts it.
        added = f"{added[0]}/0", dict(container)
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": meta.uid},
        {"op": "test", "path": "/metadata/generation", "value": meta.generation},
        {"op": "add", "path": added[0], "value": added[1]},
    ]
    return Patch(_encode(operations), "application/json-patch+json")


def is_changed(error: ClusterError) -> bool:
    """Whether a test of such a patch failed: the server says so of nothing else, and no more."""
    return error.status == 422 and error.message.endswith(
        "the server rejected our request due to an error in our request"
    )


def stored_containers(body: bytes) -> Sequence[Mapping[str, Any]]:
    """The ephemeral containers of a pod in JSON, with all their fields."""
    return _decode(body).spec.ephemeral_containers


def check(
    sent: Mapping[str, Any], stored_containers: Sequence[Mapping[str, Any]], where: str
) -> list[str]:
    """Compare what the server has with what was sent: a patch that says less than an older
    container of that name is answered with 200 too, and changes nothing.

    Returns what admission rewrote, as warnings; raises ClusterError(NAME_TAKEN) when command,
    environment, mounts or the like are not ours.
    """
    name = sent["name"]
    stored = next((item for item in stored_containers if item.get("name") == name), None)
    if stored is None:
        message = f"ephemeral container {name} is not in {where} though the server said yes"
        raise ClusterError(ErrorReason.INVALID, one_line(message), status=200)
    differing = [
        field
        for field in sorted({*sent, *stored})
        if not _same(sent.get(field), stored.get(field))
        and not (field in _DEFAULTED and sent.get(field) in _ABSENT)
    ]
    foreign = [field for field in differing if field not in _REWRITTEN]
    if foreign:
        message = f"ephemeral container {name} of {where} is another one: {', '.join(foreign)}"
        raise ClusterError(ErrorReason.NAME_TAKEN, one_line(message), status=200)
    return [
        one_line(f"admission changed {field} of ephemeral container {name} to {stored.get(field)}")
        for field in differing
    ]


def _same(sent: object, stored: object) -> bool:
    """Equal, but for empty values, which the server leaves out, and for defaults inside of
    objects (`fieldRef.apiVersion`, `resourceFieldRef.divisor`), which it fills in."""
    if sent == stored:
        return True
    if isinstance(sent, Mapping) and isinstance(stored, Mapping):
        if any(not _same(value, stored.get(key)) for key, value in sent.items()):
            return False
        return set(stored) - set(sent) <= {"apiVersion", "divisor"}
    if isinstance(sent, list | tuple) and isinstance(stored, list | tuple):
        return len(sent) == len(stored) and all(map(_same, sent, stored))
    return sent in _ABSENT and stored in _ABSENT


_WARNING = re.compile(r'\s*\d{3}\s+\S+\s+"((?:[^"\\]|\\.)*)"')


def warning_text(header: str) -> str:
    """The text of a Warning header: `299 - "would violate PodSecurity …"`."""
    match = _WARNING.match(header)
    return one_line(re.sub(r"\\(.)", r"\1", match[1]) if match else header)
