"""`podmedic shell` works under exactly the role that `podmedic rbac --shell` prints."""

import json
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_rbac import REVIEWS, granted_by, kubeconfig_of, used
from tests.lab.test_shell import shell, web
from tests.lab.test_shell_terminal import DETACH, come_back, sit

__all__ = ["web"]


def test_s36_the_role_of_rbac_shell_is_enough_and_all_of_it_is_used(
    lab: Lab, namespace: str, web: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    printed = pm.podmedic(
        lab, "rbac", "--shell", "--namespaced", "-n", namespace, directory=out
    ).stdout
    lab.kubectl("apply", "-f", "-", input=printed)
    kubeconfig = str(kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig"))
    offset = lab.audit_offset()
    done = shell(lab, namespace, web, "--kubeconfig", kubeconfig, "--command", "exit 5")
    auto = ("--profile", "auto", "-v", "--command", "ls /proc/1/root/bin >/dev/null")
    into = shell(lab, namespace, web, "--kubeconfig", kubeconfig, *auto)
    with sit(lab, namespace, web, "--kubeconfig", kubeconfig) as at:
        at.expect(r"[$#] ")
        at.type(DETACH)
        assert at.exit_code() == 0
    with come_back(lab, namespace, web, "--kubeconfig", kubeconfig) as at:
        at.expect("press Enter")
        at.type("exit 6\n")
        assert at.exit_code() == 6
    account = f"system:serviceaccount:{namespace}:podmedic"
    events: list[dict[str, Any]] = [
        event
        for event in lab.requests(offset, user_agent="podmedic/")
        if event["user"]["username"] == account
    ]
    assert (done.returncode, done.stderr) == (5, b"")
    # Whoever sits at a shell may look at anything: root's files are seen as root alone.
    assert into.returncode == 0
    assert b"profile baseline (container app is taken to run as root, and" in into.stderr
    assert [e for e in events if e["responseStatus"]["code"] == 403] == []
    role = json.loads(lab.kubectl("get", "role", "podmedic", "-n", namespace, "-o", "json"))
    # A WebSocket is audited as the GET that it begins with; `create` is asked for besides.
    streams = {("create", "pods/exec"), ("create", "pods/attach")}
    assert used(events) - REVIEWS == granted_by(role) - streams

    weaker = printed.replace("  - create\n", "")
    assert weaker != printed
    lab.kubectl("apply", "-f", "-", input=weaker)
    before = pm.generations(lab, namespace)
    refused = shell(lab, namespace, web, "--kubeconfig", kubeconfig, "--command", "exit 5")
    assert refused.returncode == 125
    assert refused.stderr.decode() == (
        f"podmedic: missing permission: create pods/exec in namespace {namespace}; nothing was "
        "changed. `podmedic rbac --shell` prints the Role to apply.\n"
    )
    assert pm.generations(lab, namespace) == before
