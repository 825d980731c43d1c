"""The body of the PATCH: one entry of `spec.ephemeralContainers`."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from runner.injection.endpoints import endpoints_of
from runner.injection.mounts import inherited_mounts
from runner.injection.probes import probes_of
from runner.injection.settings import own_environment, own_volumes, security_for
from runner.model.pod import Container, ContainerStatus, EnvVar, Pod
from runner.playbook import Debugger
from runner.playbook.debugger import NAME_PREFIX, SHELL
from runner.select.condition import app_status

RESIDENT_VARIABLE = "PODMEDIC_RESIDENT"
"""Set in a container that stays; its value is the digest of the settings it was made by."""
_POD_IP = "PODMEDIC_POD_IP"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_LIST_CHARACTERS = 4096
# Where the file system of the target's image is, for steps that need it.
_ROOTS = {"target": "/proc/1/root", "catch": "/proc/1/root", "own-image": "", "copy": ""}
_IN_OWN_IMAGE = frozenset({"own-image", "copy"})


class Built(NamedTuple):
    body: dict[str, Any]
    warnings: tuple[str, ...]


def container_name(
    run_id: str, settings_sha256: str, pod_uid: str, attempt: int, *, prefix: str = NAME_PREFIX
) -> str:
    """The same for the same run, settings, pod and attempt, so that a repeated PATCH is a no-op
    and a killed runner finds its own container again."""
    text = f"{run_id}\0{settings_sha256}\0{pod_uid}".encode()
    # 10 bytes are 16 letters. To spell them costs ten times what the hash does.
    digest = base64.b32encode(hashlib.sha256(text).digest()[:10])[:12].decode().lower()
    return f"{prefix}-{digest}-{attempt}"


def _lines(lines: Iterator[str]) -> str:
    """As many whole lines as fit: the container's spec stays in the pod for ever."""
    kept, length = [], 0
    for line in lines:
        length += len(line) + 1
        if length > _MAX_LIST_CHARACTERS:
            break
        kept.append(line)
    return "\n".join(kept)


def _inherited_variable(variable: EnvVar, container: str) -> dict[str, Any] | None:
    """ConfigMap and downward-API values only: literals may hold secrets, and Secrets stay out."""
    source = variable.value_from or {}
    if "configMapKeyRef" in source:
        # Missing ones must not keep our container from starting.
        reference = {**source["configMapKeyRef"], "optional": True}
        return {"name": variable.name, "valueFrom": {"configMapKeyRef": reference}}
    if "fieldRef" in source:
        return {"name": variable.name, "valueFrom": {"fieldRef": source["fieldRef"]}}
    if "resourceFieldRef" in source:
        # Without a name it would mean our own container, which has no limits.
        resource = {"containerName": container, **source["resourceFieldRef"]}
        return {"name": variable.name, "valueFrom": {"resourceFieldRef": resource}}
    return None


def own_image(target: Container, status: ContainerStatus | None) -> str:
    """The target's image by the digest that runs, in the spec's own spelling: by another name of
    the same digest the kubelet would pull it again (kubernetes-facts.md, "What surprised" 8)."""
    name = target.image.partition("@")[0]
    first, slash, last = name.rpartition("/")
    repository = f"{first}{slash}{last.partition(':')[0]}"
    digest = status.image_id.rpartition("@")[2] if status is not None else ""
    return f"{repository}@{digest}" if digest.startswith("sha256:") else target.image


def _environment(
    container: Container,
    debugger: Debugger,
    run_id: str,
    mounts: tuple[dict[str, Any], ...],
    *,
    strategy: str,
    root: str | None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    ours = {
        "PODMEDIC_RUN": run_id,
        "PODMEDIC_TARGET": container.name,
        "PODMEDIC_MOUNTS": _lines(mount["mountPath"] for mount in mounts),
        "PODMEDIC_ENDPOINTS": _lines(
            f"{e.source} {e.host} {e.port or '-'}" for e in endpoints_of(container)
        ),
    }
    if probes := _lines(probe.line() for probe in probes_of(container)):
        ours["PODMEDIC_PROBES"] = probes
    if root is not None:
        ours["PODMEDIC_ROOT"] = root
    env: list[dict[str, Any]] = [{"name": n, "value": v} for n, v in ours.items()]
    if probes:
        # Where the kubelet's probes go; the kubelet fills it in.
        env.append({"name": _POD_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    own, own_from = own_environment(debugger, container)
    chosen = {variable["name"] for variable in own}
    inherited: list[dict[str, Any]] = []
    env_from: list[dict[str, Any]] = []
    if "env" in debugger.inherit:
        for source in container.env_from:
            if "configMapRef" in source:
                reference = {**source["configMapRef"], "optional": True}
                env_from.append({**source, "configMapRef": reference})
        found = [_inherited_variable(v, container.name) for v in container.env]
        inherited = [v for v in found if v is not None]
    # What comes from the app's ConfigMaps must not lead our shell to other programs.
    own_paths = {"PATH": _PATH, "LD_PRELOAD": "", "LD_LIBRARY_PATH": ""}
    env += [v for v in inherited if v["name"] not in {*ours, _POD_IP, *own_paths, *chosen}]
    env_from += own_from
    if env_from and strategy not in _IN_OWN_IMAGE:
        env += [{"name": n, "value": v} for n, v in own_paths.items() if n not in chosen]
    return env + own, env_from


def _mounts(
    pod: Pod, target: Container, debugger: Debugger
) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    """What is inherited of the target; the playbook's own mounts take the place of others."""
    if "mounts" not in debugger.inherit:
        return (), ()
    mounts, warnings = inherited_mounts(pod, target)
    taken = {mount.mount_path for mount in debugger.volume_mounts}
    return tuple(m for m in mounts if m["mountPath"] not in taken), warnings


def _settings(debugger: Debugger) -> dict[str, Any]:
    """Fields that are as the API has them when nobody asks for another value."""
    given = {"stdin": debugger.stdin, "stdinOnce": debugger.stdin_once, "tty": debugger.tty}
    return {key: True for key, value in given.items() if value}


def start_of(pod: Pod, target: Container, debugger: Debugger, strategy: str) -> dict[str, Any]:
    """What of the container decides whether a kubelet starts it: asked of every pod before any is
    touched, and cheaper to tell than all of it."""
    runs_own_image = strategy in _IN_OWN_IMAGE
    image = own_image(target, app_status(pod, target.name)) if runs_own_image else debugger.image
    return {
        "image": image,
        "imagePullPolicy": debugger.image_pull_policy,
        "securityContext": security_for(pod, target, debugger),
    }


def build_container(
    pod: Pod, target: Container, debugger: Debugger, *, name: str, run_id: str,
    program: str, strategy: str,
) -> Built:  # fmt: skip
    """The container for one pod. `strategy` `target` and `catch` enter the target's PID namespace,
    `own-image` and `copy` run the program by the shell of the target's image."""
    inherited, warnings = _mounts(pod, target, debugger)
    own_mounts, devices, left_out = own_volumes(pod, debugger)
    # One PID namespace for the pod begins with none of the app's processes.
    shared_pids = pod.spec.share_process_namespace or pod.spec.host_pid
    root = None if strategy == "target" and shared_pids else _ROOTS.get(strategy)
    env, env_from = _environment(target, debugger, run_id, inherited, strategy=strategy, root=root)
    own_image_runs = strategy in _IN_OWN_IMAGE
    shell = SHELL if own_image_runs else debugger.command
    body: dict[str, Any] = {
        "name": name,
        **start_of(pod, target, debugger, strategy),
        "command": [*shell, program],
        "env": env,
        "terminationMessagePolicy": debugger.termination_message_policy,
        **_settings(debugger),
    }
    if debugger.args:
        # The program calls `$0` for the scripts of its steps: it must stay the shell.
        body["args"] = [shell[-2], *debugger.args]
    working_dir = debugger.working_dir or (target.working_dir if own_image_runs else "")
    if working_dir:
        body["workingDir"] = working_dir
    if env_from:
        body["envFrom"] = env_from
    if mounts := [*inherited, *own_mounts]:
        body["volumeMounts"] = mounts
    if devices:
        body["volumeDevices"] = devices
    if strategy in ("target", "catch") and not shared_pids:
        body["targetContainerName"] = target.name
    if debugger.lifetime == "resident" and strategy != "catch":
        env.append({"name": RESIDENT_VARIABLE, "value": settings_digest(body)})
    return Built(body, (*warnings, *left_out))


def settings_digest(body: Mapping[str, Any]) -> str:
    """Of all that a program in the container may notice: everything but its name, what it runs
    and which run it is from."""
    settings = {key: value for key, value in body.items() if key not in ("name", "command")}
    settings["env"] = [
        v for v in body["env"] if v["name"] not in ("PODMEDIC_RUN", RESIDENT_VARIABLE)
    ]
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
