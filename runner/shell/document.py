"""The options of a shell in a playbook's words, so that whatever plans, judges and injects for a
sweep does so for a shell. Pure."""

from runner.playbook import Playbook
from runner.playbook.reading import made

NAME = "shell"


def document(
    *, image: str | None, profile: str, strategy: str,
    run_as_user: tuple[int, int | None] | None, container: str,
    kind: str = "Pod", name: str = "",
) -> Playbook:  # fmt: skip
    """Its one step stands for whatever will be typed. Empty `container`: as a sweep chooses.
    `run_as_user` is user and group; `kind` and `name` are those of the workload that the pod is to
    be of."""
    debugger: dict[str, object] = {"profile": profile, "strategy": [strategy]}
    if image is not None:
        debugger["image"] = image
    if run_as_user is not None:
        user, group = run_as_user
        ids = {"runAsUser": user} | ({} if group is None else {"runAsGroup": group})
        debugger["securityContext"] = ids
    targets: dict[str, object] = {"container": container} if container else {}
    if kind != "Pod":
        targets["owners"] = [{"kind": kind, "name": name}]
    return made(
        Playbook,
        {
            "apiVersion": "podmedic.io/v1alpha1",
            "kind": "Playbook",
            "metadata": {"name": NAME},
            "spec": {
                "targets": targets,
                "debugger": debugger,
                "steps": [{"name": NAME, "run": ["sh"]}],
            },
        },
    )
