"""The whole ephemeral container, as a playbook sets it and as the API server keeps it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_images import RESTRICTED
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_enterable

SEE = {
    "name": "see",
    "script": "echo A=$A B=$B MODE=$MODE P_mode=$P_mode; pwd; id -u; cat /cm/mode; printf 'a\\r\\nb'",
}
PROFILES = ("general", "baseline", "restricted", "netadmin", "sysadmin")
LOOSE = """
apiVersion: podmedic.io/v1alpha1
kind: Policy
metadata: {name: loose}
spec:
  security:
    profiles: [restricted, general, baseline, netadmin, sysadmin]
    capabilities: [SYS_PTRACE, NET_ADMIN, NET_RAW]
    privileged: true
"""


def _ours(lab: Lab, namespace: str) -> list[dict[str, Any]]:
    """The ephemeral containers of the namespace's only pod, as the API server has them."""
    listed = json.loads(lab.kubectl("get", "pods", "-n", namespace, "-o", "json"))
    (pod,) = listed["items"]
    return list(pod["spec"].get("ephemeralContainers", []))


def _app(lab: Lab, namespace: str) -> None:
    lab.images("busybox")
    config = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"},
        "data": {"mode": "fast"},
    }  # fmt: skip
    app = pm.deployment("web", SLEEP)
    pod = app["spec"]["template"]["spec"]
    pod["volumes"] = [
        {"name": "cm", "configMap": {"name": "web"}},
        # Nothing mounts it: the pod runs, and must go on doing so.
        {"name": "ghost", "secret": {"secretName": "there-is-none"}},
    ]
    pod["containers"][0]["volumeMounts"] = [{"name": "cm", "mountPath": "/etc/web"}]
    pm.apply(lab, namespace, config, app)
    pm.wait_ready(lab, namespace, "web")


def test_s40_every_field_reaches_the_pod(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Steps see it, a terminal does not spoil what they say, and a volume that could stop the
    pod's restarts is left out and said."""
    _app(lab, namespace)
    debugger = {
        "image": "busybox:1.36",
        "namePrefix": "night-watch",
        "command": ["/bin/busybox", "sh", "-c"],
        "args": ["one"],
        "workingDir": "/cm",
        "profile": "baseline",
        "securityContext": {
            "runAsUser": 12, "runAsGroup": 34, "capabilities": {"drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
        },
        "env": [
            {"name": "A", "value": "1$(B)"},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "mode"}}},
            {"name": "MODE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "web"}}],
        "volumeMounts": [
            {"name": "cm", "mountPath": "/cm", "readOnly": True},
            {"name": "ghost", "mountPath": "/ghost"},
        ],
        "inherit": [],
        "stdin": True,
        "stdinOnce": True,
        "tty": True,
        "targetContainerName": "app",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }  # fmt: skip
    playbook = pm.playbook(tmp_path, [SEE], debugger=debugger)
    wait_enterable(lab, namespace)
    run = pm.run(lab, namespace, playbook, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    (step,) = pod["steps"]
    assert step["outcome"] == "passed", pod
    assert step["stdout"] == (f"A=1$(B) B=fast MODE={namespace} P_mode=fast\n/cm\n12\nfasta\r\nb")
    (injection,) = pod["injections"]
    assert injection["warnings"] == ["volume ghost left out: no container of the pod uses it"]
    (container,) = _ours(lab, namespace)
    assert container["name"].startswith("night-watch-")
    program = container["command"].pop()
    assert program.count("podmedic step program") == 1
    assert {k: v for k, v in container.items() if k not in ("name", "env")} == {
        "image": "busybox:1.36",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/busybox", "sh", "-c"],
        "args": ["sh", "one"],
        "workingDir": "/cm",
        "securityContext": debugger["securityContext"],
        "envFrom": debugger["envFrom"],
        "volumeMounts": [debugger["volumeMounts"][0]],  # type: ignore[index]
        "resources": {},
        "stdin": True,
        "stdinOnce": True,
        "tty": True,
        "targetContainerName": "app",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    assert pod["harm"]["verdict"] == "unchanged", pod["harm"]


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_those_of_kubectl_debug(
    lab: Lab, namespace: str, tmp_path: Path, profile: str
) -> None:
    """The same security context, but for the numeric user that kubectl forgets."""
    _app(lab, namespace)
    policy = tmp_path / "policy.yaml"
    policy.write_text(LOOSE)
    lab.kubectl(
        "debug", _pod_name(lab, namespace),
        "-n", namespace, "--image=busybox:1.36", f"--profile={profile}", "--container=kubectls",
        "--attach=false", "--", "true",
    )  # fmt: skip
    playbook = pm.playbook(
        tmp_path, [{"name": "a", "run": ["true"]}],
        debugger={"image": "busybox:1.36", "profile": profile, "strategy": ["shared"]},
    )  # fmt: skip
    run = pm.run(lab, namespace, playbook, "--policy", policy, directory=tmp_path / "out")
    assert run.report["pods"][0]["steps"][0]["outcome"] == "passed", run.report["pods"]
    contexts = {c["name"]: c.get("securityContext", {}) for c in _ours(lab, namespace)}
    theirs = contexts.pop("kubectls")
    (ours,) = contexts.values()
    user = {key: ours.pop(key) for key in ("runAsUser", "runAsGroup") if key in ours}
    assert ours == theirs
    assert user == ({"runAsUser": 65532, "runAsGroup": 65532} if profile == "restricted" else {})


def _pod_name(lab: Lab, namespace: str) -> str:
    return lab.kubectl("get", "pods", "-n", namespace, "-o", "name").strip()


LOOK = [
    {
        "name": "look",
        "script": 'ls "$PODMEDIC_ROOT/etc/passwd"',
        "needs": {"target": True, "image": True},
    }
]
ROOT = {"runAsUser": 0, "runAsGroup": 0}
PRIVATE = {**ROOT, "capabilities": {"add": ["NET_ADMIN"]}}
RUNS_AS_ROOT = "container app runs as root"


@pytest.mark.parametrize(
    ("level", "context", "profile", "why", "outcome"),
    [
        ("", ROOT, "baseline", f"{RUNS_AS_ROOT}, and a step looks into it", "passed"),
        ("baseline", ROOT, "baseline", f"{RUNS_AS_ROOT}, and a step looks into it", "passed"),
        ("", PRIVATE, "general",
         f"{RUNS_AS_ROOT} with added capabilities, and a step looks into it", "passed"),
        ("", {"runAsUser": 1000, "runAsGroup": 1000}, "restricted",
         "container app runs as user 1000", "passed"),
        ("", {}, "baseline", "container app is taken to run as root, and a step looks into it",
         "passed"),
    ],
)  # fmt: skip
def test_profile_auto_takes_the_least_that_works(
    lab: Lab, namespace: str, tmp_path: Path, level: str, context: dict[str, Any], profile: str,
    why: str, outcome: str,
) -> None:  # fmt: skip
    """What a step needs to see of a root target decides, within what the namespace enforces; the
    report says what it came to and why."""
    lab.images("busybox")
    app = pm.deployment("web", SLEEP)
    app["spec"]["template"]["spec"]["containers"][0]["securityContext"] = context
    pm.apply(lab, namespace, app)
    pm.wait_ready(lab, namespace, "web")
    if level:
        pm.enforce(lab, namespace, level)
    wait_enterable(lab, namespace)
    playbook = pm.playbook(tmp_path, LOOK, debugger={"image": "busybox:1.36", "profile": "auto"})
    run = pm.run(lab, namespace, playbook, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    (injection,) = pod["injections"]
    seen = (injection["profile"], injection["profileReason"], pod["steps"][0]["outcome"])
    assert seen == (profile, why, outcome), pod


@pytest.mark.parametrize(
    ("level", "profile", "bits", "missing"),
    [
        ("", "netadmin", [12, 13], {"tracer": "SYS_PTRACE"}),
        (
            "restricted",
            "restricted",
            [],
            {"capturer": "NET_ADMIN, NET_RAW", "tracer": "SYS_PTRACE"},
        ),
    ],
)
def test_a_step_has_the_capabilities_that_it_needs_or_says_why_not(
    lab: Lab, namespace: str, tmp_path: Path, level: str, profile: str, bits: list[int],
    missing: dict[str, str],
) -> None:  # fmt: skip
    """What the kernel says of a step's own process, not what was asked for."""
    lab.images("busybox")
    app = pm.deployment("web", SLEEP)
    spec = app["spec"]["template"]["spec"]
    spec["securityContext"] = {"runAsUser": 1000, "runAsNonRoot": bool(level)}
    spec["containers"][0]["securityContext"] = RESTRICTED if level else {}
    pm.apply(lab, namespace, app)
    pm.wait_ready(lab, namespace, "web")
    if level:
        pm.enforce(lab, namespace, level)
    effective = "sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status"
    steps = [
        {"name": name, "script": effective, "needs": {"capabilities": wanted}}
        for name, wanted in (
            ("capturer", ["NET_ADMIN", "NET_RAW"]), ("tracer", ["SYS_PTRACE"]), ("plain", []),
        )
    ]  # fmt: skip
    playbook = pm.playbook(tmp_path, steps, debugger={"image": "busybox:1.36", "profile": "auto"})
    run = pm.run(lab, namespace, playbook, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert pod["injections"][0]["profile"] == profile
    seen = {step["name"]: step for step in pod["steps"]}
    mask = int(seen["plain"]["stdout"], 16)
    assert [bit for bit in (12, 13, 19) if mask >> bit & 1] == bits
    assert {
        name: step["message"].removeprefix("needs ").partition(", which")[0]
        for name, step in seen.items()
        if step["outcome"] == "not-evaluated"
    } == missing


MOUNTED = r"""echo "$PODMEDIC_MOUNTS"
cat /etc/web/mode /data/left; echo
for where in /etc/web /data /scratch; do
  (echo x >"$where/ours") 2>/dev/null && echo "$where can be written"
done
[ ! -e /var/run/secrets ] || echo a token
"""


def test_s39_mounts_come_read_only_and_without_subpath_and_token(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """A volume of a claim, a ConfigMap, a scratch directory, one file by subPath, and the token that
    every pod has. The app's own mounts stay as they are."""
    lab.images("busybox")
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    size = {"storage": "1Mi"}
    volume = f"data-{namespace}"
    app = pm.deployment("web", f"echo kept >/data/left; {SLEEP}")
    pod = app["spec"]["template"]["spec"]
    pod["volumes"] = [
        {"name": "cm", "configMap": {"name": "web"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    pod["containers"][0]["volumeMounts"] = [
        {"name": "cm", "mountPath": "/etc/web"},
        {"name": "cm", "mountPath": "/app/mode", "subPath": "mode"},
        {"name": "data", "mountPath": "/data"},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
    pm.apply(
        lab, namespace, app,
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"},
            "data": {"mode": "fast"},
        },
        {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {**claim, "volumeName": volume, "resources": {"requests": size}},
        },
    )  # fmt: skip
    lab.apply(
        json.dumps(
            {
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
                "spec": {
                    **claim, "capacity": size,
                    "hostPath": {"path": f"/var/lib/{volume}", "type": "DirectoryOrCreate"},
                },
            }
        )
    )  # fmt: skip
    try:
        pm.wait_ready(lab, namespace, "web")
        playbook = pm.playbook(
            tmp_path, [{"name": "look", "script": MOUNTED}],
            debugger={"image": "busybox:1.36", "strategy": ["shared"]},
        )  # fmt: skip
        run = pm.run(lab, namespace, playbook, directory=tmp_path / "out")
        (container,) = _ours(lab, namespace)
    finally:
        lab.kubectl("delete", "pv", volume, "--wait=false")
    (result,) = run.report["pods"]
    (step,) = result["steps"]
    assert step["stdout"] == "/etc/web\n/data\n/scratch\nfastkept\n\n", result
    assert result["injections"][0]["warnings"] == [
        "mount /app/mode left out: subPath is not allowed in ephemeral containers"
    ]
    assert container["volumeMounts"] == [
        {"name": name, "mountPath": path, "readOnly": True}
        for name, path in (("cm", "/etc/web"), ("data", "/data"), ("scratch", "/scratch"))
    ]
    assert result["harm"]["verdict"] == "unchanged"
