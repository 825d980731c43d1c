"""`podmedic validate`: which document a file is, and what only it looks for."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.cli.main import podmedic
from runner.playbook import builtin


def validated(tmp_path: Path, text: str) -> list[str]:
    """What it says, without the folder."""
    file = tmp_path / "f.yaml"
    file.write_text(text)
    done = CliRunner().invoke(podmedic, ["validate", str(file)], standalone_mode=False)
    return [line.removeprefix(f"{tmp_path}/") for line in done.output.splitlines()]


@pytest.mark.parametrize(
    ("kind", "spec", "lines"),
    [
        ("Policy", "{bounds: {qps: 0}}", ["f.yaml:4:22: spec.bounds.qps: must be at least 1"]),
        (
            "Polcy",
            "{bounds: {qps: 0}}",
            [
                'f.yaml:2:7: kind: must be "Policy", found "Polcy" (did you mean "Policy"?)',
                "f.yaml:4:22: spec.bounds.qps: must be at least 1",
            ],
        ),
        (
            "routes",
            "{}",
            [
                'f.yaml:2:7: kind: must be "Routes", found "routes" (did you mean "Routes"?)',
                "f.yaml:4:1: spec.routes: required field is missing",
            ],
        ),
        ("Deployment", "{}", ['f.yaml:2:7: kind: expected "Playbook", found "Deployment"']),
        ("[Policy]", "1", [
            'f.yaml:2:1: kind: must be "Playbook", found a list',
            "f.yaml:4:7: spec: must be a mapping (field: value), found 1",
        ]),
    ],
)  # fmt: skip
def test_which_document_it_is(tmp_path: Path, kind: str, spec: str, lines: list[str]) -> None:
    text = f"apiVersion: podmedic.io/v1alpha1\nkind: {kind}\nmetadata: {{name: p}}\nspec: {spec}\n"
    assert validated(tmp_path, text) == lines


@pytest.mark.parametrize("kind", ["Policy", "Playbook", "Routes"])
def test_a_pipe_is_read_once(kind: str) -> None:
    """`validate <(helm template …)`."""
    spec = {
        "Playbook": "{steps: [{name: a, run: [ls]}]}",
        "Routes": "{routes: [{name: a, playbooks: [triage]}]}",
    }.get(kind, "{}")
    reader, writer = os.pipe()
    text = f"apiVersion: podmedic.io/v1alpha1\nkind: {kind}\nmetadata: {{name: p}}\nspec: {spec}\n"
    os.write(writer, text.encode())
    os.close(writer)
    done = CliRunner().invoke(podmedic, ["validate", f"/dev/fd/{reader}"], standalone_mode=False)
    os.close(reader)
    assert done.output.startswith(f"/dev/fd/{reader}: valid: {kind.lower()} p")


def test_an_image_that_is_none(tmp_path: Path) -> None:
    steps = "  debugger: {image: 'busy box'}\n  steps: [{name: a, run: [ls]}]\n"
    assert validated(tmp_path, HEAD + steps) == [
        "f.yaml:5:21: spec.debugger.image: is no reference of an image, such as ghcr.io/podmedic/tools:1"
    ]


def test_a_policy_as_json(tmp_path: Path) -> None:
    text = '{"apiVersion":"podmedic.io/v1alpha1","kind":"Policy","metadata":{"name":"x"}}'
    assert validated(tmp_path, text) == ["f.yaml: valid: policy x"]


HEAD = "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\nmetadata: {name: p}\nspec:\n"
RULE = "  findings:\n  - {{id: f, severity: info, title: t, message: m, {}}}\n"
AT = "f.yaml:6:{}: spec.findings[0].{}: {}"
NO_ANSWER = "gives {}, where true or false is expected"
NO_FACT = "{0} is neither true nor false: compare it ({0} == …)"
NO_LIST = "gives {}, where a list is expected"


@pytest.mark.parametrize(
    ("field", "text", "offset", "words"),
    [
        ("when", "1 + 1", 0, NO_ANSWER.format("a number")),
        ("when", "'a' + logs.last", 0, NO_ANSWER.format("a string")),
        ("when", "size(logs.last)", 0, NO_ANSWER.format("a number")),
        ("when", "logs.last.lower()", 0, NO_ANSWER.format("a string")),
        ("when", "container.exitCode * 2", 0, NO_ANSWER.format("a number")),
        ("when", "pod.name + container.name", 0, NO_ANSWER.format("a sum")),
        ("when", "events.filter(e, e.reason == 'x')", 0, NO_ANSWER.format("a list")),
        ("when", "events.exists(e, 1)", 17, NO_ANSWER.format("a number")),
        ("when", "container.ready ? true : 0", 25, NO_ANSWER.format("a number")),
        ("when", "container.ready || 'x'", 19, NO_ANSWER.format("a string")),
        ("when", "{}", 0, NO_ANSWER.format("a map")),
        ("when", "null", 0, NO_ANSWER.format("null")),
        ("when", "timestamp(logs.last)", 0, NO_ANSWER.format("a timestamp")),
        ("when", "events", 0, NO_ANSWER.format("a list")),
        ("when", "container.ready && container.exitCode", 19, NO_FACT.format("container.exitCode")),
        ("when", "!pod.labels", 1, NO_FACT.format("pod.labels")),
        ("when", "'x' in logs.last", 0, "\"in\" looks into lists and maps; of a text it is TEXT.contains('…')"),
        ("when", "steps['a-c'].exitCode == 1", 7, 'no step is called "a-c"'),
        ("each", "1", 0, NO_LIST.format("a number")),
        ("each", "container.ready", 0, NO_LIST.format("true or false")),
        ("each", "{'a': 1}", 0, NO_LIST.format("a map")),
    ],
)  # fmt: skip
def test_a_condition_that_is_never_true_or_false(
    tmp_path: Path, field: str, text: str, offset: int, words: str
) -> None:
    quoted = text.replace("'", "''")
    lines = validated(tmp_path, HEAD + RULE.format(f"{field}: '{quoted}'"))
    assert lines == [AT.format(58 + offset if offset else 57, field, words)]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("when", "container.ready"),
        ("when", "!(container.exitCode == 1) && has(container.signal)"),
        ("when", "container.ready ? logs.last.contains('1 + 1') : -1 in [1, 2]"),
        ("when", "containers.all(c, c.ready || c.init) // 1 + 1"),
        ("when", "pod.labels['app'] == pod.labels.app && steps.s.parsed"),
        ("when", "steps.s.truncated || {'a': true}.a || [true][0]"),
        ("when", "size(logs.last.lower()) * 2 < int('3') % 2"),
        ("when", "!" * 1900 + "container.ready"),
        ("each", "container.ports + [1]"),
        ("each", "[container.exitCode]"),
        ("each", "container.ready ? events : []"),
        ("each", "steps.s.parsed.filter(row, row.ok)"),
    ],
)
def test_conditions_that_may_be_either(tmp_path: Path, field: str, text: str) -> None:
    steps = "  steps: [{name: s, run: [x], parse: {json: true}}]\n"
    quoted = text.replace("'", "''")
    lines = validated(tmp_path, HEAD + steps + RULE.format(f"{field}: '{quoted}'"))
    assert lines == ["f.yaml: valid: playbook p, 1 step, 1 finding"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% if pod.name %}" * 100 + "{% endif %}" * 100, "nested too deeply"),
        ("{{ " + "not " * 300 + "pod.name }}", "nested too deeply"),
        ("{{ pod.name" + " | trim" * 300 + " }}", "nested too deeply"),
        (
            "{{ pod.name | short(length=1, length=2) }}",
            "not a template: keyword argument repeated: length",
        ),
        ("{{ " + "9" * 5000 + " }}", "not a template: a number is too long"),
    ],
    ids=["if", "not", "filter", "argument", "number"],
)
def test_templates_that_cannot_be_rendered(tmp_path: Path, template: str, words: str) -> None:
    """A run would say so when it has a finding to tell, or sit minutes over it."""
    lines = validated(tmp_path, HEAD + RULE.format(f'remediation: "{template}"'))
    assert lines == [AT.format(64, "remediation", words)]


@pytest.mark.parametrize(
    ("template", "column", "member", "hint"),
    [
        ("f {{ steps.a.stdot }}", 62, "stdot", ' (did you mean "stdout"?)'),
        ("{{ steps['b-c'].exitcode }}", 65, "exitcode", ' (did you mean "exitCode"?)'),
        ("{% if steps.a.x %}{% endif %}", 63, "x", ""),
    ],
)
def test_templates_that_ask_for_what_no_step_has(
    tmp_path: Path, template: str, column: int, member: str, hint: str
) -> None:
    steps = "  steps: [{name: a, run: [x]}, {name: b-c, run: [x]}]\n"
    rule = f'  findings:\n  - {{id: f, severity: info, title: t, message: "{template}"}}\n'
    words = f'spec.findings[0].message: a step has no "{member}"{hint}'
    assert validated(tmp_path, HEAD + steps + rule) == [f"f.yaml:7:{column}: {words}"]


def test_the_built_in_playbooks_hold(tmp_path: Path) -> None:
    files = [str(path) for path in builtin()]
    done = CliRunner().invoke(podmedic, ["validate", *files], standalone_mode=False)
    assert [line for line in done.output.splitlines() if ": valid: playbook " not in line] == []


def test_capabilities_and_kinds_that_are_misspelt(tmp_path: Path) -> None:
    """Linux has no more capabilities; pods may belong to objects of any kind."""
    text = (
        "  debugger: {securityContext: {capabilities: {add: [NET_ADMNI, CAP_NET_RAW, net_admin, "
        "FLY], drop: [ALL, SYSLOG]}}}\n"
        "  targets: {owners: [{kind: Deploymnet}, {kind: deployment}, {kind: Jobs}, {kind: CronJb}, "
        "{kind: Job}, {kind: JobSet}, {kind: CronTab}, {kind: Rollout}, {kind: POD}]}\n"
        "  steps: [{name: a, run: [ls], needs: {capabilities: [SYS_PTRACE, cap_bpf]}}]\n"
    )
    assert validated(tmp_path, HEAD + text) == [
        'f.yaml:5:53: spec.debugger.securityContext.capabilities.add[0]: Linux has no capability "NET_ADMNI" (did you mean "NET_ADMIN"?)',
        'f.yaml:5:64: spec.debugger.securityContext.capabilities.add[1]: is written without CAP_: "NET_RAW"',
        'f.yaml:5:77: spec.debugger.securityContext.capabilities.add[2]: expected a capability without CAP_, such as SYS_PTRACE; found "net_admin" (did you mean "NET_ADMIN"?)',
        'f.yaml:5:88: spec.debugger.securityContext.capabilities.add[3]: Linux has no capability "FLY"',
        'f.yaml:6:29: spec.targets.owners[0].kind: expected the kind of an object, found "Deploymnet" (did you mean "Deployment"?)',
        'f.yaml:6:49: spec.targets.owners[1].kind: expected a kind such as Deployment; found "deployment" (did you mean "Deployment"?)',
        'f.yaml:6:69: spec.targets.owners[2].kind: expected the kind of an object, found "Jobs" (did you mean "Job"?)',
        'f.yaml:6:83: spec.targets.owners[3].kind: expected the kind of an object, found "CronJb" (did you mean "CronJob"?)',
        'f.yaml:6:162: spec.targets.owners[8].kind: expected the kind of an object, found "POD" (did you mean "Pod"?)',
        'f.yaml:7:67: spec.steps[0].needs.capabilities[1]: expected a capability without CAP_, such as SYS_PTRACE; found "cap_bpf" (did you mean "BPF"?)',
    ]  # fmt: skip
