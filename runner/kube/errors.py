"""What an answer of the API server means: pure, from the status and the body to one reason."""

import re

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.late import late
from runner.model.base import Value

MESSAGE_LIMIT = 500
STREAMS = ("pods/exec", "pods/attach")
TEXT_LIMIT = 64 * 1024


class Cause(Value, frozen=True, kw_only=True):
    reason: str = ""
    field: str = ""
    message: str = ""


class StatusDetails(Value, frozen=True, kw_only=True):
    name: str = ""
    kind: str = ""
    retry_after_seconds: int = 0
    causes: tuple[Cause, ...] = ()


class Status(Value, frozen=True, kw_only=True):
    """metav1.Status: the body of every error, the object of an ERROR event of a watch, and the
    last word on a stream."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, in the words of RBAC."""

    verb: str
    resource: str
    namespace: str | None
    name: str = ""

    def __str__(self) -> str:
        where = "in all namespaces" if self.namespace is None else f"in namespace {self.namespace}"
        return f"{self.verb} {self.resource} {where}"


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Text of a stranger as one line that a terminal shows as it is. What is too long loses its
    middle: the API server says what it was about first, and what is wrong last."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:TEXT_LIMIT]).split())
    if len(line) <= limit:
        return line
    tail = limit // 3
    return f"{line[: limit - tail - 3]} … {line[-tail:]}"


def parse_status(body: bytes) -> Status | None:
    """The Status in a body, or None for whatever else a proxy or a kubelet may send."""
    try:
        return msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def classify(status: int, body: bytes, question: Question) -> ClusterError:
    """The error that an answer other than 2xx stands for; `status` is the HTTP status."""
    parsed = parse_status(body)
    text = parsed.message if parsed else body[:TEXT_LIMIT].decode(errors="replace")
    reason = _reason(status, text, parsed, question)
    lead = _LEADS.get(reason, "cannot {question}").format(question=question)
    if reason is ErrorReason.INVALID and status == 404:
        lead = f"cannot {question}: is this a Kubernetes API server?"
    detail = one_line(text) or f"HTTP {status} without an explanation"
    if "HTTP request to an HTTPS server" in text:
        detail = f"{one_line(text)} Write https:// in server: of the kubeconfig"
    if found := _FIELD.search(text):
        from runner.playbook.errors import did_you_mean  # noqa: PLC0415

        known = did_you_mean(found[1], _SELECTED_BY) or f"; known are {', '.join(_SELECTED_BY)}"
        detail += known
    return ClusterError(reason, one_line(f"{lead}: {detail}"), status=status)


_LEADS = {
    ErrorReason.UNAUTHORIZED: "the API server does not accept these credentials ({question})",
    ErrorReason.FORBIDDEN: "not allowed to {question}",
    ErrorReason.POD_SECURITY: "refused by the pod security level of the namespace ({question})",
    ErrorReason.ADMISSION: "refused by admission ({question})",
    ErrorReason.WEBHOOK: "refused because an admission webhook does not answer ({question})",
    ErrorReason.DISABLED: "this API server has no ephemeral containers ({question})",
    ErrorReason.THROTTLED: "the API server has too many requests ({question})",
    ErrorReason.SERVER: "the API server failed ({question})",
}

_LOG_NOT_READY = late(
    r"is waiting to start|is not available|failing to pull image|image can't be pulled"
    r"|previous terminated container .* not found"
)
_FIELD = late(r"field label not supported: (\S+)")
# What the API server selects pods by (pkg/apis/core/v1/conversion.go), of 1.25 on.
_SELECTED_BY = (
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_ADMISSION = late(r"admission webhook .* denied|ValidatingAdmissionPolicy|denied request")


def _reason(status: int, text: str, parsed: Status | None, question: Question) -> ErrorReason:
    match status:
        case 401:
            return ErrorReason.UNAUTHORIZED
        case 403:
            return _forbidden(text, parsed)
        case 404:
            return _not_found(parsed, question)
        case 409 if "UID in the precondition" not in text:
            return ErrorReason.CONFLICT
        case 410:
            return ErrorReason.EXPIRED
        case 429:
            return ErrorReason.THROTTLED
    if question.resource in STREAMS and "container not found" in text:
        return ErrorReason.NOT_READY
    if status < 500:
        return _refused(text, question)
    # Said before anything was stored, so that the request cannot have been applied.
    return ErrorReason.WEBHOOK if "failed calling webhook" in text else ErrorReason.SERVER


def _forbidden(text: str, parsed: Status | None) -> ErrorReason:
    # RBAC, PodSecurity and admission send the same details: only the text tells them apart.
    if "violates PodSecurity" in text:
        return ErrorReason.POD_SECURITY
    if _ADMISSION.search(text):
        return ErrorReason.ADMISSION
    if parsed is None or re.search(r"\bcannot \S+ (resource|path) ", text):
        return ErrorReason.FORBIDDEN
    if text.rstrip().endswith("is forbidden:"):
        return ErrorReason.FORBIDDEN
    return ErrorReason.ADMISSION


def _not_found(parsed: Status | None, question: Question) -> ErrorReason:
    named = parsed is not None and parsed.details is not None and parsed.details.name != ""
    if question.resource == "pods/log":
        return ErrorReason.GONE
    if named:
        is_pod = question.resource.partition("/")[0] == "pods"
        return ErrorReason.GONE if is_pod else ErrorReason.NOT_FOUND
    if question.resource == "pods/ephemeralcontainers":
        return ErrorReason.DISABLED
    return ErrorReason.INVALID


def _refused(text: str, question: Question) -> ErrorReason:
    if question.resource == "pods/log" and _LOG_NOT_READY.search(text):
        return ErrorReason.NOT_READY
    if "does not support dry run" in text:
        return ErrorReason.DRY_RUN
    if _ADMISSION.search(text):
        return ErrorReason.ADMISSION
    if "static pods do not support ephemeral containers" in text:
        return ErrorReason.STATIC_POD
    if "metadata.uid" in text or "UID in the precondition" in text:
        return ErrorReason.REPLACED
    if re.search(r"existing ephemeral containers .* may not be changed|\.name: Duplicate", text):
        return ErrorReason.NAME_TAKEN
    return ErrorReason.INVALID


def is_transient(error: ClusterError) -> bool:
    """Whether the same request may succeed a little later."""
    return error.reason in {
        ErrorReason.UNREACHABLE,
        ErrorReason.THROTTLED,
        ErrorReason.SERVER,
        ErrorReason.WEBHOOK,
    }
