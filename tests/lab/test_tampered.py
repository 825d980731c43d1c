"""Images by digest: what the node ran is held against what was asked for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_shell import shell
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import until


def _documents(namespace: str, image: str) -> list[dict[str, Any]]:
    """An admission policy that puts another image into every new ephemeral container of it."""
    api = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
        "resources": ["pods/ephemeralcontainers"],
    }  # fmt: skip
    patch = (
        f'JSONPatch{{op: "replace", path: "/spec/ephemeralContainers/0/image", value: "{image}"}}'
    )
    name = {"name": f"swap-{namespace}"}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return [
        {
            "apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": name,
            "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [rule]},
                "mutations": [
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{patch}]"}}
                ],
            },
        },
        {
            "apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": name,
            "spec": {"policyName": name["name"], "matchResources": here},
        },
    ]  # fmt: skip


def _takes_effect(lab: Lab, namespace: str, pod: str, image: str) -> bool:
    body = {"spec": {"ephemeralContainers": [{"name": "probe", "image": "busybox:1.36"}]}}
    answer = lab.kubectl(
        "patch", "pod", pod, "-n", namespace, "--subresource=ephemeralcontainers",
        "--dry-run=server", "-o", "json", "--patch", json.dumps(body),
    )  # fmt: skip
    return bool(json.loads(answer)["spec"]["ephemeralContainers"][0]["image"] == image)


@contextmanager
def swapped(lab: Lab, namespace: str, pod: str, image: str) -> Iterator[None]:
    documents = _documents(namespace, image)
    lab.put(*documents)
    try:
        until(
            lambda: _takes_effect(lab, namespace, pod, image),
            "the admission policy has no effect",
            every_seconds=1,
        )
        yield
    finally:
        for document in documents:
            lab.kubectl("delete", document["kind"], f"swap-{namespace}")


def test_s44_another_image_than_the_digest_that_was_asked_for_is_not_believed(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Admission put it there: what it said is kept and answers nothing; a command is not run in
    it. The right digest is believed."""
    lab.images("busybox", "python")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    (pod,) = pm.pods(lab, namespace)
    pinned = pod.status.container_statuses[0].image_id
    name = pod.metadata.name
    steps = [{"name": "say", "script": "echo all is well"}]
    rule = {"id": "say", "when": "steps.say.exitCode == 0", "severity": "critical", "message": "x"}
    path = pm.playbook(
        tmp_path, steps, debugger={"image": pinned},
        findings=[{**rule, "title": "t", "remediation": "r"}],
    )  # fmt: skip
    good = pm.run(lab, namespace, path, directory=tmp_path / "good")
    assert [each["rule"] for each in good.report["findings"]] == ["say"]

    with swapped(lab, namespace, name, "python:3"):
        bad = pm.run(lab, namespace, path, directory=tmp_path / "bad")
        told = shell(lab, namespace, name, "--image", pinned, "--command", "echo ran")
    (found,) = bad.report["pods"]
    ran, node = found["injections"][0]["imageId"], found["node"]
    why = f"container {found['container']}: node {node} ran {ran}, not {pinned}"
    assert bad.code == 1
    assert "library/python@sha256:" in ran
    assert (found["outcome"], found["reason"], found["message"]) == ("unknown", "Tampered", why)
    (step,) = found["steps"]
    assert (step["outcome"], step["reason"], step["exitCode"]) == ("error", "Tampered", None)
    assert (step["stdout"], bad.report["findings"]) == ("all is well\n", [])
    assert {each["subject"] for each in bad.report["notEvaluated"]} == {"rule say", "step say"}
    assert (told.returncode, told.stdout) == (125, b"")
    assert f"node {node} ran {ran}, not {pinned} (Tampered)" in told.stderr.decode()


def test_a_tag_that_is_moved_in_mid_run_is_said(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """What it was for the first pod is what it is for the run: the next one, which ran something
    else, is not called healthy, and keeps what it said."""
    lab.images("busybox", "python")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2))
    pm.wait_ready(lab, namespace, "web")
    tag = f"podmedic.test/{namespace}:1"
    lab.tag("busybox", tag)
    path = pm.playbook(
        tmp_path, [{"name": "say", "script": "sleep 4; echo done", "timeoutSeconds": 30}],
        debugger={"image": tag, "imagePullPolicy": "Always"},
    )  # fmt: skip
    out = tmp_path / "out"
    sweep = pm.start_run(lab, namespace, path, "--max-in-flight=1", directory=out)
    until(
        lambda: any(
            status.state.running
            for pod in pm.pods(lab, namespace)
            for status in pod.status.ephemeral_container_statuses
        ),
        "the first container does not run",
    )
    lab.tag("python", tag)
    _, stderr = sweep.communicate(timeout=90)

    assert sweep.returncode == 1, stderr
    report = json.loads((out / "report.json").read_bytes())
    first, second = sorted(report["pods"], key=lambda pod: str(pod["injections"][0]["startedAt"]))
    assert (first["outcome"], first["reason"]) == ("passed", "")
    was, ran = (pod["injections"][0]["imageId"] for pod in (first, second))
    why = (
        f"container {second['container']}: node {second['node']} ran {ran}, not "
        f"{tag}@{was.partition('@')[2]}, which {tag} was for the first pod of this run; name the "
        "image by its digest"
    )
    assert (second["outcome"], second["reason"]) == ("warned", "ImageDiffers")
    assert second["message"] == why
    assert [step["stdout"] for pod in (first, second) for step in pod["steps"]] == ["done\n"] * 2
