"""Whether the answer to a PATCH shows the container that was sent."""

import json
from typing import Any

import pytest

from runner.cluster import ClusterError, ErrorReason
from runner.kube.patching import (
    check,
    is_changed,
    patch,
    patch_if_unchanged,
    stored_containers,
    warning_text,
)
from tests.unit.pods import pod, running

SENT: dict[str, Any] = {
    "name": "pm-1",
    "image": "tools:1",
    "command": ["sh", "-c", "true"],
    "env": [
        {"name": "RUN", "value": "a"},
        {"name": "EMPTY", "value": ""},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ],
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": False}],
    "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
    "stdin": False,
    "envFrom": [],
}
# As a real 1.36 server answered.
STORED: dict[str, Any] = {
    "name": "pm-1",
    "image": "tools:1",
    "command": ["sh", "-c", "true"],
    "env": [
        {"name": "RUN", "value": "a"},
        {"name": "EMPTY"},
        {
            "name": "POD",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        },
        {
            "name": "CPU",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
        },
    ],
    "resources": {},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
    "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
}


def test_the_patch_names_the_pod_by_uid() -> None:
    """One container, guarded by the uid, and no resourceVersion."""
    sent = patch("u-1", SENT)
    assert sent.content_type == "application/strategic-merge-patch+json"
    assert json.loads(sent.body) == {
        "metadata": {"uid": "u-1"},
        "spec": {"ephemeralContainers": [SENT]},
    }


OLDER = {"name": "pm-0", "image": "tools:1"}


@pytest.mark.parametrize(
    ("containers", "added"),
    [
        ([], {"path": "/spec/ephemeralContainers", "value": [SENT]}),
        ([OLDER], {"path": "/spec/ephemeralContainers/0", "value": SENT}),
    ],
)
def test_a_pod_that_is_to_be_as_it_was_seen_is_named_by_its_generation(
    containers: list[dict[str, Any]], added: dict[str, Any]
) -> None:
    """The first one makes the list; others come before those that are there."""
    seen = pod(running(), metadata={"generation": 3}, spec={"ephemeralContainers": containers})
    sent = patch_if_unchanged(seen, SENT)
    assert sent.content_type == "application/json-patch+json"
    assert json.loads(sent.body) == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/metadata/generation", "value": 3},
        {"op": "add", **added},
    ]


def test_a_pod_without_a_generation_is_named_by_its_version() -> None:
    sent = patch_if_unchanged(pod(running(), metadata={"resourceVersion": "7"}), SENT)
    assert json.loads(sent.body)["metadata"] == {"uid": "u1", "resourceVersion": "7"}


def test_a_test_that_failed_is_told_from_what_is_wrong_with_a_container() -> None:
    """In the words of a 1.36 server."""
    asked = "cannot patch pods/ephemeralcontainers in namespace shop: "
    words = f"{asked}the server rejected our request due to an error in our request"
    duplicate = f'{asked}Pod "web" is invalid: spec.ephemeralContainers[0].name: Duplicate value'
    for text, changed in ((words, True), (duplicate, False)):
        assert is_changed(ClusterError(ErrorReason.INVALID, text, status=422)) is changed


def test_defaults_of_the_server_are_no_difference() -> None:
    """What it fills in, and the empty values that it leaves out."""
    assert check(SENT, [{"name": "other"}, STORED], "shop/web") == []


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"command": ["sh", "-c", "false"]}, "command"),
        ({"env": [*STORED["env"], {"name": "MORE", "value": "x"}]}, "env"),
        ({"env": STORED["env"][:1]}, "env"),
        ({"args": ["x"]}, "args"),
        ({"volumeMounts": []}, "volumeMounts"),
        (
            {"volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}]},
            "volumeMounts",
        ),
        ({"targetContainerName": "app"}, "targetContainerName"),
        ({"tty": True, "command": None}, "command, tty"),
    ],
)
def test_another_container_of_that_name(change: dict[str, Any], fields: str) -> None:
    """The server says 200 to a patch that holds less than what is there: we do not."""
    with pytest.raises(ClusterError) as caught:
        check(SENT, [{**STORED, **change}], "shop/web")

    assert caught.value.reason is ErrorReason.NAME_TAKEN
    assert caught.value.message == f"ephemeral container pm-1 of shop/web is another one: {fields}"


def test_a_patch_of_the_name_only() -> None:
    """Nearly everything differs; defaults are not mentioned."""
    with pytest.raises(ClusterError, match=r"another one: command, env, volumeMounts$"):
        check({"name": "pm-1", "image": "tools:1"}, [STORED], "shop/web")


def test_a_mirror_set_by_admission_is_a_warning() -> None:
    """The program is ours; what it runs in was chosen by the cluster's policy."""
    stored = {**STORED, "image": "mirror.local/tools:1", "securityContext": {"runAsUser": 7}}

    assert check(SENT, [stored], "shop/web") == [
        "admission changed image of ephemeral container pm-1 to mirror.local/tools:1",
        "admission changed securityContext of ephemeral container pm-1 to {'runAsUser': 7}",
    ]


def test_a_yes_without_the_container() -> None:
    """An old server, or something before it, that drops what it does not know."""
    with pytest.raises(ClusterError) as caught:
        check(SENT, [], "shop/web")

    assert caught.value.reason is ErrorReason.INVALID
    assert caught.value.message == (
        "ephemeral container pm-1 is not in shop/web though the server said yes"
    )


def test_all_fields_of_the_answer_are_seen() -> None:
    """Also those that our projection of a pod leaves out."""
    body = json.dumps({"metadata": {}, "spec": {"ephemeralContainers": [STORED]}}).encode()

    assert stored_containers(body) == (STORED,)
    assert stored_containers(b'{"spec":{}}') == ()


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (
            '299 - "would violate PodSecurity \\"restricted:latest\\""',
            'would violate PodSecurity "restricted:latest"',
        ),
        ('299 - "a\\\\b" "Tue, 15 Nov 1994 08:12:31 GMT"', "a\\b"),
        ("no header at all\x1b[1m", "no header at all [1m"),
        ("", ""),
    ],
)
def test_warnings_are_unquoted(header: str, text: str) -> None:
    """The text alone, harmless."""
    assert warning_text(header) == text
