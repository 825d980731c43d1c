"""A policy is kept by the runner, and by the API server when the runner is bypassed."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.handle import KubectlError, Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import CRASH, SLEEP
from tests.lab.waiting import until, wait_crashing
from tests.unit.security_contexts import ROOT_CASES

HEAD = "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nmetadata: {name: NAME}\nspec:\n"
STRICT = """\
  images: {allow: ['busybox:*', 'docker.io/library/busybox@sha256:*']}
  security: {profiles: [restricted, general], capabilities: [], root: false}
  secrets: {mounts: false}
  bounds: {maxEphemeralContainers: 3}
"""


def test_protected_namespaces_are_left_alone(lab: Lab, tmp_path: Path) -> None:
    """Without any policy file: the cluster's DNS is not injected, and the report says how that
    could be allowed."""
    before = pm.generations(lab, "kube-system")
    run = pm.run(lab, "kube-system", "triage", directory=tmp_path / "out")
    assert pm.generations(lab, "kube-system") == before
    assert {(pod["outcome"], pod["reason"]) for pod in run.report["pods"]} == {
        ("skipped", "Policy")
    }
    assert "policy/namespace" in run.report["pods"][0]["message"]
    assert run.report["run"]["policy"] == {"name": "default", "sha256": ""}


def test_what_only_a_pod_shows_is_refused_without_a_patch(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """A volume that holds a Secret: nothing is sent, what the API knows is judged all the same."""
    lab.images("busybox")
    lab.kubectl("create", "secret", "generic", "s", "-n", namespace, "--from-literal=k=v")
    volume = {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH, container=mount, spec=volume))
    wait_crashing(lab, namespace, "ledger", 1)
    policy = tmp_path / "policy.yaml"
    policy.write_text(HEAD.replace("NAME", "strict") + "  secrets: {mounts: false}\n")
    run = pm.run(
        lab, namespace, "crashloop", "--policy", policy, "--debugger-image=busybox:1.36",
        directory=tmp_path / "out",
    )  # fmt: skip
    (pod,) = run.report["pods"]
    assert pod["reason"] == "Policy"
    assert "volume v holds a Secret" in pod["message"]
    assert pod["injections"] == []
    assert set(map(len, pm.ephemeral_containers(lab, namespace).values())) == {0}
    assert "LEDGER_URL" in run.report["findings"][0]["message"]


@pytest.fixture
def guarded(lab: Lab, namespace: str, tmp_path: Path) -> Iterator[str]:
    """A namespace whose API server holds everybody to the strict policy."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(HEAD.replace("NAME", namespace) + STRICT)
    label = f"kubernetes.io/metadata.name={namespace}"
    printed = pm.podmedic(
        lab, "policy", "vap", policy, "--namespace-label", label, directory=tmp_path / "out"
    )
    assert printed.code == 0, printed.stderr
    lab.kubectl("apply", "-f", "-", input=printed.stdout)
    lab.images("busybox")
    lab.kubectl("create", "secret", "generic", "s", "-n", namespace, "--from-literal=k=v")
    volume = {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, spec=volume))
    pm.wait_ready(lab, namespace, "web")
    (name,) = pm.generations(lab, namespace)
    _until_enforced(lab, namespace, name)
    yield namespace
    lab.kubectl("delete", "-f", "-", input=printed.stdout)


def _container(name: str, **fields: Any) -> dict[str, Any]:
    context = {"runAsUser": 65532, **fields.pop("securityContext", {})}
    return {"name": name, "image": "busybox:1.36", "command": ["true"], "securityContext": context,
            **fields}  # fmt: skip


def _patch(lab: Lab, namespace: str, pod: str, container: dict[str, Any]) -> str:
    """The API server's refusal, or the empty string."""
    body = json.dumps({"spec": {"ephemeralContainers": [container]}})
    try:
        lab.kubectl("patch", "pod", pod, "-n", namespace, "--subresource=ephemeralcontainers",
                    "--type=strategic", "-p", body, "--dry-run=server")  # fmt: skip
    except KubectlError as error:
        return str(error)
    return ""


def _until_enforced(lab: Lab, namespace: str, pod: str) -> None:
    """A new admission policy takes effect some seconds after it was stored."""
    until(
        lambda: "policy/image" in _patch(lab, namespace, pod, _container("x", image="redis:7")),
        "the admission policy is not enforced",
        every_seconds=1,
    )


def test_the_api_server_refuses_the_same_when_the_runner_is_bypassed(
    lab: Lab, guarded: str, tmp_path: Path
) -> None:
    (pod,) = pm.generations(lab, guarded)
    secret = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    refused = {
        "policy/image": _container("x", image="redis:7"),
        "policy/privileged": _container("x", securityContext={"privileged": True}),
        "policy/capability": _container(
            "x", securityContext={"capabilities": {"add": ["NET_RAW"]}}
        ),
        "policy/root": _container("x", securityContext={"runAsUser": 0}),
        "policy/secret-mount": _container("x", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
        "policy/secret-environment": _container("x", env=[{"name": "P", **secret}]),
    }
    for rule, container in refused.items():
        assert f"podmedic {rule}:" in _patch(lab, guarded, pod, container)
    assert _patch(lab, guarded, pod, _container("x")) == ""
    # The API knows of no block volume but a claim; that this one is not bound changes nothing.
    block = pm.deployment("block", SLEEP)["spec"]["template"]["spec"]
    block["volumes"] = [{"name": "raw", "persistentVolumeClaim": {"claimName": "none"}}]
    waiting = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "block"}, "spec": block}
    pm.apply(lab, guarded, waiting)
    raw = _container("x", volumeDevices=[{"name": "raw", "devicePath": "/dev/raw"}])
    assert "podmedic policy/volume-device:" in _patch(lab, guarded, "block", raw)
    lab.kubectl("delete", "pod", "block", "-n", guarded, "--now")

    # kubectl debug sets no user; podmedic does, and is let through, until the pod carries three.
    with pytest.raises(KubectlError, match="policy/root"):
        lab.kubectl(
            "debug", pod, "-n", guarded, "--image=busybox:1.36", "--profile=restricted",
            "--attach=false", "--", "true",
        )  # fmt: skip
    probe = pm.playbook(tmp_path, [{"name": "hello", "run": ["true"]}])
    seen = Counter(
        pm.run(lab, guarded, probe, directory=tmp_path / f"out{n}").report["pods"][0]["reason"]
        for n in range(4)
    )
    assert seen == {"": 3, "AdmissionRefused": 1}


def test_the_api_server_sees_whom_a_container_runs_as_like_the_runner(
    lab: Lab, guarded: str
) -> None:
    """Every combination of the pod's context and the container's, by a dry run. The pods are on no
    node."""
    told = {}
    contexts = list({json.dumps(of_pod): of_pod for of_pod, _, _ in ROOT_CASES}.values())
    for number, of_pod in enumerate(contexts):
        spec: dict[str, Any] = pm.deployment("p", SLEEP)["spec"]["template"]["spec"]
        spec |= {"nodeSelector": {"no": "such"}}
        spec |= {"securityContext": of_pod} if of_pod is not None else {}
        name = {"name": f"context-{number}"}
        pm.apply(lab, guarded, {"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": spec})
    for of_pod, own, allowed in ROOT_CASES:
        body: dict[str, Any] = {"name": "x", "image": "busybox:1.36", "command": ["true"]}
        body |= {"securityContext": own} if own is not None else {}
        refusal = _patch(lab, guarded, f"context-{contexts.index(of_pod)}", body)
        if ("policy/root" not in refusal) is not allowed or bool(refusal) is allowed:
            told[json.dumps([of_pod, own])] = refusal
    assert told == {}


def test_what_the_policy_forbids_is_not_asked_of_the_api_server(
    lab: Lab, guarded: str, tmp_path: Path
) -> None:
    """Although the API server holds to the same policy, and several pods are alike."""
    sealed = pm.deployment("sealed", SLEEP, replicas=2)
    pod = sealed["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "v", "secret": {"secretName": "s"}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    pm.apply(lab, guarded, sealed)
    pm.wait_ready(lab, guarded, "sealed")
    policy = tmp_path / "policy.yaml"
    probe = pm.playbook(tmp_path, [{"name": "hello", "run": ["true"]}])
    offset = lab.audit_offset()
    words = (probe, "-l", "app=sealed", "--policy", policy)
    run = pm.run(lab, guarded, *words, directory=tmp_path / "out")
    looked = pm.podmedic(lab, "preflight", *words, "-n", guarded, directory=tmp_path / "out")
    assert [r for r in lab.requests(offset, "podmedic/") if r["verb"] == "patch"] == []
    assert [(p["outcome"], p["reason"]) for p in run.report["pods"]] == [("skipped", "Policy")] * 2
    assert looked.stdout.count("held-back") == 3, looked.stdout
    assert "policy/secret-mount" in looked.stdout
    assert "The API server was asked 0 times" in looked.stdout


def test_without_exec_there_is_no_shell(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(HEAD.replace("NAME", "quiet") + "  transports: [log]\n")
    words = ("shell", "web-0", "--policy", policy, "--command", "true")
    done = pm.podmedic(None, *words, directory=tmp_path / "out")
    assert (done.code, done.stdout, done.stderr) == (
        125,
        "",
        (
            "podmedic: podmedic shell uses exec, and transports are limited to: log "
            "(policy/transport)\n"
        ),
    )
