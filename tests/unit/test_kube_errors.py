"""What an answer of the API server means, by the texts that a real one sends."""

import json

import pytest

from runner.cluster import ErrorReason
from runner.kube.errors import Question, classify, is_transient, one_line

PATCH = Question(verb="patch", resource="pods/ephemeralcontainers", namespace="shop", name="web")
LOG = Question(verb="get", resource="pods/log", namespace="shop", name="web")
LIST = Question(verb="list", resource="pods", namespace=None)


def status(code: int, message: str, **details: object) -> bytes:
    body: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "code": code,
    }
    if details:
        body["details"] = details
    return json.dumps(body).encode()


RBAC = (
    'pods "web" is forbidden: User "system:serviceaccount:ops:podmedic" cannot patch resource '
    '"pods/ephemeralcontainers" in API group "" in the namespace "shop"'
)
POD_SECURITY = (
    'pods "web" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation '
    '!= false (container "old" must set securityContext.allowPrivilegeEscalation=false)'
)


@pytest.mark.parametrize(
    ("code", "message", "details", "question", "reason"),
    [
        (401, "Unauthorized", {}, LIST, ErrorReason.UNAUTHORIZED),
        (403, RBAC, {"name": "web", "kind": "pods"}, PATCH, ErrorReason.FORBIDDEN),
        (
            403,
            'forbidden: User "system:anonymous" cannot get path "/api"',
            {},
            LIST,
            ErrorReason.FORBIDDEN,
        ),
        (403, 'pods "web" is forbidden: ', {"name": "web"}, PATCH, ErrorReason.FORBIDDEN),
        (
            403,
            POD_SECURITY,
            {"name": "web", "kind": "pods"},
            PATCH,
            ErrorReason.POD_SECURITY,
        ),
        (
            403,
            'admission webhook "policy.example.com" denied the request: you cannot get resource x',
            {},
            PATCH,
            ErrorReason.ADMISSION,
        ),
        (
            422,
            "ValidatingAdmissionPolicy 'no-debug' with binding 'all' denied request: no debugging",
            {},
            PATCH,
            ErrorReason.ADMISSION,
        ),
        (
            400,
            'admission webhook "policy.example.com" denied the request: bad',
            {},
            PATCH,
            ErrorReason.ADMISSION,
        ),
        (
            400,
            'admission webhook "w.example.com" does not support dry run',
            {},
            PATCH,
            ErrorReason.DRY_RUN,
        ),
        (404, 'pods "web" not found', {"name": "web", "kind": "pods"}, PATCH, ErrorReason.GONE),
        (
            404,
            "the server could not find the requested resource",
            {},
            PATCH,
            ErrorReason.DISABLED,
        ),
        (404, "404 page not found", {}, LIST, ErrorReason.INVALID),
        (404, 'nodes "n1" not found', {}, LOG, ErrorReason.GONE),
        (
            422,
            'Pod "web" is invalid: metadata.uid: Invalid value: "a": field is immutable',
            {"name": "web"},
            PATCH,
            ErrorReason.REPLACED,
        ),
        (
            422,
            (
                'Pod "web" is invalid: spec.ephemeralContainers: Forbidden: '
                'existing ephemeral containers "pm" may not be changed\n@@ -2,9 +2,7 @@'
            ),
            {"name": "web"},
            PATCH,
            ErrorReason.NAME_TAKEN,
        ),
        (
            422,
            'Pod "web" is invalid: spec.ephemeralContainers[0].name: Duplicate value: "app"',
            {"name": "web"},
            PATCH,
            ErrorReason.NAME_TAKEN,
        ),
        (
            422,
            'Pod "web" is invalid: static pods do not support ephemeral containers',
            {"name": "web"},
            PATCH,
            ErrorReason.STATIC_POD,
        ),
        (
            422,
            'Pod "web" is invalid: spec.ephemeralContainers[0].targetContainerName: Not found: "x"',
            {"name": "web"},
            PATCH,
            ErrorReason.INVALID,
        ),
        (
            410,
            "The provided continue parameter is too old",
            {},
            LIST,
            ErrorReason.EXPIRED,
        ),
        (413, "Request entity too large: limit is 3145728", {}, PATCH, ErrorReason.INVALID),
        (429, "Too many requests, please try again later.", {}, PATCH, ErrorReason.THROTTLED),
        (500, "etcdserver: request timed out", {}, PATCH, ErrorReason.SERVER),
        (
            500,
            (
                'Internal error occurred: failed calling webhook "guard.example.com": failed to call '
                'webhook: Post "https://127.0.0.1:1/guard?timeout=2s": connection refused'
            ),
            {},
            PATCH,
            ErrorReason.WEBHOOK,
        ),
        (504, "Timeout: request did not complete", {}, PATCH, ErrorReason.SERVER),
        (
            400,
            'container "app" in pod "web" is not available',
            {},
            LOG,
            ErrorReason.NOT_READY,
        ),
        (
            400,
            'container "app" in pod "web" is waiting to start: ContainerCreating',
            {},
            LOG,
            ErrorReason.NOT_READY,
        ),
        (
            400,
            'container "app" in pod "web" is waiting to start: trying and failing to pull image',
            {},
            LOG,
            ErrorReason.NOT_READY,
        ),
        (
            400,
            'previous terminated container "app" in pod "web" not found',
            {},
            LOG,
            ErrorReason.NOT_READY,
        ),
        (400, "container zzz is not valid for pod web", {}, LOG, ErrorReason.INVALID),
        (302, "Found", {}, LIST, ErrorReason.INVALID),
    ],
)
def test_every_answer_has_its_reason(
    code: int, message: str, details: dict[str, object], question: Question, reason: ErrorReason
) -> None:
    """The tables of kubernetes-facts.md, one row each."""
    error = classify(code, status(code, message, **details), question)

    assert (error.reason, error.status) == (reason, code)
    assert error.message.isprintable()
    assert len(error.message) <= 500


def test_a_server_that_wants_https_is_told_with_where_to_write_it() -> None:
    said = b"Client sent an HTTP request to an HTTPS server.\n"
    assert classify(400, said, LIST).message == (
        f"cannot {LIST}: Client sent an HTTP request to an HTTPS server. "
        "Write https:// in server: of the kubeconfig"
    )


def test_a_missing_permission_is_named() -> None:
    """Whoever reads it knows the verb, the resource and the namespace to grant."""
    error = classify(403, status(403, RBAC, name="web"), PATCH)

    assert (
        error.message == f"not allowed to patch pods/ephemeralcontainers in namespace shop: {RBAC}"
    )


def test_all_namespaces_are_named_too() -> None:
    """Without a namespace there is a cluster role to bind."""
    error = classify(403, b"<html>no</html>", LIST)

    assert error.reason is ErrorReason.FORBIDDEN
    assert error.message == "not allowed to list pods in all namespaces: <html>no</html>"


def test_hostile_text_becomes_one_short_line() -> None:
    """Escape codes, line feeds and right-to-left marks of a webhook do not reach a terminal."""
    text = "admission webhook x denied the request:\n\x1b[2J\x07\u202egpj.exe " + "A" * 5000

    error = classify(400, status(400, text), PATCH)

    assert error.message.isprintable()
    assert len(error.message) == 500
    assert error.message.startswith(
        "refused by admission (patch pods/ephemeralcontainers in namespace shop): "
        "admission webhook x denied the request: [2J gpj.exe AAA"
    )


def test_an_answer_without_text_still_says_something() -> None:
    """An empty body is shown as its status."""
    error = classify(503, b"", PATCH)

    assert error.message == (
        "the API server failed (patch pods/ephemeralcontainers in namespace shop): "
        "HTTP 503 without an explanation"
    )


def test_invalid_utf8_is_shown() -> None:
    """A proxy's page in another encoding is no reason to fail differently."""
    error = classify(502, b"Z\xfcrich", LIST)

    assert error.message == "the API server failed (list pods in all namespaces): Z\ufffdrich"


def test_only_what_may_change_is_asked_again() -> None:
    """429 and 5xx are; every other answer is final."""
    transient = {code for code in range(300, 600) if is_transient(classify(code, b"", LIST))}

    assert transient == {429, *range(500, 600)}


def test_one_line_keeps_what_fits() -> None:
    """Exactly the limit is not cut; more loses its middle."""
    assert one_line("abcdefghijkl", 12) == "abcdefghijkl"
    assert one_line("abcdefghijklm", 12) == "abcde … jklm"


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("status.phse", ' (did you mean "status.phase"?)'),
        ("x", "; known are metadata.name, metadata.namespace, spec.nodeName, spec.restartPolicy, spec.schedulerName, spec.serviceAccountName, status.phase, status.podIP, status.nominatedNodeName"),
    ],
)  # fmt: skip
def test_a_field_that_pods_are_not_selected_by(field: str, hint: str) -> None:
    error = classify(400, status(400, f"field label not supported: {field}"), LIST)
    assert error.message.endswith(f": field label not supported: {field}{hint}")
