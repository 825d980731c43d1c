"""The body of the PATCH, whole, for the pods people have; and how a pod is reached."""

from typing import Any

import pytest

from runner.injection import Refused, build_container, choose_strategy, container_name, expanded
from runner.injection.container import own_image
from runner.injection.strategy import Choice
from runner.model.pod import Pod
from runner.playbook import Debugger
from runner.playbook.reading import made
from tests.unit.pods import NOW, ago, crashed_before, pod, running, terminated, waiting

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def body(given: Pod, strategy: str = "shared", **debugger: Any) -> dict[str, Any]:
    built = build_container(
        given,
        given.spec.containers[0],
        made(Debugger, {"image": "tools:1", **debugger}),
        name="podmedic-x-1",
        run_id="r1",
        program="true",
        strategy=strategy,
    )
    return built.body


def test_s39_whole_container() -> None:
    """Read-only mounts without subPath and token, ConfigMap values without Secrets, one user."""
    given = pod(
        running(),
        spec={
            "securityContext": {"runAsUser": 1000, "runAsGroup": 3000},
            "volumes": [
                {"name": "config", "configMap": {"name": "web"}},
                {"name": "token", "projected": {"sources": [{"serviceAccountToken": {}}]}},
            ],
        },
        container={
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/web"},
                {"name": "config", "mountPath": "/etc/web/one", "subPath": "one"},
                {"name": "config", "mountPath": "/usr/bin"},
                {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
            ],
            "env": [
                {"name": "DB_HOST", "value": "db"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
                {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "m"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "web"}}, {"secretRef": {"name": "s"}}],
        },
    )
    built = build_container(
        given, given.spec.containers[0], Debugger(image="tools:1"),
        name="podmedic-x-1", run_id="r1", program="true", strategy="target",
    )  # fmt: skip

    assert built.body == {
        "name": "podmedic-x-1",
        "image": "tools:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "true"],
        "env": [
            {"name": "PODMEDIC_RUN", "value": "r1"},
            {"name": "PODMEDIC_TARGET", "value": "app"},
            {"name": "PODMEDIC_MOUNTS", "value": "/etc/web"},
            {"name": "PODMEDIC_ENDPOINTS", "value": "env:DB_HOST db -"},
            {"name": "PODMEDIC_ROOT", "value": "/proc/1/root"},
            {
                "name": "MODE",
                "valueFrom": {"configMapKeyRef": {"name": "web", "key": "m", "optional": True}},
            },
            {
                "name": "CPU",
                "valueFrom": {
                    "resourceFieldRef": {"containerName": "app", "resource": "limits.cpu"}
                },
            },
            {
                "name": "PATH",
                "value": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            },
            {"name": "LD_PRELOAD", "value": ""},
            {"name": "LD_LIBRARY_PATH", "value": ""},
        ],
        "envFrom": [{"configMapRef": {"name": "web", "optional": True}}],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": True}],
        "terminationMessagePolicy": "File",
        "securityContext": {**RESTRICTED, "runAsUser": 1000, "runAsGroup": 3000},
        "targetContainerName": "app",
    }
    assert built.warnings == (
        "mount /etc/web/one left out: subPath is not allowed in ephemeral containers",
        "mount /usr/bin left out: it would hide the debugger's own files",
    )


@pytest.mark.parametrize(
    ("spec", "container", "profile", "expected"),
    [
        ({}, {}, "restricted", {**RESTRICTED, "runAsUser": 65532, "runAsGroup": 65532}),
        (
            {"securityContext": {"runAsUser": 0}},
            {},
            "restricted",
            {**RESTRICTED, "runAsUser": 65532, "runAsGroup": 65532},
        ),
        (
            {"securityContext": {"runAsUser": 1000}},
            {"securityContext": {"runAsUser": 2000}},
            "restricted",
            {**RESTRICTED, "runAsUser": 2000, "runAsGroup": 2000},
        ),
        ({}, {}, "baseline", {}),
        ({"securityContext": {"runAsNonRoot": True}}, {}, "baseline", {"runAsUser": 65532}),
        ({}, {}, "general", {"capabilities": {"add": ["SYS_PTRACE"]}}),
        ({}, {}, "netadmin", {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}),
        ({}, {}, "sysadmin", {"privileged": True}),
    ],
)
def test_security_context(
    spec: dict[str, Any], container: dict[str, Any], profile: str, expected: dict[str, Any]
) -> None:
    """A number for the user wherever the kubelet would otherwise have to guess."""
    given = pod(running(), spec=spec, container=container)
    assert body(given, profile=profile)["securityContext"] == expected


@pytest.mark.parametrize(
    ("seen", "own", "expected"),
    [
        # As of a user that the image does not know.
        ((1000, 0), {}, (1000, 0)),
        ((1000, 5), {}, (1000, 5)),
        ((0, 0), {}, (65532, 65532)),
        ((1000, 0), {"runAsUser": 7}, (7, 7)),
        ((1000, 0), {"runAsUser": 7, "runAsGroup": 0}, (7, 0)),
    ],
)
def test_the_ids_that_the_runtime_tells(
    seen: tuple[int, int], own: dict[str, int], expected: tuple[int, int]
) -> None:
    """/proc/PID/root is shown to who has the same user and the same group."""
    given = pod(running(user={"linux": {"uid": seen[0], "gid": seen[1]}}))
    context = body(given, securityContext=own)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == expected


def test_shared_processes_need_no_target() -> None:
    given = pod(running(), spec={"shareProcessNamespace": True})
    assert "targetContainerName" not in body(given, "target")


def test_nothing_is_inherited_when_told_so() -> None:
    given = pod(running(), container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    assert "volumeMounts" not in body(given, inherit=())


def test_what_the_playbook_sets_wins_over_what_is_inherited() -> None:
    given = pod(
        running(),
        spec={"volumes": [{"name": "v", "emptyDir": {}}, {"name": "unused", "emptyDir": {}}]},
        container={
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/w"}],
            "volumeDevices": [{"name": "disk", "devicePath": "/dev/d"}],
            "env": [
                {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "m"}}}
            ],
            "envFrom": [{"configMapRef": {"name": "web"}}],
        },
    )
    built = build_container(
        given,
        given.spec.containers[0],
        made(
            Debugger,
            {
                "image": "tools:1",
                "command": ["/busybox/sh", "-c"],
                "args": ["one"],
                "workingDir": "/w",
                "env": [
                    {"name": "MODE", "value": "mine"},
                    {"name": "PATH", "value": "/mine"},
                    {
                        "name": "CPU",
                        "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}},
                    },
                ],
                "envFrom": [{"secretRef": {"name": "s", "optional": True}}],
                "volumeMounts": [
                    {"name": "v", "mountPath": "/w"},
                    {"name": "unused", "mountPath": "/u"},
                ],
                "volumeDevices": [
                    {"name": "disk", "devicePath": "/dev/x"},
                    {"name": "none", "devicePath": "/dev/y"},
                ],
                "stdin": True,
                "tty": True,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "profile": "netadmin",
                "securityContext": {
                    "runAsUser": 7,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            },
        ),
        name="podmedic-x-1", run_id="r1", program="true", strategy="shared",
    )  # fmt: skip

    assert built.body == {
        "name": "podmedic-x-1",
        "image": "tools:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/busybox/sh", "-c", "true"],
        "args": ["/busybox/sh", "one"],
        "workingDir": "/w",
        "env": [
            {"name": "PODMEDIC_RUN", "value": "r1"},
            {"name": "PODMEDIC_TARGET", "value": "app"},
            {"name": "PODMEDIC_MOUNTS", "value": "/v"},
            {"name": "PODMEDIC_ENDPOINTS", "value": ""},
            {"name": "LD_PRELOAD", "value": ""},
            {"name": "LD_LIBRARY_PATH", "value": ""},
            {"name": "MODE", "value": "mine"},
            {"name": "PATH", "value": "/mine"},
            {
                "name": "CPU",
                "valueFrom": {
                    "resourceFieldRef": {"containerName": "app", "resource": "limits.cpu"}
                },
            },
        ],
        "envFrom": [
            {"configMapRef": {"name": "web", "optional": True}},
            {"secretRef": {"name": "s", "optional": True}},
        ],
        "volumeMounts": [
            {"name": "v", "mountPath": "/v", "readOnly": True},
            {"name": "v", "mountPath": "/w"},
        ],
        "volumeDevices": [{"name": "disk", "devicePath": "/dev/x"}],
        "stdin": True,
        "tty": True,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "runAsUser": 7,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
        },
    }
    assert built.warnings == (
        "volume unused left out: no container of the pod uses it",
        "volume none left out: no container of the pod uses it",
    )


def test_the_own_image_is_called_by_its_own_shell() -> None:
    given = pod(running())
    assert body(given, "own-image", command=("/busybox/sh", "-c"))["command"][0] == "/bin/sh"


def test_s38_name_is_the_same_for_the_same_work() -> None:
    """A repeated PATCH must be a no-op, another run, pod or attempt another container."""
    name = container_name("run", "settings", "uid", 1)
    assert name == container_name("run", "settings", "uid", 1)
    others = {
        container_name("run2", "settings", "uid", 1),
        container_name("run", "settings2", "uid", 1),
        container_name("run", "settings", "uid2", 1),
        container_name("run", "settings", "uid", 2),
    }
    assert len(others | {name}) == 5
    assert all(len(n) <= 63 and n.startswith("podmedic-") for n in others)


def lost(strategy: str, why: str) -> Choice:
    """The target was asked for first."""
    refused = (Refused("target", "TargetNotRunning", why),)
    return Choice(strategy, "TargetNotRunning", why, refused)


@pytest.mark.parametrize(
    ("given", "allowed", "expected"),
    [
        (pod(running()), ("target", "shared"), Choice("target", sees_image=True)),
        (
            pod(running(ago(seconds=1))),
            ("target", "shared"),
            lost("shared", "container app started less than 5 s ago"),
        ),
        (
            pod(terminated(1, restartCount=2)),
            ("target", "shared"),
            lost("shared", "container app is not running"),
        ),
        (
            pod(terminated(1, restartCount=2)),
            ("target",),
            lost("none", "container app is not running"),
        ),
        (
            pod(terminated(1, restartCount=2), spec={"shareProcessNamespace": True}),
            ("target", "shared"),
            Choice("target"),
        ),
        (pod(running()), ("none",), Choice("none")),
        (
            pod(waiting(""), spec={"nodeName": ""}),
            ("target", "shared"),
            Choice("none", "Unscheduled", "the pod is on no node yet"),
        ),
    ],
)
def test_strategy(given: Pod, allowed: tuple[str, ...], expected: Choice) -> None:
    """A crash-looping container is never entered: it would take ours with it."""
    assert choose_strategy(given, "app", allowed, NOW) == expected


@pytest.mark.parametrize(
    ("given", "worth_entering", "expected"),
    [
        (pod(terminated(1, restartCount=2)), True, ("", "")),
        (pod(waiting("CrashLoopBackOff", lastState=crashed_before())), True, ("", "")),
        (pod(running(ago(seconds=1), lastState=crashed_before(), restartCount=3)), True, ("", "")),
        (
            pod(running()),
            True,
            ("TargetRuns", "container app stays alive: strategy target enters it"),
        ),
        (
            pod(terminated(1, restartCount=2)),
            False,
            (
                "NotNeeded",
                (
                    "no step says that it needs the target's processes (needs: {target: true}) "
                    "or its image (needs: {image: true})"
                ),
            ),
        ),
        (
            pod(terminated(1, restartCount=2), spec={"hostPID": True}),
            True,
            (
                "NotNeeded",
                "the pod's one PID namespace outlives each container: strategy target sees it",
            ),
        ),
        (pod(waiting("ErrImagePull")), True, ("TargetNeverRan", "container app has never run")),
        (
            pod(terminated(1), spec={"restartPolicy": "Never"}),
            True,
            ("TargetNotRestarted", "container app has ended and is not started again"),
        ),
    ],
)
def test_catch_waits_only_where_it_makes_sense(
    given: Pod, worth_entering: bool, expected: tuple[str, str]
) -> None:
    choice = choose_strategy(given, "app", ("catch",), NOW, worth_entering=worth_entering)
    assert (choice.reason, choice.message) == expected
    assert choice.strategy == ("none" if expected[0] else "catch")
    assert choice.sees_image is not bool(expected[0])


def test_pod_without_sandbox_is_read_from_the_api_only() -> None:
    given = pod(
        waiting("ContainerCreating"),
        phase="Pending",
        conditions={"PodReadyToStartContainers": "False"},
    )
    assert choose_strategy(given, "app", ("target", "shared"), NOW).reason == "NoSandbox"
    held_up = pod(
        waiting("ContainerCreating"),
        phase="Pending",
        conditions={"PodReadyToStartContainers": "True"},
        status={"podIP": ""},
    )
    assert choose_strategy(held_up, "app", ("target", "shared"), NOW).reason == "Starting"


@pytest.mark.parametrize(
    ("strategies", "needs_image", "meant"),
    [
        (("auto",), False, ("target", "shared")),
        (("auto",), True, ("target", "own-image", "shared")),
        (("own-image", "auto"), False, ("own-image", "target", "shared")),
        (("none",), True, ("none",)),
    ],
)
def test_what_auto_stands_for(
    strategies: tuple[str, ...], needs_image: bool, meant: tuple[str, ...]
) -> None:
    assert expanded(strategies, needs_image=needs_image) == meant


@pytest.mark.parametrize(
    ("image", "image_id", "expected"),
    [
        ("web:1", "docker.io/library/web@sha256:aa", "web@sha256:aa"),
        ("reg.example.com:5000/a/web:1", "x@sha256:aa", "reg.example.com:5000/a/web@sha256:aa"),
        ("web@sha256:bb", "x@sha256:aa", "web@sha256:aa"),
        ("web:1", "", "web:1"),
    ],
)
def test_the_own_image_is_spelt_as_in_the_spec(image: str, image_id: str, expected: str) -> None:
    """The same digest by another name would be pulled again."""
    given = pod(running(imageID=image_id), container={"image": image})
    (container,), (status,) = given.spec.containers, given.status.container_statuses
    assert own_image(container, status) == expected


def test_an_image_that_was_never_on_the_node_cannot_be_run() -> None:
    given = pod(waiting("ErrImagePull"))
    choice = choose_strategy(given, "app", ("own-image", "shared"), NOW)
    assert choice.strategy == "shared"
    assert choice.refused[0].reason == "ImageNotPresent"
