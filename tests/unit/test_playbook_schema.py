"""The JSON Schema that editors use says the same as the loader."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from runner.playbook import PlaybookErrors, builtin, load
from runner.playbook.document import parse, to_value
from runner.playbook.schema import json_schema
from runner.redact import Redactor
from tests.playbooks import every

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

STEP = {"name": "a", "run": ["ls"]}
RULE = {"id": "f", "severity": "info", "title": "t", "message": "m"}


def playbook(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "podmedic.io/v1alpha1",
        "kind": "Playbook",
        "metadata": {"name": "p"},
        "spec": spec,
    }


GOOD: dict[str, dict[str, Any]] = {
    "a rule": playbook(findings=[RULE]),
    "every field of targets": playbook(
        steps=[STEP],
        targets={
            "selector": "app in (web, worker),tier!=cache,!canary,x",
            "fieldSelector": "status.phase=Running",
            "namespaces": ["shop"],
            "owners": [{"kind": "Deployment", "name": "web-*"}, {"kind": "Job"}],
            "conditions": ["CrashLoopBackOff", "Init:CrashLoopBackOff"],
            "minRestarts": 0,
            "minAgeSeconds": 1,
            "maxAgeSeconds": 2,
            "container": "app",
        },
    ),
    "every field of debugger": playbook(
        steps=[STEP],
        debugger={
            "image": "busybox:1.36",
            "imagePullPolicy": "Never",
            "profile": "sysadmin",
            "strategy": ["shared", "none"],
            "inherit": [],
            "targetContainerName": "app",
            "namePrefix": "triage",
            "command": ["/busybox/sh", "-c"],
            "args": ["a"],
            "workingDir": "/tmp",
            "env": [
                {"name": "A", "value": "$(B)"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {
                    "name": "C",
                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}},
                },
                {
                    "name": "D",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}},
                },
            ],
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c", "optional": True}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "None"}],
            "volumeDevices": [{"name": "d", "devicePath": "/dev/x"}],
            "stdin": True,
            "stdinOnce": True,
            "tty": True,
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "runAsUser": 0,
                "runAsGroup": 1000,
                "runAsNonRoot": False,
                "privileged": True,
                "allowPrivilegeEscalation": True,
                "readOnlyRootFilesystem": True,
                "procMount": "Unmasked",
                "capabilities": {"add": ["NET_RAW"], "drop": ["ALL"]},
                "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
                "appArmorProfile": {"type": "Unconfined"},
                "seLinuxOptions": {"level": "s0"},
            },
        },
    ),
    "evidence": playbook(
        evidence={"logs": {"perOwner": 0, "tailLines": 1, "limitBytes": 1}, "events": False}
    ),
    "every field of a step": playbook(
        steps=[
            {
                "name": "a_B-1",
                "description": "d",
                "script": "ls",
                "timeoutSeconds": 600,
                "retry": {"attempts": 10, "backoffSeconds": 0},
                "outputLimitBytes": 1,
                "needs": {"tools": ["ls", "nc.openbsd"], "target": True},
                "parse": {"keyValue": "="},
            },
            {**STEP, "parse": {"json": True}},
            {"name": "c", "run": ["x"], "parse": {"regex": "(?P<a>.)"}},
            {
                "name": "d",
                "run": ["df"],
                "parse": {
                    "table": {"columns": ["Use%", "path"], "header": False, "separator": ","},
                    "numbers": [{"name": "Use%", "unit": "percent"}],
                },
            },
            {"name": "e", "run": ["cat"], "parse": {"number": "bytes"}},
        ],
        deadlineSeconds=1,
    ),
    "every field of a finding": playbook(
        steps=[{**STEP, "parse": {"json": True}}],
        findings=[
            RULE,
            {
                "id": "g",
                "when": "has(container.exitCode) && item.x == match.y",
                "each": "steps.a.parsed",
                "match": {"in": ["logs.last"], "patterns": ["(?P<y>.)"], "lastLines": 3},
                "unless": ["f"],
                "fallback": True,
                "severity": "critical",
                "confidence": "possible",
                "title": "{{ item.x }}",
                "message": "{{ match.y }}",
                "remediation": "r",
                "evidence": ["steps.a.stdout", "events", "events.Killing", "container.status"],
                "lines": "x",
            },
        ],
    ),
}
BAD: dict[str, Any] = {
    "no mapping": [],
    "unknown field": {**playbook(), "foo": 1},
    "another version": {**playbook(), "apiVersion": "podmedic.io/v2"},
    "another kind": {**playbook(), "kind": "Policy"},
    "name in capitals": {**playbook(), "metadata": {"name": "P"}},
    "no name": {**playbook(), "metadata": {}},
    "no spec": {k: v for k, v in playbook().items() if k != "spec"},
    "null": playbook(targets=None),
    "null where a default is none": playbook(targets={"container": None}),
    "condition": playbook(targets={"conditions": ["Crash"]}),
    "negative": playbook(targets={"minRestarts": -1}),
    "word for number": playbook(deadlineSeconds="10"),
    "fraction": playbook(deadlineSeconds=1.5),
    "boolean for number": playbook(deadlineSeconds=True),
    "number for word": playbook(steps=[{"name": "a", "run": [5]}]),
    "empty command": playbook(steps=[{"name": "a", "run": []}]),
    "neither run nor script": playbook(steps=[{"name": "a"}]),
    "both run and script": playbook(steps=[{**STEP, "script": "x"}]),
    "step name": playbook(steps=[{"name": "A", "run": ["x"]}]),
    "snake case": playbook(steps=[{**STEP, "timeout_seconds": 1}]),
    "time-out": playbook(steps=[{**STEP, "timeoutSeconds": 601}]),
    "attempts": playbook(steps=[{**STEP, "retry": {"attempts": 0}}]),
    "parse of nothing": playbook(steps=[{**STEP, "parse": {}}]),
    "parse of two": playbook(steps=[{**STEP, "parse": {"json": True, "keyValue": "="}}]),
    "parse of a number and numbers": playbook(
        steps=[{**STEP, "parse": {"number": "bytes", "numbers": [{"name": "a", "unit": "bytes"}]}}]
    ),
    "a unit": playbook(steps=[{**STEP, "parse": {"number": "meters"}}]),
    "a column of two words": playbook(steps=[{**STEP, "parse": {"table": {"columns": ["a b"]}}}]),
    "parse json false": playbook(steps=[{**STEP, "parse": {"json": False}}]),
    "strategy twice": playbook(debugger={"strategy": ["target", "target"]}),
    "unknown strategy": playbook(debugger={"strategy": ["clone"]}),
    "no strategy": playbook(debugger={"strategy": []}),
    "severity": playbook(findings=[{**RULE, "severity": "fatal"}]),
    "no severity": playbook(findings=[{k: v for k, v in RULE.items() if k != "severity"}]),
    "reference": playbook(findings=[{**RULE, "evidence": ["logs.first"]}]),
    "match in nothing": playbook(findings=[{**RULE, "match": {"in": [], "patterns": ["x"]}}]),
    "match without patterns": playbook(findings=[{**RULE, "match": {"in": ["logs.last"]}}]),
}
# What one schema cannot say: the loader alone refuses these.
LOADER_ONLY: dict[str, dict[str, Any]] = {
    "nothing": playbook(),
    "CEL": playbook(findings=[{**RULE, "when": "a =="}]),
    "re2": playbook(findings=[{**RULE, "lines": "("}]),
    "Jinja2": playbook(findings=[{**RULE, "title": "{{"}]),
    "selector": playbook(targets={"selector": "a in ("}),
    "a name twice": playbook(steps=[STEP, STEP]),
    "a step that is not there": playbook(findings=[{**RULE, "evidence": ["steps.x.stdout"]}]),
}


def loads(document: Any) -> bool:
    try:
        load(yaml.safe_dump(document), "p.yaml")
    except PlaybookErrors:
        return False
    return True


def test_is_draft_07() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = json.dumps(SCHEMA)
    for later in ("$defs", "prefixItems", "unevaluatedProperties", "dependentRequired"):
        assert later not in text


def test_every_field_is_described_and_nothing_else_allowed() -> None:
    silent = []
    for name, each in {"Playbook": SCHEMA, **SCHEMA["definitions"]}.items():
        if each.get("type") == "object":
            assert each["additionalProperties"] is False, name
            silent += [
                f"{name}.{field}"
                for field, schema in each["properties"].items()
                if "description" not in schema and name != "Metadata"
            ]
    assert silent == []


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD.keys())
def test_both_accept(document: dict[str, Any]) -> None:
    load(yaml.safe_dump(document), "p.yaml")
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize("document", BAD.values(), ids=BAD.keys())
def test_both_refuse(document: Any) -> None:
    assert not loads(document)
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("document", LOADER_ONLY.values(), ids=LOADER_ONLY.keys())
def test_the_loader_knows_more(document: dict[str, Any]) -> None:
    assert not loads(document)
    assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize("path", builtin(), ids=lambda path: path.stem)
def test_accepts_the_built_in_playbooks(path: Any) -> None:
    tree, _ = parse(path.read_text(), str(path))
    value = json.loads(json.dumps(to_value(tree)))
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []


def test_ids_of_our_own_playbooks_are_no_names_of_secrets() -> None:
    """Reports list them with hashes of eight characters, as they do tokens."""
    ids = [rule.id for playbook in every().values() for rule in playbook.spec.findings]
    redactor = Redactor(b"k")
    found = [
        each for each in ids if redactor.redact_text(f'{{"rules":{{"{each}":"ed471124"}}}}')[1]
    ]
    assert found == []
