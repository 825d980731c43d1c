"""A request for a run by somebody who is no alert: a small document, and its signature. Pure."""

import hashlib
import hmac
import re
from collections.abc import Collection
from datetime import datetime

import msgspec

from runner.model.base import Value
from runner.model.trigger import Aim, Asked, PodTarget, Trigger
from runner.triggers.body import BodyError, check_json
from runner.triggers.targets import target_problem

MAX_BYTES = 64 * 1024
MAX_SKEW_SECONDS = 300.0
SIGNATURE = "X-Podmedic-Signature"
TIMESTAMP = "X-Podmedic-Timestamp"
_MAX_REASON = 1024
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TIME = re.compile(r"[0-9]{1,12}")


class RunRequest(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`id` is the requester's own name of the request: the same one again is the same run."""

    playbook: str
    namespace: str
    pod: str = ""
    workload: str = ""
    selector: str = ""
    container: str = ""
    reason: str = ""
    id: str = ""


_decode = msgspec.json.Decoder(RunRequest).decode


def read_request(body: bytes, known: Collection[str]) -> RunRequest:
    """`known` are the playbooks that may be asked for. Raises BodyError."""
    check_json(body, MAX_BYTES)
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"not a request for a run: {error}") from None
    if found.playbook not in known:
        raise BodyError(f"no such playbook: {found.playbook[:64]!r}")
    if sum(map(bool, (found.pod, found.workload, found.selector))) != 1:
        raise BodyError("a request for a run names one of pod, workload, selector")
    if found.id and not _ID.fullmatch(found.id):
        raise BodyError("id: 128 letters, digits and . _ : - at most")
    if len(found.reason) > _MAX_REASON:
        raise BodyError(f"reason: longer than {_MAX_REASON} characters")
    if problem := target_problem(_target(found)):
        raise BodyError(problem)
    return found


def trigger_of_request(request: RunRequest, received_at: datetime) -> Trigger:
    aim = Aim(target=_target(request), playbooks=(request.playbook,))
    return Trigger(
        source="request",
        received_at=received_at,
        asked=Asked(aim=aim, reason=request.reason),
    )


def _target(request: RunRequest) -> PodTarget:
    return PodTarget(
        namespace=request.namespace,
        pod=request.pod,
        container=request.container,
        workload=request.workload,
        selector=request.selector,
    )


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """What the requester sends as `sha256=HEX`."""
    digest = hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def is_timely(timestamp: str, now: float) -> bool:
    """Whether it can be no replay of what was signed long ago."""
    return bool(_TIME.fullmatch(timestamp)) and abs(now - int(timestamp)) <= MAX_SKEW_SECONDS


def is_signed(keys: Collection[bytes], timestamp: str, body: bytes, given: str) -> bool:
    """Compared in constant time with each of the keys."""
    # What is no UTF-8 in a header comes as lone surrogates.
    said, found = given.encode("utf-8", "surrogateescape"), False
    for key in keys:
        found |= hmac.compare_digest(signature(key, timestamp, body).encode(), said)
    return found
