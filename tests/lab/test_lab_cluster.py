"""The lab is a Kubernetes that works."""

import json
import subprocess
import sys
import time

from lab import daemons
from lab.cluster import status
from lab.handle import Lab
from tests.lab import podmedic as pm

_POD = """
apiVersion: v1
kind: Pod
metadata: {name: %(name)s, namespace: %(namespace)s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: %(image)s
      command: [sh, -c, %(script)s]
"""


def _pod(lab: Lab, namespace: str, name: str, script: str, image: str = "busybox:1.36") -> None:
    values = {"name": name, "namespace": namespace, "image": image, "script": json.dumps(script)}
    lab.apply(_POD % values)


def _run(lab: Lab, namespace: str, name: str, script: str) -> str:
    """What a script printed in a pod, which must have succeeded."""
    _pod(lab, namespace, name, script)
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    lab.kubectl("wait", "-n", namespace, succeeded, f"pod/{name}", "--timeout=180s")
    return lab.kubectl("logs", "-n", namespace, name)


def _command(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", "--name", lab.layout.name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_pod_runs_and_finds_the_api_server_by_name(lab: Lab, namespace: str) -> None:
    printed = _run(
        lab,
        namespace,
        "finder",
        "nslookup kubernetes.default.svc.cluster.local | tail -n +4 | grep Address\n"
        "nc -w 5 kubernetes.default.svc.cluster.local 443 </dev/null && echo connected",
    )

    assert printed.split() == ["Address:", "10.96.0.1", "connected"]


def test_a_pod_reaches_another_through_a_service(lab: Lab, namespace: str) -> None:
    _pod(lab, namespace, "server", "echo hello >index.html; httpd -f -p 80")
    lab.kubectl("label", "-n", namespace, "pod/server", "app=server")
    lab.kubectl("expose", "-n", namespace, "pod/server", "--port=80")
    pm.wait_pod(lab, namespace, "server")

    printed = _run(
        lab,
        namespace,
        "client",
        "for i in $(seq 50); do timeout 3 wget -qO- http://server && exit; sleep 0.2; done",
    )

    assert printed == "hello\n"


def test_the_world_outside_is_neither_found_nor_reached(lab: Lab, namespace: str) -> None:
    printed = _run(
        lab,
        namespace,
        "prisoner",
        "nslookup example.com | grep -c NXDOMAIN\n"
        "timeout 5 wget -qO- http://198.51.100.1 2>&1 | grep -o 'No route to host'",
    )

    assert printed.split("\n") == ["2", "No route to host", ""]


def test_a_missing_image_is_the_kubelets_own_error(lab: Lab, namespace: str) -> None:
    _pod(lab, namespace, "missing", "true", image="ghcr.io/nobody/nothing:1")

    waiting = "{.status.containerStatuses[0].state.waiting.reason}"
    lab.kubectl(
        "wait", "-n", namespace, f"--for=jsonpath={waiting}", "pod/missing", "--timeout=180s"
    )
    events = "reason=Failed,involvedObject.name=missing"
    deadline = time.monotonic() + 60
    while "ErrImagePull" not in (
        printed := lab.kubectl("get", "events", "-n", namespace, "--field-selector", events)
    ):
        assert time.monotonic() < deadline, printed
        time.sleep(0.5)

    assert "ghcr.io/nobody/nothing:1: not found" in printed


def test_up_again_starts_nothing_twice(lab: Lab) -> None:
    before = {name: daemons.running(lab.layout, name) for name in daemons.started(lab.layout)}

    done = _command(lab, "up")

    after = {name: daemons.running(lab.layout, name) for name in daemons.started(lab.layout)}
    assert (done.returncode, after) == (0, before)
    assert None not in after.values()


def test_status_is_a_table_and_an_exit_code(lab: Lab) -> None:
    done = _command(lab, "status")

    expected = [
        "containerd",
        "docker-registry",
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubelet",
    ]
    rows = [line.split("  ")[0] for line in done.stdout.splitlines() if "kwok" not in line]
    assert rows == [*expected, "node Ready", "cluster DNS answers"]
    assert done.returncode == 0
    assert status(lab.layout).up


def test_env_is_what_a_shell_needs(lab: Lab) -> None:
    script = f'eval "$({sys.executable} -m lab --name {lab.layout.name} env)" && env'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["KUBECONFIG"] == str(lab.kubeconfig)
    assert found["LAB_AUDIT_LOG"] == str(lab.audit_log)
    assert found["LAB_STATE"] == str(lab.layout.state)
    assert found["LAB_API"] == lab.api
    assert found["LAB_REGISTRY"] == lab.registry


def test_kubectl_takes_its_own_options(lab: Lab) -> None:
    done = _command(lab, "kubectl", "get", "nodes", "lab-node", "--output=name")

    assert (done.returncode, done.stdout) == (0, "node/lab-node\n")


def test_the_audit_log_counts_each_request_once(lab: Lab, namespace: str) -> None:
    offset = lab.audit_offset()

    lab.kubectl("get", "configmaps", "-n", namespace)
    lab.kubectl("get", "pods", "-n", namespace, "--watch", "--request-timeout=1s")

    seen = [
        (event["verb"], event["objectRef"]["resource"], event["stage"])
        for event in lab.requests(offset, "kubectl/")
    ]
    assert seen == [
        ("list", "configmaps", "ResponseComplete"),
        ("list", "pods", "ResponseComplete"),
        ("watch", "pods", "ResponseComplete"),
    ]


def test_a_name_that_cannot_be_a_lab_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "--name", "../etc", "up"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr == (
        "lab: lab name '../etc': expected 1 to 20 of a-z, 0-9 and -, no - at the ends\n"
    )
