"""Playbooks made of parts of others, and playbooks that run with others."""

from pathlib import Path

import pytest

from runner.cli.options import load_playbooks
from runner.playbook import PlaybookErrors, load, resolve

HEAD = "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\nmetadata: {name: mine}\nspec:\n"
RULE = """
  findings:
    - id: mine
      when: container.state == 'waiting'
      unless: [init-waits-for-port]
      severity: warning
      title: It waits
      message: It waits.
"""


def test_what_is_used_stands_before_ones_own() -> None:
    crashloop = resolve("crashloop")
    mine = load(
        HEAD + "  use: [crashloop/endpoints, 'crashloop/init-waits-for-*']" + RULE, "mine.yaml"
    )
    assert [step.name for step in mine.spec.steps] == ["endpoints"]
    assert mine.spec.steps[0] in crashloop.spec.steps
    assert [rule.id for rule in mine.spec.findings] == [
        "init-waits-for-name", "init-waits-for-port", "mine",
    ]  # fmt: skip
    waits = next(r for r in crashloop.spec.findings if r.id == "init-waits-for-port")
    assert mine.spec.findings[1] == waits


def test_what_is_used_twice_is_used_once() -> None:
    mine = load(HEAD + "  use: [crashloop/endpoints, crashloop/endpoi*]\n", "mine.yaml")
    assert [step.name for step in mine.spec.steps] == ["endpoints"]


def test_rules_of_workloads_are_used_as_well() -> None:
    mine = load(HEAD + "  use: [stuck-terminating/held-by-finalizer]\n", "mine.yaml")
    assert [rule.id for rule in mine.spec.workloads] == ["held-by-finalizer"]


def test_a_rule_forgets_what_stayed_behind() -> None:
    """`unless` names rules that this playbook does not have."""
    rule = next(r for r in resolve("image-pull").spec.findings if r.id == "image-not-found")
    assert len(rule.unless) > 1
    mine = load(
        HEAD + "  use: [image-pull/image-rate-limited, image-pull/image-not-found]\n", "m.yaml"
    )
    assert mine.spec.findings[1].unless == ("image-rate-limited",)


def test_the_hash_is_that_of_all_its_parts(tmp_path: Path) -> None:
    """What others changed changed this one."""
    alone = load(HEAD + "  includes: [triage]\n", "m.yaml")
    used = load(
        HEAD + "  includes: [triage]\n  use: [stuck-terminating/held-by-finalizer]\n", "m.yaml"
    )
    more = load(HEAD + "  includes: [triage]\n  use: [image-pull/image-pull]\n", "m.yaml")
    assert len({alone.sha256, used.sha256, more.sha256}) == 3


@pytest.mark.parametrize(
    ("lines", "complaints"),
    [
        ("  use: [crashlop/mounts]", ['5:9: spec.use[0]: no built-in playbook is called "crashlop" (did you mean "crashloop"?)']),
        ("  use: [image-pull/image-pul]", ['5:9: spec.use[0]: playbook image-pull has no step and no rule "image-pul" (did you mean "image-pull"?)']),
        ("  use: [networkpolicy/dns, crashloop/dns]", ['5:28: spec.use[1]: "dns" of crashloop has the name of one of networkpolicy: use one of them']),
        ("  use: [image-pull]", ['5:9: spec.use[0]: expected PLAYBOOK/NAME of a step or rule, such as image-pull/image-*; found "image-pull"']),
        ("  use: [crashloop/init-waits-for-name]", ['5:3: spec.use: init-waits-for-name: no step is called "endpoints"']),
        ("  includes: [crashlop]", ['5:14: spec.includes[0]: no built-in playbook is called "crashlop" (did you mean "crashloop"?)']),
        # Places in one's own rules are counted as the file has them.
        ("  use: [image-pull/image-pull]\n  findings:\n    - {id: a, when: 'pods.x', severity: info, title: t, message: m}",
         ['7:21: spec.findings[0].when: unknown name "pods" (did you mean "pod"?)']),
    ],
)  # fmt: skip
def test_mistakes(lines: str, complaints: list[str]) -> None:
    with pytest.raises(PlaybookErrors) as caught:
        load(HEAD + lines + "\n", "mine.yaml")
    assert str(caught.value).splitlines() == [f"mine.yaml:{each}" for each in complaints]


def test_included_playbooks_run_before_it() -> None:
    assert [p.name for p in load_playbooks((), None)] == ["crashloop", "triage"]
    assert [p.name for p in load_playbooks(("triage", "crashloop"), None)] == [
        "crashloop",
        "triage",
    ]
    assert [p.name for p in load_playbooks(("crashloop",), None)] == ["crashloop"]


def test_a_file_includes_built_in_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD + "  includes: [triage, disk-full]\n")
    names = [p.name for p in load_playbooks((str(file),), None)]
    assert names == ["crashloop", "triage", "disk-full", "mine"]
