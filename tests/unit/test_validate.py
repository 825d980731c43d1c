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
        ("when", "pod.name + container.name", 0, NO_ANSWER.format("a string")),
        ("when", "events.filter(e, e.reason == 'x')", 0, NO_ANSWER.format("a list")),
        ("when", "events.exists(e, 1)", 17, NO_ANSWER.format("a number")),
        ("when", "container.ready ? true : 0", 25, NO_ANSWER.format("a number")),
        ("when", "container.ready || 'x'", 19, NO_ANSWER.format("a string")),
        ("when", "{}", 0, NO_ANSWER.format("a map")),
        ("when", "null", 0, NO_ANSWER.format("null")),
        ("when", "timestamp(logs.last)", 0, NO_ANSWER.format("a timestamp")),
        ("when", "events", 0, "events is neither true nor false: a list is counted (size(events) > 0)"),
        ("when", "container.ready && container.exitCode", 19, NO_FACT.format("container.exitCode")),
        ("when", "!pod.labels", 1, "pod.labels is neither true nor false: ask for something in it (pod.labels.NAME == …)"),
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
        ("when", "container.exitCode in [1, 2.5] || container.reason in ['Error', '']"),
        ("when", "events.exists(e, e.type == 'Warning' && e.count >= 3)"),
        ("when", "events.map(e, e.reason).exists(r, r == 'Killing' || r == logs.last)"),
        ("when", "pod.conditions.exists(c, pod.conditions[c].status == 'False')"),
        ("when", "steps.s.parsed.a == 1 || steps.s.parsed.b == '1' || steps.s.parsed.c"),
        ("when", "container.exitCode == null || pod.phase == '' || 'app' in pod.labels"),
        ("when", "timestamp(logs.last) - timestamp(logs.fatal) > duration('5m')"),
        ("when", "b'a' == bytes(logs.last) || type(logs.last) == type('')"),
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


PHASES = "Pending, Running, Succeeded, Failed or Unknown"


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("pod.name", 0, NO_FACT.format("pod.name")),
        ("!pod.name", 1, NO_FACT.format("pod.name")),
        ("pod.name || false", 0, NO_FACT.format("pod.name")),
        ("pod.labels.app", 0, NO_FACT.format("pod.labels.app")),
        ("pod.labels['app']", 0, NO_FACT.format("pod.labels['app']")),
        ("steps.s", 0, "steps.s is neither true nor false: ask for something in it (steps.s.NAME == …)"),
        ("services[0].port", 0, NO_FACT.format("services[0].port")),
        ("events.exists(e, e.reason)", 17, NO_FACT.format("e.reason")),
        ('steps.s.exitCode == "0"', 0,
         'steps.s.exitCode is a number and "0" a string, which are never equal: write 0'),
        ('"1" != container.exitCode', 0,
         '"1" is a string and container.exitCode a number, which are never equal: write 1'),
        ("container.reason == 5", 0,
         "container.reason is a string and 5 a number, which are never equal: write '5'"),
        ("pod.labels['app'] == pod.restartCount", 0,
         "pod.labels['app'] is a string and pod.restartCount a number, which are never equal: write int(pod.labels['app'])"),
        ("container.ready == 'true'", 0,
         "container.ready is a boolean and 'true' a string, which are never equal: write true"),
        ("container.ready == 1", 0, "container.ready is a boolean and 1 a number, which are never equal: write container.ready or !container.ready"),
        ("steps.s == 0", 0, "steps.s is a map and 0 a number, which are never equal: compare something in it (steps.s.NAME)"),
        ("steps.s.exitCode == true", 0, "steps.s.exitCode is a number and true a boolean, which are never equal"),
        ("(pod.name)", 0, NO_FACT.format("pod.name")),
        ("(container.ready ? 1 : 2) == 'a'", 0, "(container.ready ? 1 : 2) is a number and 'a' a string, which are never equal"),
        ("events == 0", 0,
         "events is a list and 0 a number, which are never equal: a list is counted by size(events)"),
        ("container.exitCode in [0, '1']", 0,
         "container.exitCode is a number and '1' a string, which are never equal: write 1"),
        ("'80' in container.ports", 0,
         "'80' is a string, and the entries of container.ports are numbers: it is never among them"),
        ("5 in pod.labels", 0,
         "5 is a number, and the keys of pod.labels are strings: it is never among them"),
        ('container.exitCode > "1"', 0,
         'container.exitCode is a number and "1" a string, which have no order: write 1'),
        ("pod.ageSeconds > duration('5m')", 0,
         "pod.ageSeconds is a number and duration('5m') a duration, which have no order"),
        ("pod.name.contains(5)", 18, "contains wants a string, and 5 is a number: write '5'"),
        ("steps.s.outcome == 'faild'", 0,
         'steps.s.outcome is never "faild" (did you mean "failed"?): it is passed, failed, timeout, error or not-evaluated'),
        ("pod.phase == 'Runing'", 0,
         f'pod.phase is never "Runing" (did you mean "Running"?): it is {PHASES}'),
        ("pod.phase in ['Pending', 'Lost']", 0, f'pod.phase is never "Lost": it is {PHASES}'),
        ("pod.conditions.Ready.status == 'true'", 0,
         'pod.conditions.Ready.status is never "true" (did you mean "True"?): it is True, False or Unknown'),
        ("events.filter(e, e.count > 1).exists(e, e.type == 'Eror')", 40,
         'e.type is never "Eror": it is Normal or Warning'),
    ],
)  # fmt: skip
def test_what_can_never_be_equal(tmp_path: Path, text: str, offset: int, words: str) -> None:
    steps = "  steps: [{name: s, run: [x]}]\n"
    quoted = text.replace("'", "''")
    lines = validated(tmp_path, HEAD + steps + RULE.format(f"when: '{quoted}'"))
    column = 57 + offset + (quoted[:offset] != "")
    assert lines == [f"f.yaml:7:{column}: spec.findings[0].when: {words}"]


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


def test_items_are_what_each_gives(tmp_path: Path) -> None:
    each = "each: 'events.filter(e, e.count > 1)', when: '{}'"
    lines = validated(tmp_path, HEAD + RULE.format(each.format('item.count == "3"')))
    words = 'item.count is a number and "3" a string, which are never equal: write 3'
    assert lines == [f"f.yaml:6:96: spec.findings[0].when: {words}"]
    lines = validated(tmp_path, HEAD + RULE.format(each.format("item.count == 3")))
    assert lines == ["f.yaml: valid: playbook p, 0 steps, 1 finding"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps.s.exitCode", "is a number, no answer: steps.s.exitCode != 0 is one"),
        ("yes", 'unknown name "yes" (did you mean "true"?)'),
        ("off", 'unknown name "off" (did you mean "false"?)'),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    steps = "  steps: [{name: s, run: [x]}]\n"
    lines = validated(tmp_path, HEAD + steps + RULE.format(f"when: {text}"))
    assert lines == [f"f.yaml:7:57: spec.findings[0].when: {words}"]


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (
            "steps: [{name: A b, run: [ls]}]",
            '5:18: spec.steps[0].name: expected a lower case letter first, then letters, digits, _ and -, 41 at most; found "A b"',
        ),
        (
            "stepz: [{name: a, run: [ls]}]",
            '5:3: spec.stepz: unknown field (did you mean "steps"?)',
        ),
    ],
)
def test_steps_that_cannot_be_read_are_told_alone(tmp_path: Path, steps: str, line: str) -> None:
    """Not beside them that each use of one finds none."""
    rule = (
        "  findings:\n  - {id: f, severity: info, title: t, message: '{{ steps.a.stdout }}',\n"
        "     when: 'steps.A.exitCode == 1 || steps[\"A b\"].exitCode == 1', evidence: [steps.a.stdout]}\n"
    )
    assert validated(tmp_path, f"{HEAD}  {steps}\n{rule}") == [f"f.yaml:{line}"]


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
