"""Pods as people have them, by the numbers of docs/scenarios.md: what no other file here is about."""

import json
import re
import subprocess
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import wait_injected
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_enterable

STEP = [{"name": "who", "run": ["id", "-u"]}]


def run_one(
    lab: Lab, namespace: str, folder: Path, steps: list[dict[str, Any]], **debugger: Any
) -> dict[str, Any]:
    """The one pod's result."""
    folder.mkdir(exist_ok=True)
    path = pm.playbook(folder, steps, debugger={"image": "busybox:1.36", **debugger})
    run = pm.run(lab, namespace, path, directory=folder / "out")
    (pod,) = run.report["pods"]
    return dict(pod)


def patches(lab: Lab, namespace: str, offset: int) -> list[dict[str, Any]]:
    """Those of the namespace: others may be at work in the same lab."""
    return [
        event for event in lab.requests(offset, "podmedic/")
        if event["verb"] == "patch" and event["objectRef"].get("namespace") == namespace
    ]  # fmt: skip


def _bare(name: str, **spec: Any) -> dict[str, Any]:
    app = {"name": "app", "image": "busybox:1.36", "command": ["sh", "-c", SLEEP]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [app], "terminationGracePeriodSeconds": 1, **spec},
    }  # fmt: skip


def _init(name: str, script: str) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.36", "command": ["sh", "-c", script]}


def test_s08_a_user_is_named_where_root_is_forbidden(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """The debugger's image is root's; kubectl debug's own profiles would not start there. A
    playbook that cannot run leaves another alone: the reason of one is not said of the other."""
    lab.images("busybox")
    context = {"runAsNonRoot": True, "runAsUser": 1000}
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, spec={"securityContext": context}))
    pm.wait_ready(lab, namespace, "web")
    root = {"image": "busybox:1.36", "profile": "baseline", "securityContext": {"runAsUser": 0}}
    auto = {"image": "busybox:1.36", "profile": "auto"}
    paths = []
    for name, debugger in (("root", root), ("plain", auto)):
        (tmp_path / name).mkdir()
        path = pm.playbook(tmp_path / name, STEP, debugger=debugger)
        path.write_text(path.read_text().replace('"name": "probe"', f'"name": "{name}"'))
        paths.append(path)
    run = pm.run(lab, namespace, *paths, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert (pod["outcome"], pod["reason"]) == ("error", "CreateContainerConfigError")
    assert "runAsNonRoot" in pod["message"]
    assert [(s["playbook"], s["outcome"], s["reason"], s["stdout"]) for s in pod["steps"]] == [
        ("root", "not-evaluated", "CreateContainerConfigError", ""),
        ("plain", "passed", "", "1000\n"),
    ]
    # Known before: the pod did not have to carry it.
    assert [len(names) for names in pm.ephemeral_containers(lab, namespace).values()] == [1]


def test_s10_what_is_refused_to_one_pod_is_not_tried_on_its_siblings(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """One request for all pods of a revision, and no pod is changed. The level came after the
    pods: whatever ours is like, they offend."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2), _bare("alone"))
    pm.wait_ready(lab, namespace, "web")
    pm.wait_pod(lab, namespace, "alone")
    pm.enforce(lab, namespace, "restricted")
    path = pm.playbook(tmp_path, STEP, debugger={"image": "busybox:1.36"})
    before = [pod.metadata.resource_version for pod in pm.pods(lab, namespace)]
    offset = lab.audit_offset()
    run = pm.run(lab, namespace, path, directory=tmp_path / "out")
    asked = Counter(event["objectRef"]["name"][:4] for event in patches(lab, namespace, offset))
    assert asked == {"web-": 1, "alon": 1}
    assert {(pod["outcome"], pod["reason"]) for pod in run.report["pods"]} == {
        ("error", "PodSecurity")
    }
    assert all('violates PodSecurity "restricted' in p["message"] for p in run.report["pods"])
    assert [pod.metadata.resource_version for pod in pm.pods(lab, namespace)] == before
    assert run.code == 1


def test_s12_a_command_that_the_image_does_not_have_is_terminal(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Told from the runtime's words, long before the start time-out; nothing is sent twice."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    pod = run_one(
        lab, namespace, tmp_path, STEP, command=["/no/such/sh", "-c"], strategy=["shared"]
    )
    # The kubelet says the first while it is at it and the second for good.
    assert pod["outcome"] == "error"
    assert pod["reason"] in ("RunContainerError", "StartError")
    assert "/no/such/sh" in pod["message"]
    assert pod["steps"][0]["outcome"] == "not-evaluated"
    assert [len(names) for names in pm.ephemeral_containers(lab, namespace).values()] == [1]


def test_s20_s54_pods_that_are_still_initialising_are_reached(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """One whose init container crash loops, one whose init container runs: the latter is
    entered. The kubelet says PodInitializing of our container, and it starts all the same."""
    lab.images("busybox")
    look = [{"name": "look", "script": "tr '\\0' ' ' </proc/1/cmdline", "needs": {"target": True}}]
    pm.apply(
        lab, namespace,
        _bare("waits", initContainers=[_init("prepare", f": marker; {SLEEP}")]),
        _bare("fails", initContainers=[_init("prepare", "exit 1")]),
    )  # fmt: skip
    path = pm.playbook(tmp_path, [*STEP, *look])
    wait_enterable(lab, namespace, "waits")
    run = pm.run(lab, namespace, path, directory=tmp_path / "out")
    seen = {
        pod["name"]: (
            pod["strategy"],
            [(step["outcome"], step["reason"]) for step in pod["steps"]],
            "marker" in pod["steps"][-1]["stdout"],
        )
        for pod in run.report["pods"]
    }
    assert seen == {
        "fails": ("shared", [("passed", ""), ("not-evaluated", "TargetNotRunning")], False),
        "waits": ("target", [("passed", ""), ("passed", "")], True),
    }


def test_s26_a_rolling_update_in_mid_run_costs_its_pods_and_no_more(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=3))
    pm.wait_ready(lab, namespace, "web")
    slow = pm.playbook(tmp_path, [{"name": "slow", "run": ["sleep", "20"], "timeoutSeconds": 60}])
    out = tmp_path / "out"
    process = pm.start_run(
        lab, namespace, slow, "--max-per-workload=0", "--no-canary", directory=out
    )
    try:
        wait_injected(lab, namespace, process, out, 3)
        old = {pod.metadata.name for pod in pm.pods(lab, namespace)}
        asked_at = datetime.now(UTC)
        lab.kubectl("set", "env", "deployment/web", "-n", namespace, "RELEASE=2")
        _, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    window = datetime.now(UTC) - asked_at + timedelta(seconds=4)
    pods = json.loads((out / "report.json").read_bytes())["pods"]
    assert {pod["name"] for pod in pods} == old
    outcomes = {(pod["outcome"], pod["reason"]) for pod in pods}
    assert outcomes <= {("unknown", "PodGone"), ("passed", "")} and len(outcomes) > 0
    for pod in (pod for pod in pods if pod["outcome"] == "unknown"):
        told = re.fullmatch(
            r"the pod was deleted at (\d\d:\d\d:\d\d) UTC, before its result was read",
            pod["message"],
        )
        assert told is not None, pod["message"]
        # Of the day nothing is said: how long after the change was asked for, over midnight too.
        at = datetime.combine(asked_at.date(), time.fromisoformat(told[1]), UTC)
        after = (at - asked_at + timedelta(seconds=2)) % timedelta(days=1)
        assert after <= window, (pod["message"], asked_at)
        assert {(s["reason"], s["message"]) for s in pod["steps"]} == {("PodGone", told[0])}
    assert "Traceback" not in errors


def test_s50_the_default_container_is_the_target_and_one_that_is_not_there_is_no_422(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox")
    sidecar = {"name": "first", "image": "busybox:1.36", "command": ["sh", "-c", SLEEP]}
    app = {"name": "second", "image": "busybox:1.36", "command": ["sh", "-c", SLEEP]}
    pod = _bare("two", containers=[sidecar, app])
    pod["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "second"}
    pm.apply(lab, namespace, pod)
    pm.wait_pod(lab, namespace, "two")
    path = pm.playbook(tmp_path, STEP)
    wait_enterable(lab, namespace, "two")
    entered = []
    for number, targets in enumerate(({}, {"container": "first"}, {"container": "no-such"})):
        path = pm.playbook(tmp_path, STEP, targets=targets)
        run = pm.run(lab, namespace, path, directory=tmp_path / str(number))
        (result,) = run.report["pods"]
        assert result["outcome"] == "passed", result
        entered.append(result["injections"][0]["targetContainerName"])
    assert entered == ["second", "first", "second"]


def _lonely(lab: Lab, namespace: str, node: str, name: str = "lonely", **spec: Any) -> None:
    """A pod that runs by somebody's word; no kubelet looks at it."""
    pm.apply(lab, namespace, _bare(name, nodeName=node, **spec))
    ready = [{"type": "Ready", "status": "True"}]
    _patch_status(
        lab, "pod", name, namespace, phase="Running", conditions=ready, podIP="10.99.99.99"
    )


def _patch_status(lab: Lab, kind: str, name: str, namespace: str, **status: Any) -> None:
    patch = f"--patch={json.dumps({'status': status})}"
    where = ("-n", namespace, "--subresource=status", "--type=merge")
    lab.kubectl("patch", kind, name, *where, patch)


def test_s45_a_node_that_never_looks_is_said(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """As on a virtual node that nobody knows for one."""
    _lonely(lab, namespace, "virtual-1")
    path = pm.playbook(tmp_path, STEP, debugger={"image": "busybox:1.36"})
    run = pm.run(lab, namespace, path, "--start-timeout=3", directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert (pod["outcome"], pod["reason"], pod["message"]) == (
        "timeout",
        "NotSeenByKubelet",
        (
            "the kubelet of node virtual-1 did not look at the pod within 3.0 s: it needs longer, or the "
            "node is not ready, overloaded or virtual"
        ),
    )


def test_s45_a_pod_on_a_node_that_is_not_ready_is_given_nothing(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """What would never start is not sent: it could not be removed again."""
    dark = f"dark-{namespace}"
    lab.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": dark}})
    try:
        dead = [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]
        _patch_status(lab, "node", dark, namespace, conditions=dead)
        _lonely(lab, namespace, dark)
        pod = run_one(lab, namespace, tmp_path, STEP)
    finally:
        lab.kubectl("delete", "node", dark)
    assert (pod["outcome"], pod["reason"], pod["message"]) == (
        "error",
        "NodeNotReady",
        f"node {dark} is not Ready (KubeletNotReady): its kubelet starts nothing",
    )
    assert [len(names) for names in pm.ephemeral_containers(lab, namespace).values()] == [0]


def test_s43_pods_of_windows_get_nothing(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """One says so itself, of the other only its node does: no PATCH, nor a dry run. There is no
    Windows kubelet here, and none is needed to see that nothing is sent."""
    node = f"windows-{namespace}"
    lab.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    try:
        ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        info = json.loads(lab.kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]
        info = {**info["nodeInfo"], "operatingSystem": "windows"}
        _patch_status(lab, "node", node, namespace, conditions=ready, nodeInfo=info)
        _lonely(lab, namespace, node, "by-node")
        _lonely(lab, namespace, node, "by-itself", os={"name": "windows"})
        path = pm.playbook(tmp_path, STEP, debugger={"image": "busybox:1.36"})
        offset = lab.audit_offset()
        run = pm.run(lab, namespace, path, directory=tmp_path / "out")
        verbs = {
            event["verb"] for event in lab.requests(offset, "podmedic/")
            if event["objectRef"].get("namespace") == namespace
        }  # fmt: skip
        ahead = pm.podmedic(
            lab, "preflight", path, "-n", namespace, "-o", "json", directory=tmp_path / "out"
        )
    finally:
        lab.kubectl("delete", "node", node)
    by_node = f"node {node} runs Windows: the debugger images are for Linux"
    by_itself = "the debugger images are for Linux"
    assert [(p["name"], p["outcome"], p["reason"], p["message"]) for p in run.report["pods"]] == [
        ("by-itself", "skipped", "Windows", by_itself),
        ("by-node", "error", "Windows", by_node),
    ]
    rows = json.loads(ahead.stdout)["pods"]
    assert sorted((row["name"], row["verdict"], row["message"]) for row in rows) == [
        ("by-itself", "will-not-start", by_itself),
        ("by-node", "will-not-start", by_node),
    ]
    assert verbs <= {"get", "list", "watch"}


def test_s30_a_step_that_fills_the_disk_does_not_get_the_pod_evicted(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Its writable layer counts against the pod's limit of ephemeral storage."""
    lab.images("busybox")
    limits = {"resources": {"limits": {"ephemeral-storage": "100Mi"}}}
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, container=limits))
    pm.wait_ready(lab, namespace, "web")
    steps: list[dict[str, Any]] = [
        {"name": "fill", "script": "head -c 1000000000 /dev/zero >/tmp/fill; echo after"},
        # As long as the kubelet may take to look at what pods use.
        {"name": "stay", "script": "wc -c </tmp/fill; sleep 25", "timeoutSeconds": 40},
    ]
    pod = run_one(lab, namespace, tmp_path, steps)
    assert pod["outcome"] == "passed", pod
    fill, stay = pod["steps"]
    assert (fill["stdout"], stay["stdout"]) == ("after\n", f"{100 * 1024 * 1024 // 4}\n")
    (now,) = pm.pods(lab, namespace)
    assert (now.metadata.name, now.status.phase) == (pod["name"], "Running")
    assert pod["harm"]["verdict"] == "unchanged", pod["harm"]
