"""Images made on this machine and pushed to the lab's registry, which stands for every host."""

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab import archive, packages
from lab.imagedefs import Definition, base, debian, golang, project, samples, store
from lab.layout import LabError, cache_folder
from lab.registry import Registry

BASE = ("pause", "coredns", "busybox")
_TIMEOUT_SECONDS = 300
# What this process has seen in a registry: to ask is a process, and tests ask hundreds of times.
_there: set[tuple[Registry, str]] = set()


def definitions() -> dict[str, Definition]:
    """Every image that can be made, by its short name."""
    own = (golang.DEFINITION, *samples.DEFINITIONS, *project.DEFINITIONS)
    every = (*base.DEFINITIONS, debian.DEFINITION, *own)
    return {definition.name: definition for definition in every}


def ensure(names: Sequence[str], registry: Registry) -> None:
    """Makes the named images where the cache lacks them and pushes those the registry lacks.

    A name is the short one of a definition (`busybox`) or a reference as in a pod
    (`busybox:1.36`, `registry.k8s.io/pause:3.10`). Raises `LabError` for an unknown name or when
    a build or a push fails.
    """
    wanted = [find(name) for name in names]
    missing = [each for each in dict.fromkeys(wanted) if (registry, each.name) not in _there]
    if not missing:
        return
    packages.ensure(["skopeo"])
    for definition in missing:
        path = store.built(definition)
        _push(path, definition.references, registry)
        _there.add((registry, definition.name))


def tag(name: str, reference: str, registry: Registry) -> None:
    """Pushes an image that can be made under another reference, in place of what that stood for."""
    packages.ensure(["skopeo"])
    _push(store.built(find(name)), (repository_path(reference),), registry)


def find(name: str) -> Definition:
    """The definition behind a short name or an image reference."""
    known = definitions()
    if name in known:
        return known[name]
    path = repository_path(name)
    for definition in known.values():
        if path in definition.references:
            return definition
    raise LabError(f"image {name!r}: expected one of {', '.join(sorted(known))}, or their tags")


def repository_path(reference: str) -> str:
    """What a registry sees of a reference: without the host, with the tag.

    `busybox` is `library/busybox:latest`, `ghcr.io/podmedic/tools:1` is `podmedic/tools:1`.
    """
    first, slash, rest = reference.partition("/")
    if not slash:
        path = f"library/{reference}"
    elif "." in first or ":" in first or first == "localhost":
        path = rest
        if first == "docker.io" and "/" not in rest:
            path = f"library/{rest}"
    else:
        path = reference
    return path if ":" in path.rsplit("/", 1)[-1] else f"{path}:latest"


def _push(path: Path, references: Iterable[str], registry: Registry) -> None:
    image_id = archive.image_id(path)
    for reference in references:
        if _pushed_id(reference, registry) == image_id:
            continue
        target = f"docker://{registry.address}/{reference}"
        done = _skopeo(
            ["copy", "--quiet", "--dest-tls-verify=false", f"docker-archive:{path}:@0", target],
            registry,
        )
        if done.returncode != 0:
            raise LabError(f"cannot push {reference}: {done.stderr.strip()}")


def _pushed_id(reference: str, registry: Registry) -> str | None:
    """The id of the image that the registry holds under a reference, None where it holds none."""
    target = f"docker://{registry.address}/{reference}"
    done = _skopeo(["inspect", "--raw", "--tls-verify=false", target], registry)
    if done.returncode != 0:
        return None
    digest: str = json.loads(done.stdout).get("config", {}).get("digest", "")
    return digest.removeprefix("sha256:")


def _skopeo(arguments: Sequence[str], registry: Registry) -> subprocess.CompletedProcess[str]:
    enter = [] if registry.netns is None else ["nsenter", f"--net=/run/netns/{registry.netns}"]
    return subprocess.run(
        [*enter, "skopeo", *arguments],
        # Root's note of known layers would go to /var/lib; a rootless user's goes where we say.
        env=os.environ
        | {"_CONTAINERS_ROOTLESS_UID": "1", "XDG_DATA_HOME": str(cache_folder() / "images")},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
