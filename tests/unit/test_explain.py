"""`podmedic explain`: what a playbook's author asks for without the documentation at hand."""

import pytest
from click.testing import CliRunner

from runner.cli.explain import explain
from runner.playbook import vocabulary


def said(name: str) -> str:
    result = CliRunner().invoke(explain, [name])
    assert result.exit_code == 0, result.output
    return result.output


def test_all_facts() -> None:
    text = said("facts")
    names = [*vocabulary.LISTS, *vocabulary.TABLES]
    names += [name for table in vocabulary.TABLES.values() for name in table]
    words = text.split()
    assert [name for name in names if name not in words] == []
    assert "`" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_one_fact() -> None:
    told = "  container.exitCode?  exit code of the latest exit; absent when it never exited\n"
    assert said("container.exitCode") == told


def test_a_list_of_facts() -> None:
    assert said("events").splitlines()[:4] == [
        "  events  list of maps, oldest first", "", "events[]",
        "  reason     FailedMount, Unhealthy, Killing, …",
    ]  # fmt: skip


def test_steps_go_by_any_name() -> None:
    assert said("steps.NAME.exitCode").startswith("  steps.exitCode?  of the last attempt; ")


def test_a_part_of_a_playbook() -> None:
    text = said("playbook.spec.targets.owners[]")
    assert text == (
        "A workload, by what people know it as: the Deployment, not its ReplicaSet.\n\n"
        "  kind  required; text. Kind of the workload: Deployment, StatefulSet, DaemonSet, Job, CronJob, "
        "Pod.\n"
        "  name  text. Name of the workload; *, ? and [...] as in a shell.\n"
    )


def test_a_field_of_a_playbook() -> None:
    assert said("playbook.spec.deadlineSeconds") == (
        "  playbook.spec.deadlineSeconds  1 to 3600. All steps of a pod together end after that.\n"
    )
    assert said("playbook").splitlines()[2:4] == ["  playbook.metadata", "  playbook.spec"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("container.exitcode", "no fact is called 'container.exitcode' (did you mean 'container.exitCode'?)"),
        ("facst", "no fact is called 'facst' (did you mean 'facts'?)"),
        ("playbook.spec.step", "no field is called 'playbook.spec.step' (did you mean 'playbook.spec.steps'?)"),
        ("zzz", "no fact is called 'zzz'; `podmedic explain facts`"),
    ],
)  # fmt: skip
def test_what_does_not_exist(name: str, complaint: str) -> None:
    result = CliRunner().invoke(explain, [name])
    assert result.exit_code == 2
    assert complaint in result.output
