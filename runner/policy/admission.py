"""A ValidatingAdmissionPolicy that holds the API server to the same policy. Pure.

It refuses ephemeral containers that are *added*; what a pod carries already stays as it is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from runner.policy.spec import Policy

_API = "admissionregistration.k8s.io/v1"
_LIST = "has(o.spec.ephemeralContainers) ? o.spec.ephemeralContainers : []"
_ADDED = "variables.now.filter(c, !variables.before.exists(b, b.name == c.name))"
_CONTEXT = "has(c.securityContext) && has(c.securityContext"


def _regex(pattern: str) -> str:
    return "^" + ".*".join(re.escape(part).replace("\\-", "-") for part in pattern.split("*")) + "$"


def _words(values: Sequence[str]) -> str:
    return "[" + ", ".join(_quoted(value) for value in values) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _every(condition: str) -> str:
    return f"variables.added.all(c, {condition})"


def _matches(subject: str, patterns: Sequence[str]) -> str:
    return f"{_words([_regex(p) for p in patterns])}.exists(p, {subject}.matches(p))"


def _validations(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """Rule, CEL expression, sentence."""
    spec = policy.spec
    if spec.images.allow != ("*",):
        yield (
            "policy/image", _every(_matches("c.image", spec.images.allow)),
            f"the image is not allowed: {', '.join(spec.images.allow)}",
        )  # fmt: skip
    if spec.images.require_digest:
        yield ("policy/digest", _every("c.image.contains('@sha256:')"), "the image is not pinned")
    if not spec.security.privileged:
        yield (
            "policy/privileged",
            _every(f"!({_CONTEXT}.privileged) && c.securityContext.privileged)"),
            "a privileged container is not allowed",
        )
    yield (
        "policy/capability",
        _every(
            f"!({_CONTEXT}.capabilities) && has(c.securityContext.capabilities.add)) || "
            "c.securityContext.capabilities.add.all(a, a in "
            f"{_words(spec.security.capabilities)})"
        ),
        f"only these capabilities may be added: {', '.join(spec.security.capabilities) or 'none'}",
    )
    if not spec.security.root:
        yield (
            "policy/root",
            # The container's own user, else the pod's, else the image's, which nobody knows here.
            _every(
                f"{_CONTEXT}.runAsUser) ? c.securityContext.runAsUser != 0 : "
                "has(object.spec.securityContext) && has(object.spec.securityContext.runAsUser) "
                "&& object.spec.securityContext.runAsUser != 0"
            ),
            "a numeric user other than 0 is required",
        )
    if not spec.security.volume_devices:
        yield (
            "policy/volume-device",
            _every("!has(c.volumeDevices) || size(c.volumeDevices) == 0"),
            "raw block volumes are not allowed",
        )
    yield from _secrets(policy)
    denied = _matches("request.namespace", spec.namespaces.deny or ["-"])
    allowed = _matches("request.namespace", spec.namespaces.allow or ["-"])
    yield (
        "policy/namespace",
        f"!{denied} && {allowed}",
        "ephemeral containers are not allowed in this namespace",
    )
    most = spec.bounds.max_ephemeral_containers
    if most is not None:
        yield (
            "policy/ephemeral-containers",
            f"size(variables.added) == 0 || size(variables.now) <= {most}",
            f"a pod may carry {most} ephemeral containers at most",
        )


def _secrets(policy: Policy) -> Iterator[tuple[str, str, str]]:
    secrets = policy.spec.secrets
    mounts = "!has(c.volumeMounts) || c.volumeMounts.all(m, !variables.volumes.exists(v, "
    if not secrets.mounts:
        yield (
            "policy/secret-mount",
            _every(
                mounts + "v.name == m.name && (has(v.secret) || (has(v.projected) && "
                "has(v.projected.sources) && v.projected.sources.exists(s, has(s.secret))))))"
            ),
            "volumes that hold Secrets may not be mounted",
        )
    if not secrets.service_account_token:
        yield (
            "policy/token",
            _every(
                mounts + "v.name == m.name && has(v.projected) && has(v.projected.sources) && "
                "v.projected.sources.exists(s, has(s.serviceAccountToken))))"
            ),
            "the service account's token may not be mounted",
        )
    if not secrets.environment:
        yield (
            "policy/secret-environment",
            _every(
                "(!has(c.env) || c.env.all(e, !has(e.valueFrom) || "
                "!has(e.valueFrom.secretKeyRef))) && "
                "(!has(c.envFrom) || c.envFrom.all(e, !has(e.secretRef)))"
            ),
            "variables may not come from Secrets",
        )


def manifests(policy: Policy, *, account: str = "", namespaces: str = "") -> list[dict[str, Any]]:
    """The admission policy and its binding. `account` NAMESPACE/NAME limits it to one
    ServiceAccount; `namespaces` KEY=VALUE to namespaces with that label."""
    name = f"podmedic-{policy.metadata.name}"
    labels = {"app.kubernetes.io/name": "podmedic"}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["pods/ephemeralcontainers"],
    }
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "variables": [
            {"name": "now", "expression": _LIST.replace("o.spec", "object.spec")},
            {"name": "before", "expression": _LIST.replace("o.spec", "oldObject.spec")},
            {"name": "added", "expression": _ADDED},
            {
                "name": "volumes",
                "expression": "has(object.spec.volumes) ? object.spec.volumes : []",
            },
        ],
        "validations": [
            {
                "expression": expression,
                "message": f"podmedic {rule}: {sentence}",
                "reason": "Forbidden",
            }
            for rule, expression, sentence in _validations(policy)
        ],
    }
    if account:
        namespace, _, account_name = account.partition("/")
        user = f"system:serviceaccount:{namespace}:{account_name}"
        spec["matchConditions"] = [
            {"name": "account", "expression": f"request.userInfo.username == {_quoted(user)}"}
        ]
    binding: dict[str, Any] = {"policyName": name, "validationActions": ["Deny"]}
    if namespaces:
        key, _, value = namespaces.partition("=")
        binding["matchResources"] = {"namespaceSelector": {"matchLabels": {key: value}}}
    return [
        {
            "apiVersion": _API,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        },
        {
            "apiVersion": _API,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name, "labels": labels},
            "spec": binding,
        },
    ]
