"""One place says which verbs a run needs; the page, the CronJob and the command agree with it."""

from pathlib import Path

import pytest
import yaml

from runner.cli.options import load_playbooks
from runner.permissions import LEASE, manifests, needs
from runner.playbook import builtin, load, load_file

ROOT = Path(__file__).parents[2]
PLAYBOOKS = [load_file(path) for path in builtin()]
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
