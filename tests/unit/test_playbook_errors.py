"""What is wrong with a playbook is said in one line each, at its place, all at once."""

import pytest

from runner.playbook import PlaybookErrors, UnknownPlaybookError, load, resolve

HEAD = """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: p}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlaybookErrors) as caught:
        load(text, "p.yaml")
    return str(caught.value).splitlines()


# text below HEAD, the lines
CASES: list[tuple[str, str, list[str]]] = [
    (
        "a typing mistake",
        "spec:\n  steps:\n  - name: a\n    comand: [ls]\n",
        [
            'p.yaml:7:5: spec.steps[0].comand: unknown field (did you mean "run"?)',
        ],
    ),
    (
        "a container that stays, for less than it takes to use it twice",
        "spec:\n  debugger: {lifetime: resident, ttlSeconds: 279}\n  steps: [{name: a, run: [ls]}]\n",
        [
            "p.yaml:5:46: spec.debugger.ttlSeconds: too short for a container that is to be used again: at least 280 is needed, twice the deadline of the steps (120 s) and a little"
        ],
    ),
    (
        "snake case",
        "spec:\n  steps:\n  - {name: a, run: [ls], timeout_seconds: 3}\n",
        ['p.yaml:6:26: spec.steps[0].timeout_seconds: unknown field (did you mean "timeoutSeconds"?)'],
    ),
    (
        "numbers and booleans where words are wanted",
        "spec:\n  steps:\n  - name: a\n    run: [sleep, 5, true, 0x1F, 1.5, no, on, 1_0, 1:30, 012x, ~]\n",
        [
            'p.yaml:7:18: spec.steps[0].run[1]: must be a string, but YAML reads 5 as a number: quote it ("5")',
            'p.yaml:7:21: spec.steps[0].run[2]: must be a string, but YAML reads true as true or false: quote it ("true")',
            'p.yaml:7:27: spec.steps[0].run[3]: must be a string, but YAML reads 0x1F as a number: quote it ("0x1F")',
            'p.yaml:7:33: spec.steps[0].run[4]: must be a string, but YAML reads 1.5 as a number: quote it ("1.5")',
            'p.yaml:7:63: spec.steps[0].run[10]: has no value, where a string is expected; give it one or take the entry out (quote it if it is a word: "~")',
        ],
    ),
    (
        "words where numbers are wanted",
        "spec:\n  deadlineSeconds: ten\n  evidence: {events: yes, logs: {tailLines: 1.5, perOwner: true}}\n",
        [
            'p.yaml:5:20: spec.deadlineSeconds: must be a whole number, found "ten"',
            'p.yaml:6:22: spec.evidence.events: must be true or false, found "yes" (did you mean true?)',
            "p.yaml:6:45: spec.evidence.logs.tailLines: must be a whole number, found 1.5",
            "p.yaml:6:60: spec.evidence.logs.perOwner: must be a whole number, found true",
        ],
    ),
    (
        "limits",
        "spec:\n  deadlineSeconds: 0\n  debugger: {strategy: []}\n  steps:\n  - {name: a, run: [], outputLimitBytes: 99999999}\n",
        [
            "p.yaml:5:20: spec.deadlineSeconds: must be at least 1",
            "p.yaml:6:14: spec.debugger.strategy: must have at least 1 entry",
            "p.yaml:8:15: spec.steps[0].run: must have at least 1 entry",
            "p.yaml:8:42: spec.steps[0].outputLimitBytes: must be at most 16777216",
        ],
    ),
    (
        "wrong shapes",
        "spec:\n  targets: [a]\n  steps: {name: a}\n  findings:\n  - x\n",
        [
            "p.yaml:5:3: spec.targets: must be a mapping (field: value), found a list",
            "p.yaml:6:3: spec.steps: must be a list, found a mapping (each entry begins with - )",
            'p.yaml:8:5: spec.findings[0]: must be a mapping (field: value), found "x"',
        ],
    ),
    (
        "nothing where something is wanted",
        "spec:\n  targets:\n  steps: null\n",
        [
            "p.yaml:5:3: spec.targets: has no value, where a mapping (field: value) is expected; give it one or leave it out",
            "p.yaml:6:3: spec.steps: has no value, where a list is expected; give it one or leave it out",
        ],
    ),
    (
        "nothing where something is required",
        "spec:\n  steps:\n  - name:\n    run: [ls]\n    needs: {target: ~, tols: }\n    timeoutSeconds:\n  -\n  debugger: {profile: }\n  findings: ~\n",
        [
            "p.yaml:6:5: spec.steps[0].name: has no value, where a string is expected; the field is required",
            "p.yaml:8:13: spec.steps[0].needs.target: has no value, where true or false is expected; give it one or leave it out",
            'p.yaml:8:24: spec.steps[0].needs.tols: unknown field (did you mean "tools"?)',
            "p.yaml:9:5: spec.steps[0].timeoutSeconds: has no value, where a whole number is expected; give it one or leave it out",
            "p.yaml:10:4: spec.steps[1]: has no value, where a mapping (field: value) is expected; give it one or take the entry out",
            "p.yaml:11:14: spec.debugger.profile: has no value, where one of auto, restricted, general, baseline, netadmin, sysadmin is expected; give it one or leave it out",
            "p.yaml:12:3: spec.findings: has no value, where a list is expected; give it one or leave it out",
        ],
    ),
    (
        "numbers that are too long",
        "spec:\n  deadlineSeconds: 99999999999999999999999999\n  targets: {minRestarts: -12345678901234567890123456789012345678901234567890, maxAgeSeconds: 1e999}\n  evidence: {logs: {tailLines: 0xFFFFFFFFFFFFFFFFFFFF}}\n  debugger: {image: 123456789012345678901}\n",
        [
            "p.yaml:5:20: spec.deadlineSeconds: must be a whole number from 1 to 3600, found 9999999999999999999999999…",
            "p.yaml:6:26: spec.targets.minRestarts: must be a whole number from 0 to 999999999999999999, found -123456789012345678901234…",
            "p.yaml:6:94: spec.targets.maxAgeSeconds: must be a whole number, found 1e999",
            "p.yaml:7:32: spec.evidence.logs.tailLines: must be a whole number from 1 to 10000, found 0xFFFFFFFFFFFFFFFFFFFF",
            'p.yaml:8:21: spec.debugger.image: must be a string, but YAML reads 123456789012345678901 as a number: quote it ("123456789012345678901")',
        ],
    ),
    (
        "a list or a mapping where a word is wanted",
        "spec:\n  steps:\n  - {name: [a], run: [{b: c}, ls]}\n",
        [
            "p.yaml:6:6: spec.steps[0].name: must be a string, found a list",
            'p.yaml:6:23: spec.steps[0].run[0]: must be a string, found a mapping (field: value) (did you mean "b: c"?)',
        ],
    ),
    (
        "a step without a name is told alone",
        "spec:\n  steps:\n  - {run: [ls]}\n  findings:\n  - {id: f, when: steps.a.exitCode == 1, severity: info, title: t, message: '{{ steps.a.stdout }}', evidence: [steps.a.stdout]}\n",
        ["p.yaml:6:5: spec.steps[0].name: required field is missing"],
    ),
    (
        "steps that are no list are told alone",
        "spec:\n  steps: {name: a, run: [ls]}\n  findings:\n  - {id: f, when: steps.a.exitCode == 1, severity: info, title: t, message: m}\n",
        ["p.yaml:5:3: spec.steps: must be a list, found a mapping (each entry begins with - )"],
    ),
    (
        "a misspelt field is told alone",
        "spec:\n  steps:\n  - {nam: a, run: [ls], parse: {jsn: true}}\n  - {name: b, run: [ls], prase: {json: true}}\n  findings:\n  - {idd: f, severity: info, title: t, message: m, when: steps.b.parsed == 1}\n  - {id: g, severity: info, title: t, message: m, unless: [f]}\n  - {id: h, severity: info, title: t, message: '{{ match.x }}', match: {in: [logs.last], pattern: ['(?P<x>a)']}}\n",
        [
            'p.yaml:6:6: spec.steps[0].nam: unknown field (did you mean "name"?)',
            'p.yaml:6:33: spec.steps[0].parse.jsn: unknown field (did you mean "json"?)',
            'p.yaml:7:26: spec.steps[1].prase: unknown field (did you mean "parse"?)',
            'p.yaml:9:6: spec.findings[0].idd: unknown field (did you mean "id"?)',
            'p.yaml:11:90: spec.findings[2].match.pattern: unknown field (did you mean "patterns"?)',
        ],
    ),
    (
        "what names steps of a playbook that is misspelt",
        "spec:\n  use: [crashlop/*]\n  findings:\n  - {id: f, when: steps.a.exitCode == 1, severity: info, title: t, message: m, unless: [exit-0]}\n",
        ['p.yaml:5:9: spec.use[0]: no built-in playbook is called "crashlop" (did you mean "crashloop"?)'],
    ),
    (
        "words of a closed list",
        "spec:\n  targets: {conditions: [CrashLoop, OOMKilled]}\n  debugger: {profile: privileged, strategy: [clone, target]}\n",
        [
            'p.yaml:5:26: spec.targets.conditions[0]: must be one of CrashLoopBackOff, Init:CrashLoopBackOff, OOMKilled, ImagePullBackOff, CreateContainerConfigError, CreateContainerError, Error, NotReady, Ready, Running, Pending, found "CrashLoop" (did you mean "CrashLoopBackOff"?)',
            'p.yaml:6:23: spec.debugger.profile: must be one of auto, restricted, general, baseline, netadmin, sysadmin, found "privileged"',
            'p.yaml:6:46: spec.debugger.strategy[0]: must be one of auto, target, own-image, shared, catch, copy, none, found "clone" (did you mean "none"?)',
        ],
    ),
    (
        "fields of a container that an ephemeral one may not have",
        "spec:\n  debugger:\n    ports: [{containerPort: 80}]\n    resources: {}\n    runAsUser: 7\n    volumeMounts: [{name: v, mountPath: /v, subPath: a}]\n    workingdir: /\n",
        [
            "p.yaml:6:5: spec.debugger.ports: cannot be set: ephemeral containers may not have it; the pod's network is shared, and listening needs no entry",
            "p.yaml:7:5: spec.debugger.resources: cannot be set: ephemeral containers may not have it: it counts against the limits of the pod",
            "p.yaml:8:5: spec.debugger.runAsUser: cannot be set: it belongs into securityContext",
            "p.yaml:9:45: spec.debugger.volumeMounts[0].subPath: cannot be set: ephemeral containers may not have it; mount the volume whole and look below it",
            'p.yaml:10:5: spec.debugger.workingdir: unknown field (did you mean "workingDir"?)',
        ],
    ),
    (
        "fields of a container that contradict each other",
        ("spec:\n  targets: {container: app}\n  debugger:\n    targetContainerName: db\n    inherit: [env, env]\n"
        "    env: [{name: PODMEDIC_RUN, value: x}, {name: A, value: a, valueFrom: {fieldRef: {fieldPath: f}}}, {name: A, valueFrom: {}}]\n"
        "    envFrom: [{prefix: a}]\n    volumeMounts: [{name: v, mountPath: v}, {name: v, mountPath: /a}, {name: w, mountPath: /a}]\n"
        "    securityContext: {runAsUser: 0, seccompProfile: {type: Localhost}}\n"),
        [
            'p.yaml:7:26: spec.debugger.targetContainerName: spec.targets.container is "app"; one of them is enough',
            "p.yaml:8:5: spec.debugger.inherit: names a word twice",
            "p.yaml:9:18: spec.debugger.env[0].name: names that begin with PODMEDIC_ are ours",
            "p.yaml:9:63: spec.debugger.env[1].valueFrom: a variable has value or valueFrom, not both",
            'p.yaml:9:110: spec.debugger.env[2].name: "A" is there twice',
            "p.yaml:9:113: spec.debugger.env[2].valueFrom: needs exactly one of configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef",
            "p.yaml:10:15: spec.debugger.envFrom[0]: needs exactly one of configMapRef, secretRef",
            'p.yaml:11:41: spec.debugger.volumeMounts[0].mountPath: expected an absolute path without a colon; found "v"',
            "p.yaml:11:92: spec.debugger.volumeMounts[2].mountPath: /a is taken",
            "p.yaml:12:34: spec.debugger.securityContext.runAsUser: user 0 is what runAsNonRoot forbids, and profile restricted may set that",
            "p.yaml:12:37: spec.debugger.securityContext.seccompProfile: localhostProfile goes with type Localhost, and only so",
        ],
    ),
    (
        "selectors",
        "spec:\n  targets: {selector: 'app in (a', fieldSelector: 'x', namespaces: [A_b]}\n",
        [
            "p.yaml:5:23: spec.targets.selector: expected KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY or !KEY, joined by commas; cannot read 'in (a' in label selector term 'app in (a'",
            "p.yaml:5:51: spec.targets.fieldSelector: expected FIELD=VALUE or FIELD!=VALUE, found 'x'",
            'p.yaml:5:69: spec.targets.namespaces[0]: expected lower case letters, digits and -; found "A_b"',
        ],
    ),
    (
        "duplicate keys",
        "spec:\n  deadlineSeconds: 1\n  steps: []\n  deadlineSeconds: 2\n",
        ["p.yaml:7:3: spec.deadlineSeconds: duplicate key, first at 5:3"],
    ),
    (
        "names that are taken or do not exist",
        ("spec:\n"
        "  steps:\n"
        "  - {name: a, run: [ls]}\n"
        "  - {name: a, run: [ls], script: ls}\n"
        "  findings:\n"
        "  - {id: f, when: steps.b.exitCode == 1, unless: [g], severity: info, title: t, message: m}\n"
        "  - {id: f, severity: info, title: t, message: m, evidence: [steps.c.stdout, logs.first]}\n"),
        [
            'p.yaml:7:12: spec.steps[1].name: "a" is taken by steps[0]',
            "p.yaml:7:34: spec.steps[1].script: a step has run or script, not both",
            'p.yaml:9:19: spec.findings[0].when: no step is called "b"',
            'p.yaml:9:51: spec.findings[0].unless[0]: no rule before this one has the id "g"',
            'p.yaml:10:10: spec.findings[1].id: "f" is taken by findings[0]',
            'p.yaml:10:62: spec.findings[1].evidence[0]: no step is called "c"',
            'p.yaml:10:78: spec.findings[1].evidence[1]: expected steps.NAME.stdout, steps.NAME.stderr, logs.last, logs.current, logs.previous, logs.fatal, logs.fatalWords, logs.neighbours, events, events.REASON, container.message, container.waitingMessage, container.status, pod.message, pod.conditions.TYPE.message, object.message or object.status; found "logs.first"',
        ],
    ),
    (
        "expressions, at their place in the text",
        ("spec:\n"
        "  findings:\n"
        "  - id: f\n"
        "    severity: info\n"
        "    when: |\n"
        "      has(container.exitCode)\n"
        "      && contaner.exitCode == 1\n"
        '    title: "{{ container.nam }}"\n'
        "    message: |\n"
        "      Line one\n"
        "      {{ x | foo }}\n"
        "    match: {in: [logs.last], patterns: ['(', '(?=a)']}\n"
        "    lines: '[z-a]'\n"),
        [
            'p.yaml:10:10: spec.findings[0].when: unknown name "contaner" (did you mean "container"?)',
            'p.yaml:11:26: spec.findings[0].title: unknown member of container "nam" (did you mean "name"?)',
            'p.yaml:14:10: spec.findings[0].message: unknown name "x"',
            'p.yaml:14:14: spec.findings[0].message: unknown filter "foo"',
            "p.yaml:15:41: spec.findings[0].match.patterns[0]: not a re2 regular expression: missing ): (",
            "p.yaml:15:46: spec.findings[0].match.patterns[1]: not a re2 regular expression: invalid perl operator: (?=",
            "p.yaml:16:12: spec.findings[0].lines: not a re2 regular expression: invalid character class range: z-a",
        ],
    ),
    (
        "names that are there only for some rules",
        ("spec:\n"
        "  steps:\n"
        "  - {name: a, run: [ls]}\n"
        "  findings:\n"
        "  - {id: f, severity: info, title: '{{ item }}', message: '{{ match.x }}', when: steps.a.parsed == item}\n"
        "  - {id: g, severity: info, title: t, message: '{{ match.y }}', match: {in: [logs.last], patterns: ['(?P<x>a)']}}\n"),
        [
            'p.yaml:8:40: spec.findings[0].title: "item" is there only with each',
            'p.yaml:8:63: spec.findings[0].message: "match" is there only with match',
            'p.yaml:8:82: spec.findings[0].when: step "a" has no parse, so steps.a.parsed is never there',
            'p.yaml:8:100: spec.findings[0].when: unknown name "item"',
            'p.yaml:9:52: spec.findings[1].message: no pattern of match has a group "y"',
        ],
    ),
    (
        "what is read as if it were something else",
        ("spec:\n"
        "  steps:\n"
        "  - {name: a, run: [ls], parse: {regex: '(?P<x>a)'}}\n"
        "  findings:\n"
        "  - {id: f, severity: info, title: t, message: '{{ steps.a.parsed.x }}', when: steps.a.parsed.x == ''}\n"
        "  - {id: g, severity: info, title: t, message: m, when: steps.a.exitCode}\n"
        "  - {id: h, severity: info, title: t, message: m, when: \"steps.a.parsed.exists(p, p.x == 'a')\"}\n"),
        [
            "p.yaml:8:52: spec.findings[0].message: regex makes a list of maps of stdout: steps.a.parsed[0].x is that of the first",
            "p.yaml:8:80: spec.findings[0].when: regex makes a list of maps of stdout: steps.a.parsed[0].x is that of the first",
            "p.yaml:9:57: spec.findings[1].when: is a number, no answer: steps.a.exitCode != 0 is one",
        ],
    ),
    (
        "all that is wrong with one text",
        ("spec:\n"
        "  findings:\n"
        "  - id: f\n"
        "    severity: info\n"
        "    when: contaner.exitCode == podd.name && foo(bar(1))\n"
        "    title: '{{ pod.nam }} {{ containr.name | shrt }} {{ pod.name is difined }}'\n"
        "    message: |\n"
        "      {{ pod.name }}\n"
        "      {{ x }}\n"
        "  - {id: g, severity: info, title: t, message: m, when: contaner.exitCode == podd.name}\n"),
        [
            'p.yaml:8:45: spec.findings[0].when: unknown function "foo"',
            'p.yaml:8:49: spec.findings[0].when: unknown function "bar"',
            'p.yaml:9:20: spec.findings[0].title: unknown member of pod "nam" (did you mean "name"?)',
            'p.yaml:9:30: spec.findings[0].title: unknown name "containr" (did you mean "container"?)',
            'p.yaml:9:46: spec.findings[0].title: unknown filter "shrt" (did you mean "short"?)',
            'p.yaml:9:69: spec.findings[0].title: unknown test "difined" (did you mean "defined"?)',
            'p.yaml:12:10: spec.findings[0].message: unknown name "x"',
            'p.yaml:13:57: spec.findings[1].when: unknown name "contaner" (did you mean "container"?)',
            'p.yaml:13:78: spec.findings[1].when: unknown name "podd" (did you mean "pod"?)',
        ],
    ),
    (
        "templates that do more than say",
        ("spec:\n"
        "  findings:\n"
        "  - {id: f, severity: info, title: '{% for x in events %}{% endfor %}', message: '{{ \"a\" * 9999 }}', remediation: '{{ x'}\n"),
        [
            "p.yaml:6:36: spec.findings[0].title: templates know names, filters and if; found a loop (for)",
            "p.yaml:6:82: spec.findings[0].message: templates know names, filters and if; found a calculation",
            "p.yaml:6:115: spec.findings[0].remediation: not a template: {{ is not closed by }}",
        ],
    ),
    (
        "a parse of two kinds",
        "spec:\n  steps:\n  - {name: a, run: [ls], parse: {json: true, keyValue: '='}}\n  - {name: b, run: [ls], parse: {json: false}}\n  - {name: c, run: [ls], parse: {regex: abc}}\n",
        [
            "p.yaml:6:26: spec.steps[0].parse: needs exactly one of regex, json, keyValue, table, number",
            "p.yaml:7:40: spec.steps[1].parse.json: must be true, found false",
            "p.yaml:8:41: spec.steps[2].parse.regex: needs at least one named group: (?P<name>...)",
        ],
    ),
    (
        "a table and numbers that do not fit",
        ("spec:\n"
        "  steps:\n"
        "  - {name: a, run: [df], parse: {table: {header: false}}}\n"
        "  - {name: b, run: [df], parse: {table: {columns: [dev, size, dev]}, numbers: [{name: sise, unit: bytes}]}}\n"
        "  - {name: c, run: [df], parse: {regex: '(?P<a>.)', numbers: [{name: b, unit: bytes}, {name: a, unit: meters}]}}\n"
        "  - {name: d, run: [df], parse: {number: kilobytes}}\n"
        "  - {name: e, run: [df], parse: {json: true, numbers: []}}\n"
        "  - {name: f, run: [df], parse: {table: {columns: [a b]}}}\n"
        "  - {name: g, run: [df], parse: {keyValue: '=', numbers: [{name: a, unit: millis}, {name: a, unit: bytes}]}}\n"),
        [
            "p.yaml:6:50: spec.steps[0].parse.table.header: without a header the table needs columns",
            'p.yaml:7:63: spec.steps[1].parse.table.columns[2]: "dev" is there twice',
            'p.yaml:7:87: spec.steps[1].parse.numbers[0].name: the table has no column "sise" (did you mean "size"?)',
            'p.yaml:8:70: spec.steps[2].parse.numbers[0].name: the pattern has no group "b"',
            'p.yaml:8:103: spec.steps[2].parse.numbers[1].unit: must be one of bytes, milliseconds, millis, percent, integer, found "meters"',
            'p.yaml:9:42: spec.steps[3].parse.number: must be one of bytes, milliseconds, millis, percent, integer, found "kilobytes" (did you mean "bytes"?)',
            "p.yaml:10:46: spec.steps[4].parse.numbers: is there only with regex, keyValue, table",
            'p.yaml:11:52: spec.steps[5].parse.table.columns[0]: expected a word of at most 63 characters, without blanks; found "a b"',
            'p.yaml:12:91: spec.steps[6].parse.numbers[1].name: "a" is there twice',
        ],
    ),
    (
        "a step that can never run",
        "spec:\n  debugger: {strategy: [shared]}\n  steps:\n  - {name: a, run: [ls], needs: {target: true}}\n",
        ["p.yaml:7:42: spec.steps[0].needs.target: needs the target's processes, but spec.debugger.strategy has no target, catch or auto"],
    ),
    (
        "a merge key",
        "spec:\n  debugger: &d {inherit: []}\n  targets: {<<: *d}\n",
        ["p.yaml:6:13: spec.targets.<<: unknown field (YAML 1.2 has no merge keys)"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lines"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_mistakes(text: str, lines: list[str]) -> None:
    assert mistakes(HEAD + text) == lines


def test_an_echo_of_the_file_stays_one_harmless_line() -> None:
    assert mistakes(HEAD + 'spec: "\\n\\e[31m"\n') == [
        r'p.yaml:4:7: spec: must be a mapping (field: value), found "\n\x1b[31m"'
    ]


@pytest.mark.parametrize("spec", ["{}", "{steps: [], evidence: {}}", "{targets: {minRestarts: 1}}"])
def test_a_playbook_that_does_nothing(spec: str) -> None:
    assert mistakes(f"{HEAD}spec: {spec}\n") == [
        "p.yaml:4:1: spec: does nothing: give it steps, findings or workloads, or name playbooks in includes or parts of them in use"
    ]


@pytest.mark.parametrize(
    "spec",
    ["{includes: [triage]}", "{use: [triage/*]}", "{evidence: {logs: {tailLines: 9}}}"],
)
def test_a_playbook_that_does_something(spec: str) -> None:
    assert load(f"{HEAD}spec: {spec}\n", "p.yaml").name == "p"


def test_required_fields() -> None:
    assert mistakes("kind: Playbook\n") == [
        "p.yaml:1:1: apiVersion: required field is missing",
        "p.yaml:1:1: metadata: required field is missing",
        "p.yaml:1:1: spec: required field is missing",
    ]


def test_unknown_playbook() -> None:
    with pytest.raises(UnknownPlaybookError) as caught:
        resolve("crashlop")
    assert str(caught.value) == (
        'no playbook is called "crashlop" (did you mean "crashloop"?); '
        '`podmedic list` shows those there are; a path needs a "/"'
    )
