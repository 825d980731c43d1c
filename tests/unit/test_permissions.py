"""One place says which verbs a run needs; the page, the CronJob and the command agree with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cli.options import load_playbooks
from runner.permissions import LEASE, manifests, needs, shell_needs
from runner.playbook import load
from tests.playbooks import every

ROOT = Path(__file__).parents[2]
PLAYBOOKS = list(every().values())
DEFAULT = load_playbooks((), None)
API_ONLY = """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: events-only}
spec:
  evidence: {events: true, logs: {perOwner: 0}}
  findings:
    - {id: a, when: "true", severity: info, title: t, message: m}
"""


def test_the_cronjob_has_exactly_this_role() -> None:
    documents = list(yaml.safe_load_all((ROOT / "cronjob.yaml").read_text()))
    (role,) = [d for d in documents if d["kind"] == "Role"]
    wanted = [
        {"apiGroups": [n.group], "resources": [n.resource], "verbs": list(n.verbs)}
        for n in (*needs(DEFAULT), LEASE)
        if not n.of_cluster
    ]
    assert role["rules"] == wanted


def test_the_page_names_every_verb() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text()
    for need in (*needs(PLAYBOOKS), LEASE):
        name = f"{need.resource} ({need.group})" if need.group else need.resource
        assert f"| {', '.join(need.verbs)} | {name} |" in page


def test_a_playbook_that_only_reads_needs_no_patch() -> None:
    (playbook,) = (load(API_ONLY, "p.yaml"),)
    assert [(n.resource, n.verbs, n.asked) for n in needs([playbook])] == [
        ("pods", ("list",), ()),
        ("events", ("list",), ()),
        ("namespaces", ("get",), ()),
    ]


@pytest.mark.parametrize(
    ("namespaces", "kinds"),
    [
        (None, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"]),
        (("a", "b"), ["ServiceAccount", "Role", "RoleBinding", "Role", "RoleBinding"]),
    ],
)
def test_manifests(namespaces: tuple[str, ...] | None, kinds: list[str]) -> None:
    made = list(
        manifests(needs(PLAYBOOKS), name="x", account_namespace="ops", namespaces=namespaces)
    )
    assert [m["kind"] for m in made] == kinds
    subjects = [m["subjects"] for m in made if m["kind"].endswith("Binding")]
    account = {"kind": "ServiceAccount", "name": "x", "namespace": "ops"}
    assert subjects == [[account]] * (len(kinds) // 2)
    assert [m["metadata"].get("namespace") for m in made[1::2]] == list(namespaces or (None,))


def test_the_lease_is_in_the_first_namespace() -> None:
    made = manifests([], name="x", account_namespace="ops", namespaces=("b", "a"), lease=True)
    roles = {m["metadata"]["namespace"]: m["rules"] for m in made if m["kind"] == "Role"}
    lease = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "update"],
    }
    assert roles == {"a": [lease], "b": []}


def test_nodes_are_granted_by_a_cluster_role_alone() -> None:
    def granted(namespaces: tuple[str, ...] | None) -> set[str]:
        made = manifests(needs(PLAYBOOKS), name="x", account_namespace="ops", namespaces=namespaces)
        rules = [rule for m in made if m["kind"].endswith("Role") for rule in m["rules"]]
        return {resource for rule in rules for resource in rule["resources"]}

    assert granted(None) - granted(("shop",)) == {"nodes"}


@pytest.mark.parametrize("namespaces", [None, ("a", "ops")])
def test_one_secret_is_read_by_who_asks_for_it_and_none_otherwise(
    namespaces: tuple[str, ...] | None,
) -> None:
    """Never in a ClusterRole, where it would be that name in every namespace."""

    def made(key: tuple[str, str] | None) -> list[dict[str, Any]]:
        return list(
            manifests(
                (*needs(PLAYBOOKS), *shell_needs()),
                name="x",
                account_namespace="ops",
                namespaces=namespaces,
                lease=True,
                events=True,
                key=key,
            )
        )

    plain, keyed = made(None), made(("ops", "podmedic-key"))
    assert "secrets" not in yaml.safe_dump(plain)
    assert keyed[: len(plain)] == plain
    role, binding = keyed[len(plain) :]
    assert (role["kind"], role["metadata"]["name"], role["metadata"]["namespace"]) == (
        "Role", "x-key", "ops"
    )  # fmt: skip
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "verbs": ["get"],
            "resourceNames": ["podmedic-key"],
        }
    ]
    assert binding["roleRef"]["name"] == "x-key"
    assert binding["metadata"]["namespace"] == "ops"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "x", "namespace": "ops"}]


def test_the_page_names_the_secret_as_asked_for_only() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text()
    assert "| get | secrets, of that name alone | the key that signs; only with `--key" in page
