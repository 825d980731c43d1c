"""`profile: auto`: the least that sees what the steps need, and why."""

import json
from typing import Any

import pytest

from runner.injection import (
    ProfileBounds,
    ProfileChoice,
    choose_profile,
    security_for,
)
from runner.plan import Selected, plan_injection, plan_pod, within
from runner.playbook import load
from tests.unit.pods import NOW, ago, pod, running, terminated, waiting

ROOT: dict[str, Any] = {"user": {"linux": {"uid": 0, "gid": 0}}}
LOOKED = "and a step looks into it"


@pytest.mark.parametrize(
    ("status", "spec", "container", "strategy", "looks_into", "level", "expected"),
    [
        (ROOT, {}, {}, "target", True, "", ("baseline", f"container app runs as root, {LOOKED}")),
        (ROOT, {}, {}, "own-image", True, "privileged",
         ("baseline", f"container app runs as root, {LOOKED}")),
        (ROOT, {}, {}, "target", False, "", ("restricted", "no step looks into the target")),
        (ROOT, {}, {}, "shared", True, "", ("restricted", "no step looks into the target")),
        ({}, {}, {}, "target", True, "",
         ("baseline", f"container app is taken to run as root, {LOOKED}", True)),
        ({}, {}, {}, "own-image", True, "",
         ("baseline", f"container app is taken to run as root, {LOOKED}")),
        ({}, {"securityContext": {"runAsNonRoot": True}}, {}, "target", True, "",
         ("restricted", "the pod demands runAsNonRoot")),
        (ROOT, {"securityContext": {"runAsUser": 7}}, {}, "target", True, "",
         ("restricted", "container app runs as user 7")),
        (ROOT, {}, {}, "target", True, "restricted",
         ("restricted", "namespace shop enforces Pod Security level restricted")),
        (ROOT, {}, {}, "target", True, None,
         ("restricted", ("the Pod Security level of namespace shop could not be read "
          "(get namespaces), so no more is taken"))),
        (ROOT, {"securityContext": {"runAsNonRoot": True}}, {}, "target", True, "",
         ("restricted", "the pod demands runAsNonRoot")),
        (ROOT, {"securityContext": {"runAsNonRoot": True}},
         {"securityContext": {"runAsNonRoot": False}}, "target", True, "",
         ("baseline", f"container app runs as root, {LOOKED}")),
        (ROOT, {}, {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}, "target", True, "",
         ("general", f"container app runs as root with added capabilities, {LOOKED}")),
        (ROOT, {}, {"securityContext": {"capabilities": {"add": ["CHOWN"]}}}, "target", True,
         "baseline", ("baseline", f"container app runs as root, {LOOKED}")),
    ],
)  # fmt: skip
def test_the_least_that_works(
    status: dict[str, Any], spec: dict[str, Any], container: dict[str, Any], strategy: str,
    looks_into: bool, level: str | None, expected: tuple[str, str] | tuple[str, str, bool],
) -> None:  # fmt: skip
    given = pod(running(**status), spec=spec, container=container)
    choice = choose_profile(
        given,
        given.spec.containers[0],
        strategy,
        looks_into=looks_into,
        bounds=ProfileBounds(level),
    )
    assert choice == ProfileChoice(*expected)


AUTO = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: look}
spec:
  debugger: {profile: auto, strategy: [target, own-image]}
  steps: [{name: look, run: [ls], needs: {image: true}}]
"""


def test_the_policy_bounds_the_next_strategy_too() -> None:
    """Which is planned when the container of the first one did not start."""
    given = pod(running(ago(hours=1), imageID="web@sha256:aa", **ROOT))
    selected = Selected(pod=given, playbooks=(load(AUTO, "p.yaml"),))
    (first,) = plan_pod(selected, NOW, level="").injections
    assert (first.choice.strategy, first.debugger.profile) == ("target", "baseline")

    plan = within(plan_pod(selected, NOW, level=""), ["restricted"], "policy strict")
    (first,) = plan.injections
    after = plan_injection(given, plan.target, first.group, first.fallback, NOW, first.bounds)
    why = "policy strict does not allow profile baseline"
    assert [(i.choice.strategy, i.debugger.profile, i.profile_reason) for i in (first, after)] == [
        ("target", "restricted", why),
        ("own-image", "restricted", why),
    ]


TOOLS = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: ask}
spec:
  debugger: {profile: auto}
  steps: [{name: ask, run: [dig], needs: {tools: [dig]}}]
"""
LOOK = AUTO.replace("[target, own-image]", "[auto]")
LOOK_INTO = LOOK.replace("image: true", "target: true, image: true")


@pytest.mark.parametrize(
    ("text", "strategy"),
    [(LOOK, "own-image"), (LOOK_INTO, "shared")],
    ids=["image", "image and processes"],
)
def test_tools_are_not_given_up_for_a_step_that_cannot_run(text: str, strategy: str) -> None:
    """In a container that is not running there are no processes, and its image may have no dig."""
    given = pod(waiting("CrashLoopBackOff", lastState=terminated(1), imageID="web@sha256:aa"))
    playbooks = tuple(load(each, "p.yaml") for each in (TOOLS, text))
    (planned,) = plan_pod(Selected(pod=given, playbooks=playbooks), NOW).injections
    assert planned.choice.strategy == strategy
    assert "ask" in [step.name for step in planned.steps]


TRACE = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {{name: look}}
spec:
  debugger: {{profile: {profile}, image: busybox}}
  steps:
  - {{name: trace, run: [strace], needs: {{capabilities: [{wanted}]}}}}
"""


@pytest.mark.parametrize(
    ("profile", "wanted", "level", "came_to", "user", "missing"),
    [
        ("auto", "SYS_PTRACE", "", "general", 0, ""),
        ("auto", "NET_RAW", "", "netadmin", 0, ""),
        ("auto", "CHOWN", "", "baseline", 0, ""),
        ("auto", "NET_RAW", "baseline", "baseline", 0, ""),
        ("auto", "SYS_PTRACE", "baseline", "baseline", 0, ("SYS_PTRACE, which root under profile "
         "baseline")),
        ("auto", "SYS_PTRACE", "restricted", "restricted", 7, "SYS_PTRACE, which user 7"),
        ("auto", "SYS_ADMIN", "", "restricted", 7, "SYS_ADMIN, which user 7"),
        ("auto", "SYS_PTRACE, NET_ADMIN", "", "general", 0,
         "NET_ADMIN, which root under profile general"),
        ("sysadmin", "SYS_ADMIN", "", "sysadmin", 7, ""),
        ("netadmin", "NET_RAW", "", "netadmin", 7, "NET_RAW, which user 7"),
    ],
)  # fmt: skip
def test_a_step_gets_its_capabilities_or_is_not_run(
    profile: str, wanted: str, level: str, came_to: str, user: int, missing: str
) -> None:
    """A process has them only as root; nothing makes the container privileged by itself."""
    given = pod(running(ago(hours=1)), container={"securityContext": {"runAsUser": 7}})
    playbook = load(TRACE.format(profile=profile, wanted=wanted), "p.yaml")
    plan = plan_pod(Selected(pod=given, playbooks=(playbook,)), NOW, level=level)
    (injection,) = plan.injections
    context = security_for(given, given.spec.containers[0], injection.debugger)
    assert (injection.debugger.profile, context["runAsUser"]) == (came_to, user)
    expected = f"needs {missing} does not have" if missing else None
    assert next((n.message for n in injection.not_run), None) == expected


def test_processes_of_the_node_are_not_the_target_s() -> None:
    """With hostPID nobody can tell whose a process is: such steps are not run."""
    text = json.dumps(
        {
            "apiVersion": "podmedic.io/v1alpha1", "kind": "Playbook", "metadata": {"name": "p"},
            "spec": {
                "steps": [
                    {"name": "inside", "run": ["ps"], "needs": {"target": True}},
                    {"name": "around", "run": ["id"]},
                ]
            },
        }
    )  # fmt: skip
    given = pod(running(ago(minutes=30)), spec={"hostPID": True})
    (injection,) = plan_pod(Selected(pod=given, playbooks=(load(text, "p.yaml"),)), NOW).injections
    assert [step.name for step in injection.steps] == ["around"]
    assert [(n.step, n.reason) for n in injection.not_run] == [("inside", "NodeProcesses")]
