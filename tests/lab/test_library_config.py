"""The playbook config-drift on a pod whose ConfigMap was changed, and on one whose was not."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_library_disk import said_of, steps_of
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import PATIENCE_SECONDS, until

EXPECTED = {
    "drifted": {"subpath-outdated", "variable-outdated", "configuration-changed-since-start"},
    "quiet": set[str](),
}


def config(name: str, level: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"LEVEL": level, "app.conf": f"level = {level}\n"},
    }


def wait_brought(lab: Lab, namespace: str, name: str, word: str) -> None:
    """Until the kubelet has brought the change into the volume, which takes a minute or two."""
    show = f"for i in 1 2 3 4 5 6 7 8 9 10; do grep -q {word} /conf/app.conf && exit; sleep 1; done; exit 1"

    def is_there() -> bool:
        return "there" in lab.kubectl(
            "exec", "-n", namespace, f"deploy/{name}", "--", "sh", "-c", f"({show}) && echo there || true"
        )  # fmt: skip

    until(is_there, "the kubelet does not bring the change", 2 * PATIENCE_SECONDS)


def test_configuration_that_the_container_does_not_have(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, config("drifted", "debug"), config("quiet", "info"))
    for name in EXPECTED:
        one_file = {"name": "conf", "mountPath": "/etc/app.conf", "subPath": "app.conf"}
        mounts = [{"name": "conf", "mountPath": "/conf"}]
        container = {
            "volumeMounts": [*mounts, one_file] if name == "drifted" else mounts,
            "env": [
                {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": name, "key": "LEVEL"}}}
            ],
            # Ready when a change is a change since its start, which can be awaited.
            "readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 65},
        }
        volumes = [{"name": "conf", "configMap": {"name": name}}]
        pm.apply(
            lab, namespace,
            pm.deployment(name, SLEEP, container=container, spec={"volumes": volumes}),
        )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED)
    pm.apply(lab, namespace, config("drifted", "hunter2"))
    wait_brought(lab, namespace, "drifted", "hunter2")
    run = pm.run(lab, namespace, "config-drift", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(EXPECTED)) == EXPECTED, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    texts = {f["rule"]: f["message"] for f in run.report["findings"]}
    assert "mounts /etc/app.conf by subPath" in texts["subpath-outdated"]
    assert "another value of LEVEL" in texts["variable-outdated"]
    assert "hunter2" not in (run.directory / "report.json").read_text()


def test_an_ill_pod_beside_a_healthy_one(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The second of two pods got another ConfigMap, and is not ready with it."""
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, config("good", "info"), config("bad", "debug"))
    probe = {"exec": {"command": ["grep", "-q", "info", "/conf/app.conf"]}, "periodSeconds": 1}
    container = {
        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}],
        "readinessProbe": probe,
    }

    def web(name: str) -> dict[str, Any]:
        volumes = [{"name": "conf", "configMap": {"name": name}}]
        of = pm.deployment("web", SLEEP, container=container, spec={"volumes": volumes})
        of["spec"] |= {
            "serviceName": "web",
            "replicas": 2,
            "updateStrategy": {"rollingUpdate": {"partition": 1}},
        }
        return of | {"kind": "StatefulSet"}

    pm.apply(lab, namespace, web("good"))
    lab.kubectl("rollout", "status", "statefulset/web", "-n", namespace, "--timeout=180s")
    before = lab.kubectl("get", "pod", "web-1", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    pm.apply(lab, namespace, web("bad"))
    lab.kubectl("wait", "pod/web-1", "-n", namespace, "--for=delete", "--timeout=180s")
    lab.kubectl("wait", "pod/web-1", "-n", namespace, "--for=create", "--timeout=180s")
    lab.kubectl(
        "wait", "pod/web-1", "-n", namespace, "--timeout=180s",
        "--for=jsonpath={.status.containerStatuses[0].started}=true",
    )  # fmt: skip
    assert before != lab.kubectl(
        "get", "pod", "web-1", "-n", namespace, "-o", "jsonpath={.metadata.uid}"
    )
    run = pm.run(lab, namespace, "config-drift", directory=tmp_path / "out")
    found = {
        (f["rule"], f["message"], tuple(p["name"] for p in f["pods"]))
        for f in run.report["findings"]
    }
    message = (
        "The file /conf/{} that container app mounts is another one than in healthy pods of "
        "StatefulSet web."
    )
    assert found == {
        ("configuration-differs", message.format(name), ("web-1",))
        for name in ("LEVEL", "app.conf")
    }, steps_of(run.report)


def test_one_name_for_two_images(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The tag was moved before the second pod pulled it, and what it got is not ready."""
    lab.images("busybox", "debian", "tools")
    reference = f"moving:{namespace}"
    lab.tag("busybox", reference)
    container = {
        "imagePullPolicy": "Always",
        "readinessProbe": {"exec": {"command": ["test", "-e", "/bin/busybox"]}, "periodSeconds": 1},
    }
    web = pm.deployment("web", SLEEP, image=reference, container=container)
    web["spec"] |= {"serviceName": "web", "replicas": 2}
    pm.apply(lab, namespace, web | {"kind": "StatefulSet"})
    lab.kubectl("rollout", "status", "statefulset/web", "-n", namespace, "--timeout=180s")
    quiet = pm.run(lab, namespace, "config-drift", directory=tmp_path / "before")
    assert quiet.report["findings"] == []
    lab.tag("debian", reference)
    # Returns when it is gone.
    lab.kubectl("delete", "pod", "web-1", "-n", namespace, "--timeout=60s")
    lab.kubectl("wait", "pod/web-1", "-n", namespace, "--for=create", "--timeout=180s")
    lab.kubectl(
        "wait", "pod/web-1", "-n", namespace, "--timeout=180s",
        "--for=jsonpath={.status.containerStatuses[0].started}=true",
    )  # fmt: skip
    run = pm.run(lab, namespace, "config-drift", directory=tmp_path / "out")
    assert [(f["rule"], [p["name"] for p in f["pods"]]) for f in run.report["findings"]] == [
        ("image-differs", ["web-1"])
    ], steps_of(run.report)
