"""The administrator's word: read strictly, and stronger than playbooks and options."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from runner.cli.main import podmedic
from runner.model.pod import Pod
from runner.playbook import Playbook, PlaybookErrors, load
from runner.playbook.load import load_document
from runner.playbook.reading import made
from runner.playbook.reference import fields
from runner.playbook.spec import Collect
from runner.policy import (
    DEFAULT,
    Policy,
    json_schema,
    load_policy,
    manifests,
    of_injection,
    of_namespace,
    of_playbook,
)
from runner.policy.judge import matches_any
from runner.policy.spec import PARTS
from tests.unit.pods import pod, running
from tests.unit.security_contexts import ROOT_CASES, Context

ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nmetadata: {name: strict}\n"
STRICT: dict[str, Any] = {
    "images": {"allow": ["ghcr.io/podmedic/*"], "requireDigest": True},
    "security": {"profiles": ["restricted"], "capabilities": [], "root": False},
    "strategies": ["shared"],
    "transports": ["log"],
    "secrets": {"mounts": False},
    "bounds": {"maxInFlight": 8, "maxPerWorkload": 1},
}
PINNED = "ghcr.io/podmedic/tools@sha256:" + "a" * 64
BODY: dict[str, Any] = {"image": PINNED, "securityContext": {"runAsUser": 65532}}


def policy(**spec: Any) -> Policy:
    document = yaml.safe_load(HEAD) | {"spec": spec}
    return made(Policy, document)


def playbook(**debugger: Any) -> Playbook:
    document = {
        "apiVersion": "podmedic.io/v1alpha1",
        "kind": "Playbook",
        "metadata": {"name": "probe"},
        "spec": {"debugger": debugger, "steps": [{"name": "a", "run": ["true"]}]},
    }
    return load(yaml.safe_dump(document), "p.yaml")


def mounting(**volume: Any) -> Pod:
    return pod(running(), spec={"volumes": [{"name": "v", **volume}]})


SECRET = mounting(secret={"secretName": "s"})
PROJECTED = mounting(projected={"sources": [{"secret": {"name": "s"}}]})
TOKEN = mounting(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]})
PLAIN = pod(running())
MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}


def test_every_mistake_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(HEAD + "spec:\n  image: {allow: [a]}\n  bounds: {maxInFlight: 0}\n")
    with pytest.raises(PlaybookErrors) as raised:
        load_policy(file)
    assert str(raised.value).splitlines() == [
        f'{file}:5:3: spec.image: unknown field (did you mean "images"?)',
        f"{file}:6:25: spec.bounds.maxInFlight: must be at least 1",
    ]


@pytest.mark.parametrize(
    ("debugger", "rules"),
    [
        ({"image": PINNED}, []),
        ({"image": "ghcr.io/podmedic/tools:1"}, ["policy/digest"]),
        ({"image": "docker.io/evil@sha256:" + "a" * 64}, ["policy/image"]),
        ({"image": PINNED, "profile": "sysadmin"}, ["policy/profile"]),
        (
            {"image": PINNED, "securityContext": {"runAsUser": 0, "runAsNonRoot": False}},
            ["policy/root"],
        ),
        ({"image": PINNED, "strategy": ["target"]}, ["policy/strategy"]),
        ({"image": PINNED, "lifetime": "resident"}, ["policy/transport"]),
        (
            {"image": PINNED, "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]},
            ["policy/volume-device"],
        ),
        (
            {
                "image": PINNED,
                "securityContext": {"privileged": True, "capabilities": {"add": ["BPF"]}},
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                "envFrom": [{"secretRef": {"name": "s"}}],
            },
            [
                "policy/privileged",
                "policy/capability",
                "policy/secret-environment",
                "policy/secret-environment",
            ],
        ),
    ],
)
def test_playbooks(debugger: dict[str, Any], rules: list[str]) -> None:
    found = of_playbook(policy(**STRICT), playbook(**debugger))
    assert [violation.rule for violation in found] == rules


def test_what_comes_from_no_secret_is_allowed() -> None:
    plain = {
        "image": PINNED,
        "env": [
            {"name": "A", "value": "b"},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "c"}}],
    }
    assert of_playbook(policy(**STRICT), playbook(**plain)) == ()


@pytest.mark.parametrize(
    ("debugger", "places"),
    [
        ({"profile": "sysadmin"}, [("profile",)]),
        (
            {"securityContext": {"privileged": True, "capabilities": {"add": ["BPF"]}}},
            [("securityContext", "privileged"), ("securityContext", "capabilities", "add")],
        ),
        ({"profile": "netadmin", "securityContext": {"runAsUser": 7}}, [("profile",)]),
    ],
)
def test_what_is_too_much_is_found_where_it_is_written(
    debugger: dict[str, Any], places: list[tuple[str, ...]]
) -> None:
    security = {"profiles": ["restricted", "netadmin", "sysadmin"], "capabilities": []}
    found = of_playbook(policy(security=security), playbook(image=PINNED, **debugger))
    assert [violation.loc[2:] for violation in found] == places


def test_files_may_be_collected_only_where_the_policy_says_so() -> None:
    given = playbook(lifetime="resident", image=PINNED)
    step = given.spec.steps[0].changed(collect=Collect(paths=("/tmp",)))
    given = given.changed(spec=given.spec.changed(steps=(step,)))
    allowed = {"images": {"allow": ["*"]}}
    (found,) = of_playbook(policy(**allowed), given)
    assert (found.rule, found.loc) == ("policy/artifacts", ("spec", "steps", 0, "collect"))
    assert of_playbook(policy(**allowed, artifacts=True), given) == ()


@pytest.mark.parametrize(
    ("subject", "body", "strategy", "rule"),
    [
        (PLAIN, {}, "shared", ""),
        (PLAIN, {"image": "busybox"}, "shared", "policy/image"),
        (PLAIN, {}, "target", "policy/strategy"),
        (PLAIN, {"securityContext": {"privileged": True, "runAsUser": 1}}, "shared", "policy/privileged"),
        (PLAIN, {"securityContext": {"runAsUser": 0}}, "shared", "policy/root"),
        (PLAIN, {"volumeDevices": [{"name": "raw"}]}, "shared", "policy/volume-device"),
        (PLAIN, {"securityContext": {}}, "shared", "policy/root"),
        (
            PLAIN,
            {"securityContext": {"runAsUser": 1, "capabilities": {"add": ["NET_RAW"]}}},
            "shared",
            "policy/capability",
        ),
        (SECRET, {}, "shared", ""),
        (SECRET, MOUNT, "shared", "policy/secret-mount"),
        (PROJECTED, MOUNT, "shared", "policy/secret-mount"),
        (TOKEN, MOUNT, "shared", "policy/token"),
        (
            PLAIN,
            {"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            "shared",
            "policy/secret-environment",
        ),
        (PLAIN, {"envFrom": [{"secretRef": {"name": "s"}}]}, "shared", "policy/secret-environment"),
    ],
)  # fmt: skip
def test_containers(subject: Pod, body: dict[str, Any], strategy: str, rule: str) -> None:
    found = of_injection(policy(**STRICT), subject, BODY | body, strategy)
    assert (found.rule if found else "") == rule


@pytest.mark.parametrize(("of_pod", "own", "allowed"), ROOT_CASES)
def test_whom_a_container_runs_as(of_pod: Context, own: Context, allowed: bool) -> None:
    """As the API server judges it: tests/lab/test_policy.py."""
    given = policy(security={"root": False})
    subject = pod(running(), spec={"securityContext": of_pod} if of_pod is not None else {})
    body = {"image": "i", **({} if own is None else {"securityContext": own})}
    assert (of_injection(given, subject, body, "shared") is None) is allowed


@pytest.mark.parametrize(
    ("given", "namespace", "allowed"),
    [
        (DEFAULT, "shop", True),
        (DEFAULT, "kube-system", False),
        (DEFAULT, "podmedic", False),
        (policy(namespaces={"allow": ["team-*"]}), "team-a", True),
        (policy(namespaces={"allow": ["team-*"]}), "shop", False),
        (policy(namespaces={"deny": []}), "kube-system", True),
    ],
)
def test_namespaces(given: Policy, namespace: str, allowed: bool) -> None:
    assert (of_namespace(given, namespace) is None) is allowed


def test_the_default_would_hold_as_a_file() -> None:
    """It is made without being checked."""
    assert made(Policy, msgspec.to_builtins(DEFAULT)) == DEFAULT


def test_only_the_star_is_special() -> None:
    assert matches_any("a[b]?c/d", ["a[b]?c/*"])
    assert not matches_any("ab", ["a[b]"])
    assert not matches_any("abc", ["ab?"])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--max-in-flight=64"], "--max-in-flight 64: policy strict allows 8 at most (policy/bounds)"),
        (["--max-in-flight=0"], "--max-in-flight 0: policy strict allows 8 at most (policy/bounds)"),
        (["--max-per-workload=3"], "--max-per-workload 3: policy strict allows 1 at most (policy/bounds)"),
    ],
)  # fmt: skip
def test_options_that_ask_for_more_are_refused(
    tmp_path: Path, options: list[str], line: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(HEAD + "spec: {bounds: {maxInFlight: 8, maxPerWorkload: 1}}\n")
    done = CliRunner().invoke(
        podmedic, ["run", "triage", "--policy", str(file), *options], standalone_mode=False
    )
    assert done.exception is not None
    assert line in str(getattr(done.exception, "message", done.exception))


def test_a_playbook_that_asks_for_more_is_refused_where_it_asks(tmp_path: Path) -> None:
    """`validate --policy` and `run --policy` alike, before any cluster is asked."""
    rules, asked = tmp_path / "policy.yaml", tmp_path / "p.yaml"
    rules.write_text(HEAD + "spec: {security: {profiles: [restricted]}}\n")
    asked.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\nmetadata: {name: p}\n"
        "spec:\n  debugger:\n    profile: sysadmin\n  steps: [{name: a, run: ['true']}]\n"
    )
    line = (
        f"{asked}:6:14: spec.debugger.profile: profile sysadmin is not allowed: restricted "
        "(policy/profile)"
    )
    done = CliRunner().invoke(podmedic, ["validate", str(asked), "--policy", str(rules)])
    assert done.output.strip() == line
    run = CliRunner().invoke(
        podmedic, ["run", str(asked), "--policy", str(rules)], standalone_mode=False
    )
    assert str(run.exception) == line


def test_the_committed_admission_policy_is_that_of_the_committed_policy() -> None:
    """Otherwise: `podmedic policy vap deploy/policy.yaml > deploy/validating-admission-policy.yaml`."""
    committed = yaml.safe_load_all((ROOT / "deploy/validating-admission-policy.yaml").read_text())
    assert list(committed) == manifests(load_policy(ROOT / "deploy/policy.yaml"))


def test_the_page_shows_the_format() -> None:
    """Its example is valid, its tables are those of the models that validate."""
    text = (ROOT / "docs/policy.md").read_text()
    written = "\n".join(fields(json_schema(), "Policy", PARTS))
    assert text[text.index("## Fields\n") :].rstrip() == written.rstrip()
    example = text[text.index("```yaml\n") + 8 :]
    assert load_document(example[: example.index("```")], "p.yaml", Policy, "policy")
