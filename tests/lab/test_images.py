"""Every image of the lab starts under a real kubelet and does what it is there for."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

import runner
from lab import images
from lab.handle import Lab
from tests.lab import podmedic as pm

TOOLS = f"ghcr.io/podmedic/tools:{runner.__version__}"
RUNNER = f"ghcr.io/podmedic/runner:{runner.__version__}"

# What PodSecurity's level "restricted" asks for, and no file system to write to.
RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def restricted(lab: Lab) -> Iterator[str]:
    """A namespace where the API server refuses all that is not restricted."""
    with lab.namespace("images") as name:
        pm.enforce(lab, name, "restricted")
        yield name


def start(lab: Lab, namespace: str, name: str, image: str, **container: Any) -> None:
    lab.apply(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {"name": "it", "image": image, "imagePullPolicy": "Always", **container}
                    ],
                },
            }
        )
    )


def wait(lab: Lab, namespace: str, name: str, condition: str) -> None:
    lab.kubectl("wait", f"--for={condition}", f"pod/{name}", "-n", namespace, "--timeout=120s")


def output(lab: Lab, namespace: str, name: str, image: str, **container: Any) -> str:
    """What a container wrote that ends with exit code 0."""
    start(lab, namespace, name, image, **container)
    wait(lab, namespace, name, "jsonpath={.status.phase}=Succeeded")
    return lab.kubectl("logs", name, "-n", namespace)


def sh(script: str) -> dict[str, Any]:
    return {"command": ["sh", "-c", script]}


def test_pause(lab: Lab, namespace: str) -> None:
    start(lab, namespace, "pause", "registry.k8s.io/pause:3.10")
    wait(lab, namespace, "pause", "condition=Ready")
    started = time.monotonic()
    lab.kubectl("delete", "pod", "pause", "-n", namespace, "--grace-period=60", "--timeout=50s")
    assert time.monotonic() - started < 50  # it heeds SIGTERM: nobody waits for SIGKILL


def test_busybox(lab: Lab, namespace: str) -> None:
    said = output(
        lab,
        namespace,
        "busybox",
        "docker.io/library/busybox:1.36",
        **sh(
            "readlink /bin/sh; nslookup kubernetes.default.svc.cluster.local;"
            " timeout 3 wget -qO- http://kubernetes.default:80 2>&1 || echo code $?"
        ),
    )
    assert said.splitlines()[0] == "busybox"
    assert "10.96.0.1" in said
    assert said.splitlines()[-1].startswith("code ")


def test_debian_has_dash_and_no_busybox(lab: Lab, namespace: str) -> None:
    lab.images("debian:bookworm-slim")
    script = "readlink -f /bin/sh; command -v busybox; echo busybox: $?"
    said = output(lab, namespace, "debian", "debian:bookworm-slim", **sh(script))
    assert said == "/usr/bin/dash\nbusybox: 127\n"


# The option that makes a program say its version and end.
VERSIONS = {
    "sh": "-c :",
    "awk": "-W version",
    "base64": "--version",
    "curl": "--version",
    "cut": "--version",
    "df": "--version",
    "dig": "-v",
    "find": "--version",
    "free": "--version",
    "getent": "--version",
    "grep": "--version",
    "gzip": "--version",
    "ip": "-V",
    "jq": "--version",
    "lsns": "--version",
    "nc": "-h",
    "nsenter": "--version",
    "openssl": "version",
    "ps": "--version",
    "py-spy": "--version",
    "python3": "--version",
    "sed": "--version",
    "setpriv": "--version",
    "sha256sum": "--version",
    "ss": "-V",
    "stat": "--version",
    "strace": "--version",
    "tcpdump": "--version",
    "timeout": "--version",
    "top": "-v",
    "xargs": "--version",
}


def test_every_tool_runs_as_nobody_in_particular(lab: Lab, restricted: str) -> None:
    lab.images(TOOLS)
    lines = [
        f"{tool} {option} >/dev/null 2>&1; echo {tool} $?" for tool, option in VERSIONS.items()
    ]
    script = "\n".join(["echo $(id -u):$(id -g)", *lines])
    said = output(lab, restricted, "tools", TOOLS, securityContext=RESTRICTED, **sh(script))
    assert said.splitlines() == ["65532:65532", *(f"{name} 0" for name in VERSIONS)]


def test_the_runner_runs_on_a_read_only_root(lab: Lab, restricted: str) -> None:
    lab.images(RUNNER)
    version = output(
        lab, restricted, "version", RUNNER, args=["--version"], securityContext=RESTRICTED
    )
    assert runner.__version__ in version
    playbooks = output(lab, restricted, "list", RUNNER, args=["list"], securityContext=RESTRICTED)
    assert "crashloop" in playbooks
    who = output(
        lab,
        restricted,
        "who",
        RUNNER,
        command=["sh", "-c", "id -u; touch /x 2>/dev/null || echo read-only"],
        securityContext=RESTRICTED,
    )
    assert who == "65532\nread-only\n"


READY_WHEN: dict[str, dict[str, Any]] = {
    "nginx:1.27": {"readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1}},
    "redis:7": {"readinessProbe": {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1}},
    "postgres:16": {
        "env": [{"name": name, "value": "x"} for name in ("POSTGRES_PASSWORD", "PGPASSWORD")],
        "readinessProbe": {
            "exec": {"command": ["psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "select 1"]},
            "periodSeconds": 1,
        },
    },
}


@pytest.mark.parametrize("image", READY_WHEN)
def test_sample_servers_serve(lab: Lab, namespace: str, image: str) -> None:
    lab.images(image)
    start(lab, namespace, "sample", image, **READY_WHEN[image])
    wait(lab, namespace, "sample", "condition=Ready")


def test_postgres_asks_for_a_password(lab: Lab, namespace: str) -> None:
    lab.images("postgres:16")
    start(lab, namespace, "postgres", "postgres:16")
    wait(lab, namespace, "postgres", "jsonpath={.status.phase}=Failed")
    assert "You must specify POSTGRES_PASSWORD" in lab.kubectl("logs", "postgres", "-n", namespace)


@pytest.mark.parametrize("tag", ["3", "3.12-slim"])
def test_python(lab: Lab, namespace: str, tag: str) -> None:
    lab.images(f"python:{tag}")
    code = "import asyncio, http.server, json, sqlite3, ssl; print(json.dumps(ssl.HAS_TLSv1_3))"
    command = ["python", "-c", code]
    assert output(lab, namespace, "python", f"python:{tag}", command=command) == "true\n"


def test_a_missing_image_is_refused_by_the_registry(lab: Lab, namespace: str) -> None:
    start(lab, namespace, "missing", "ghcr.io/shop/web:v42")
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    wait(lab, namespace, "missing", f"{reason}=ErrImagePull")
    events = lab.kubectl("get", "events", "-n", namespace, "-o", "jsonpath={.items[*].message}")
    assert "ghcr.io/shop/web:v42: not found" in events


def test_what_is_pushed_is_not_pushed_again(lab: Lab) -> None:
    def tags() -> dict[str, int]:
        """The registry writes this file whenever a tag is pushed."""
        stored = lab.layout.cache / "registry/docker/registry/v2/repositories"
        links = stored.glob("library/busybox/_manifests/tags/*/current/link")
        return {link.parent.parent.name: link.stat().st_mtime_ns for link in links}

    lab.images(*images.BASE)
    before = tags()
    assert before.keys() >= {"1.36", "latest"}
    lab.images(*images.BASE)
    assert tags() == before
