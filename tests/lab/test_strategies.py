"""Every way of reaching a pod, on real pods: what it sees, and what is recorded of it."""

from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import journal_events, wait_injected
from tests.lab.test_sweep import CRASH
from tests.lab.waiting import wait_crashing, wait_enterable

LOOK = [
    {
        "name": "look",
        "script": 'cat "$PODMEDIC_ROOT/etc/os-release" | head -n 1; ls "$PODMEDIC_ROOT/usr/bin/python3"',
        "needs": {"image": True},
    }
]


def probe(folder: Path, *strategies: str, steps: list[dict[str, Any]] | None = None) -> Path:
    debugger = {"image": "busybox:1.36", "strategy": list(strategies)}
    return pm.playbook(folder, steps or LOOK, debugger=debugger)


def attempts(pod: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(a["strategy"], a["outcome"], a["reason"]) for a in pod["strategies"]]


def test_s16_s41_the_image_of_a_dead_container_is_read(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """A crash-looping container of another image than the debugger's: its own files are seen,
    by `auto`, without a pull, and why not `target` is recorded."""
    lab.images("busybox", "python")
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH, image="python:3"))
    wait_crashing(lab, namespace, "ledger", 1)
    run = pm.run(lab, namespace, probe(tmp_path, "auto"), directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert pod["steps"][0]["outcome"] == "passed", pod
    assert "/usr/bin/python3" in pod["steps"][0]["stdout"]
    assert attempts(pod) == [("target", "refused", "TargetNotRunning"), ("own-image", "used", "")]
    (injection,) = pod["injections"]
    assert injection["image"].startswith("python@sha256:")
    assert pod["strategies"][1]["container"] == injection["container"]


def test_s41_an_image_without_a_shell_is_told_and_the_next_strategy_taken(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox")
    pause = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"},
        "spec": {"containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10"}]},
    }  # fmt: skip
    pm.apply(lab, namespace, pause)
    pm.wait_pod(lab, namespace, "bare")
    steps: list[dict[str, Any]] = [*LOOK, {"name": "net", "run": ["cat", "/etc/resolv.conf"]}]
    path = probe(tmp_path, "own-image", "shared", steps=steps)
    run = pm.run(lab, namespace, path, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert [(s["name"], s["outcome"]) for s in pod["steps"]] == [
        ("look", "not-evaluated"), ("net", "passed"),
    ]  # fmt: skip
    assert attempts(pod) == [("own-image", "failed", "RunContainerError"), ("shared", "used", "")]
    assert "/bin/sh" in pod["strategies"][0]["message"]
    assert len(pod["injections"]) == 2


@pytest.mark.parametrize(
    ("spec", "who", "image"),
    [
        ({}, ("passed", ""), ("passed", "")),
        ({"shareProcessNamespace": True}, ("passed", ""), ("not-evaluated", "ImageOutOfReach")),
        (
            {"hostPID": True},
            ("not-evaluated", "NodeProcesses"),
            ("not-evaluated", "ImageOutOfReach"),
        ),
    ],
    ids=["own", "shared", "host"],
)
def test_s42_a_running_target_is_entered(
    lab: Lab, namespace: str, tmp_path: Path, spec: dict[str, Any],
    who: tuple[str, str], image: tuple[str, str],
) -> None:  # fmt: skip
    """With one PID namespace for the pod its processes are seen, but not by being the first: the
    image is out of reach there, and that is said. Ours outlives the app there."""
    lab.images("busybox")
    app = f"trap 'exit 3' TERM; : {namespace}; while :; do sleep 0.5; done"
    pm.apply(lab, namespace, pm.deployment("web", app, spec=spec))
    pm.wait_ready(lab, namespace, "web")
    end = f"""
        [ -z "$PODMEDIC_ROOT" ] || exit 0
        for dir in /proc/[0-9]*; do
          if tr '\\000' ' ' <"$dir/cmdline" 2>/dev/null | grep -q '[:] {namespace};'; then
            kill "${{dir#/proc/}}"
          fi
        done
        sleep 3; echo on
    """
    steps: list[dict[str, Any]] = [
        {
            "name": "who",
            "script": "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
            "needs": {"target": True},
        },
        {"name": "image", "script": 'ls "$PODMEDIC_ROOT/bin/sh"', "needs": {"image": True}},
        {"name": "end", "script": end},
    ]
    path = pm.playbook(
        tmp_path, steps, expectsChange=True,
        debugger={"image": "busybox:1.36", "strategy": ["target"], "profile": "general",
                  "securityContext": {"runAsUser": 0}},
    )  # fmt: skip
    wait_enterable(lab, namespace)
    run = pm.run(lab, namespace, path, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    seen = {step["name"]: (step["outcome"], step["reason"]) for step in pod["steps"]}
    assert attempts(pod) == [("target", "used", "")]
    assert seen == {"who": who, "image": image, "end": ("passed", "")}
    assert ("sleep" in pod["steps"][0]["stdout"]) == (who == ("passed", ""))
    told = [change["after"] for change in pod["harm"]["changes"] if "container" in change["what"]]
    survived = ["ended with exit code 3 (Error)"] if spec else []
    assert (pod["steps"][2]["stdout"], told) == ("on\n" if spec else "", survived)


def test_what_the_targets_death_cut_off_is_done_by_the_next_strategy(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """What was seen before is kept and runs no second time; what needs the target says why not."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", "trap 'exit 3' TERM; while :; do sleep 1; done"))
    pm.wait_ready(lab, namespace, "web")
    steps: list[dict[str, Any]] = [
        {"name": "first", "script": "cat /proc/1/comm; date +%s", "needs": {"target": True}},
        {
            "name": "end",
            "script": '[ -z "$PODMEDIC_ROOT" ] || { kill 1; sleep 60; }; echo on',
            "timeoutSeconds": 90,
        },
        {"name": "last", "run": ["true"], "needs": {"target": True}},
    ]
    context = {"runAsUser": 0, "runAsGroup": 0}
    debugger = {"image": "busybox:1.36", "profile": "baseline", "securityContext": context}
    path = pm.playbook(tmp_path, steps, debugger=debugger, expectsChange=True)
    wait_enterable(lab, namespace, "web")
    run = pm.run(lab, namespace, path, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert attempts(pod) == [("target", "used", "TargetDied"), ("shared", "used", "")], pod
    assert [(s["name"], s["outcome"], s["reason"]) for s in pod["steps"]] == [
        ("first", "passed", ""),
        ("end", "passed", ""),
        ("last", "not-evaluated", "TargetDied"),
    ]
    assert [s["stdout"].split()[0] for s in pod["steps"][:2]] == ["sh", "on"]
    assert "exit code 3" in pod["steps"][2]["message"]
    assert len({i["container"] for i in pod["injections"]}) == 2


def test_an_app_that_fell_while_others_were_examined_is_reached_as_it_is_by_then(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """It ran when it was listed, and failed before its turn: no container that waits for it in
    vain, and not our harm."""
    lab.images("busybox")
    # No life after the first one.
    once = "mkdir /state/lived || exit 3; trap 'exit 3' TERM; while :; do sleep 0.2; done"
    mounts = {"volumeMounts": [{"name": "state", "mountPath": "/state"}]}
    volumes = {"volumes": [{"name": "state", "emptyDir": {}}]}
    for name in ("first", "second"):
        pm.apply(lab, namespace, pm.deployment(name, once, container=mounts, spec=volumes))
    for name in ("first", "second"):
        pm.wait_ready(lab, namespace, name)
    path = probe(
        tmp_path, "target", "shared", steps=[{"name": "wait", "script": "echo begun; sleep 6"}]
    )
    wait_enterable(lab, namespace)
    out = tmp_path / "out"
    running = pm.start_run(lab, namespace, path, "--max-in-flight=1", directory=out)
    wait_injected(lab, namespace, running, out, 1)
    (begun,) = [event["pod"] for event in journal_events(out, "injecting")]
    (other,) = {pod.metadata.name for pod in pm.pods(lab, namespace)} - {begun}
    lab.kubectl("exec", other, "-n", namespace, "-c", "app", "--", "kill", "1")
    _, errors = running.communicate(timeout=pm.RUN_SECONDS)

    run = pm.Outcome(running.returncode, "", errors, out)
    assert run.code == 0, errors
    pods = {pod["name"]: pod for pod in run.report["pods"]}
    assert attempts(pods[begun]) == [("target", "used", "")]
    assert attempts(pods[other]) == [
        ("target", "refused", "TargetNotRunning"),
        ("shared", "used", ""),
    ]
    assert {(p["outcome"], p["harm"]["verdict"]) for p in pods.values()} == {
        ("passed", "unchanged")
    }
