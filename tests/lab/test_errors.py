"""Mistakes cost one clear line and the documented exit code, and no pod is changed.

An exit code is one of a process: podmedic itself is called for those of mistakes.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_rbac import kubeconfig_of

SLEEP = pm.SLEEP


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Iterator[str]:
    """A namespace with one running pod."""
    with lab.namespace() as namespace:
        pm.apply(lab, namespace, pm.deployment("web", SLEEP))
        pm.wait_ready(lab, namespace, "web")
        yield namespace


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_wrong_playbook(lab: Lab, shop: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "apiVersion: podmedic.io/v1alpha1\n"
        "kind: Playbook\n"
        "metadata: {name: wrong}\n"
        "spec:\n"
        "  steps:\n"
        "    - name: a\n"
        "      runn: [ls]\n"
        "    - name: a\n"
        "      run: [sleep, 5]\n"
    )
    before = pm.generations(lab, shop)
    outcome = pm.run(lab, shop, path, directory=tmp_path / "out", itself=True)

    assert outcome.code == 4
    assert outcome.stdout == ""
    lines = outcome.stderr.splitlines()
    assert any(f"{path}:7:7" in line and 'did you mean "run"' in line for line in lines), lines
    assert any(f"{path}:9:" in line and "quote" in line for line in lines), lines
    assert pm.generations(lab, shop) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "selector", "why"),
    [
        (
            "-l",
            "app in (",
            (
                "expected KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY or !KEY, joined by "
                "commas; cannot read 'in (' in label selector term 'app in ('"
            ),
        ),
        ("-l", "app=ünï", "'ünï' is no label value in label selector term 'app=ünï'"),
        ("--field-selector", "x y", "expected FIELD=VALUE or FIELD!=VALUE, found 'x y'"),
    ],
)
def test_a_wrong_selector_is_not_asked_of_the_cluster(
    tmp_path: Path, option: str, selector: str, why: str
) -> None:
    words = ("run", option, selector, "-o", tmp_path / "out")
    outcome = pm.podmedic(None, *words, directory=tmp_path / "out")
    assert (outcome.code, outcome.stdout) == (4, "")
    assert one_line(outcome.stderr) == f"podmedic: {option} {selector!r}: {why}"


def test_unknown_playbook(lab: Lab, shop: str, tmp_path: Path) -> None:
    outcome = pm.run(lab, shop, "crashlop", directory=tmp_path / "out", itself=True)
    assert outcome.code == 4
    assert "crashlop" in one_line(outcome.stderr)
    assert "did you mean" in outcome.stderr


def test_nothing_selected(lab: Lab, shop: str, tmp_path: Path) -> None:
    outcome = pm.run(
        lab, shop, "triage", "-l", "app=nobody", directory=tmp_path / "out", itself=True
    )
    assert outcome.code == 5
    assert one_line(outcome.stderr) == (
        f"podmedic: no pod selected in namespace {shop} with labels app=nobody"
    )


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "triage"), 5, "no pod selected in namespace no-such; "),
        (("plan", "triage"), 5, "no pod selected in namespace no-such; "),
        (("preflight", "triage"), 5, "no pod selected in namespace no-such; "),
        (("containers",), 1, ""),
        (
            ("shell", "web-0", "--command", "true"),
            125,
            "there is no pod web-0 in namespace no-such; ",
        ),
    ],
)
def test_a_namespace_that_does_not_exist_is_said(
    lab: Lab, tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    """A LIST succeeds in it. The namespace is asked for only then, in one request more."""
    out = tmp_path / "out"
    offset = lab.audit_offset()
    outcome = pm.podmedic(lab, *words, "-n", "no-such", directory=out, itself=True)
    assert (outcome.code, one_line(outcome.stderr)) == (
        code, f"podmedic: {told}namespace no-such does not exist"
    )  # fmt: skip
    asked = [r["requestURI"] for r in lab.requests(offset, "podmedic/") if r["verb"] == "get"]
    assert [uri for uri in asked if "no-such" in uri] == ["/api/v1/namespaces/no-such"]


def test_one_of_several_namespaces_that_does_not_exist_is_said(
    lab: Lab, shop: str, tmp_path: Path
) -> None:
    """Beside pods that are well: on the terminal, in report.json, on the page, by the exit code."""
    out = tmp_path / "out"
    words = ("triage", "-n", shop, "-n", "no-such", "--debugger-image=busybox:1.36", "-o", out)
    outcome = pm.podmedic(lab, "run", *words, directory=out)
    told = "Namespace no-such does not exist: nothing was examined there"
    assert outcome.code == 1, outcome.stderr
    assert outcome.stdout.splitlines()[0] == told
    assert [pod["outcome"] for pod in outcome.report["pods"]] == ["passed"]
    assert outcome.report["notEvaluated"][0] == {
        "subject": "namespace no-such", "playbook": "", "reason": "NamespaceNotFound",
        "message": "it does not exist", "pods": [],
    }  # fmt: skip
    assert f"{told}." in (out / "report.html").read_text()
    assert pm.podmedic(lab, "analyze", out, directory=out).stdout.splitlines()[0] == told
    allowed = pm.podmedic(lab, "run", *words, "--allow-empty", directory=out)
    assert (allowed.code, allowed.stdout.splitlines()[0]) == (0, told)

    for command in ("plan", "preflight"):
        outcome = pm.podmedic(lab, command, *words[:-2], directory=out)
        assert outcome.code == 1
        assert "namespace no-such does not exist\n" in outcome.stdout + outcome.stderr


def test_a_namespace_that_may_not_be_read_may_not_exist(
    lab: Lab, shop: str, tmp_path: Path
) -> None:
    """And nobody's audit log has a refusal for it."""
    printed = pm.podmedic(
        lab, "rbac", "triage", "--namespaced", "-n", shop, directory=tmp_path / "out"
    ).stdout
    lab.kubectl("apply", "-f", "-", input=printed.replace("- namespaces\n", "- bindings\n"))
    kubeconfig = kubeconfig_of(lab, shop, "podmedic", tmp_path / "kubeconfig")
    offset = lab.audit_offset()
    words = ("plan", "triage", "-l", "app=nobody", "-n", shop, "--kubeconfig", kubeconfig)
    outcome = pm.podmedic(lab, *words, directory=tmp_path / "out")
    assert (outcome.code, one_line(outcome.stderr)) == (
        5,
        (
            f"podmedic: no pod selected in namespace {shop} with labels app=nobody; namespace "
            f"{shop} may not exist: that is not known without `get` on namespaces"
        ),
    )
    ours = [r for r in lab.requests(offset, "podmedic/") if shop in r["requestURI"]]
    assert ours and {r["responseStatus"]["code"] for r in ours} == {200}


def test_nothing_selected_may_be_allowed(lab: Lab, shop: str, tmp_path: Path) -> None:
    outcome = pm.run(
        lab,
        shop,
        "triage",
        "-l",
        "app=nobody",
        "--allow-empty",
        directory=tmp_path / "out",
    )
    assert outcome.code == 0
    assert outcome.report["summary"]["pods"] == 0


def test_unreachable_cluster(lab: Lab, tmp_path: Path) -> None:
    broken = tmp_path / "kubeconfig"
    text = lab.kubeconfig.read_text()
    broken.write_text(text.replace(lab.api, "https://127.0.0.1:1"))
    outcome = pm.podmedic(
        None,
        "run",
        "--kubeconfig",
        broken,
        "-o",
        tmp_path / "out",
        directory=tmp_path / "out",
    )
    assert outcome.code == 3
    assert "127.0.0.1:1" in one_line(outcome.stderr)


def test_unknown_context(lab: Lab, tmp_path: Path) -> None:
    outcome = pm.podmedic(lab, "plan", "--context", "prod", directory=tmp_path / "out")
    assert outcome.code == 4
    assert "prod" in one_line(outcome.stderr)


def test_missing_permission_names_verb_and_resource(lab: Lab, shop: str, tmp_path: Path) -> None:
    """A service account that may only look at pods learns exactly what it lacks."""
    lab.kubectl("create", "serviceaccount", "viewer", "-n", shop)
    lab.kubectl("create", "role", "viewer", "-n", shop, "--verb=list,watch", "--resource=pods")
    lab.kubectl(
        "create", "rolebinding", "viewer", "-n", shop, "--role=viewer",
        f"--serviceaccount={shop}:viewer",
    )  # fmt: skip
    before = pm.generations(lab, shop)
    user = f"system:serviceaccount:{shop}:viewer"
    outcome = pm.run(lab, shop, "triage", "--as", user, directory=tmp_path / "out")

    assert outcome.code == 3
    line = one_line(outcome.stderr)
    assert f"patch pods/ephemeralcontainers in namespace {shop}" in line
    assert f"get pods/log in namespace {shop}" in line
    assert pm.generations(lab, shop) == before


def test_dry_runs_change_nothing(lab: Lab, shop: str, tmp_path: Path) -> None:
    before = pm.generations(lab, shop)
    client = pm.run(lab, shop, "triage", "--dry-run=client", directory=tmp_path / "out")
    server = pm.run(lab, shop, "triage", "--dry-run=server", directory=tmp_path / "out")

    assert (client.code, server.code) == (0, 0), server.stderr
    assert "1 pod: 1 would get an ephemeral container" in client.stdout
    assert "would accept 1 of 1" in server.stderr
    assert pm.generations(lab, shop) == before


def test_report_directory_that_cannot_be_written(lab: Lab, shop: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = pm.generations(lab, shop)
    outcome = pm.podmedic(
        lab,
        "run",
        "triage",
        "-n",
        shop,
        "-o",
        tmp_path / "file" / "out",
        directory=tmp_path / "out",
    )
    assert outcome.code == 6
    assert "cannot write" in one_line(outcome.stderr)
    assert pm.generations(lab, shop) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", ""), "-n '' is no name of a namespace"),
        (("-n", "Bad_NS!"), "-n 'Bad_NS!' is no name of a namespace"),
        (("-n", "shop", "-A"), "-n and -A exclude each other"),
        (("--debugger-image", "BAD image"), "'BAD image' is no reference of an image"),
        (("--timeout", "nan"), "'nan' is not a number of at least 0"),
        (("--qps=-1",), "'-1' is not a number of at least 0"),
        (("--max-in-flight=-3",), "-3"),
        (("--metrics-textfile", "m.txt"), "the name must end in .prom"),
        (("-o", "a", "-o", "b"), "-o takes one directory"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """None of them reaches a cluster: there is none."""
    outcome = pm.podmedic(None, "run", *arguments, directory=tmp_path / "out")
    assert outcome.code == 4
    assert said in one_line(outcome.stderr)


def test_steps_too_long_to_be_sent(tmp_path: Path) -> None:
    """Said by validate and before anything is asked of a cluster."""
    path = pm.playbook(tmp_path, [{"name": "long", "script": "# " + "x" * 110_000}])
    for command in ("validate", "plan", "run"):
        outcome = pm.podmedic(None, command, path, directory=tmp_path / "out")
        assert outcome.code == 4
        assert "the steps of probe cannot be sent" in one_line(outcome.stderr)


def test_a_disk_that_takes_nothing_costs_no_pod(lab: Lab, shop: str, tmp_path: Path) -> None:
    """Full, or read-only: where the journal cannot be written nothing is injected; one line, no
    traceback."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small], check=True)
    try:
        (small / "fill").write_bytes(b"x" * 4096)
        before = pm.generations(lab, shop)
        for said in ("No space left on device", "Read-only file system"):
            outcome = pm.podmedic(lab, "run", "triage", "-n", shop, "-o", small, directory=small)
            assert outcome.code == 6
            assert said in one_line(outcome.stderr)
            assert pm.generations(lab, shop) == before
            subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_disk_that_fills_up_names_the_way_on(lab: Lab, shop: str, tmp_path: Path) -> None:
    """The report is what there is no room for; the same directory with room gets it."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "none", small], check=True)
    try:
        out = small / "out"
        words = ("run", "triage", "-n", shop, "-o", out, "--debugger-image=busybox:1.36")
        outcome = pm.podmedic(lab, *words, directory=out)
        assert outcome.code == 6, outcome.stderr
        assert "No space left on device" in outcome.stderr
        assert outcome.stderr.endswith(
            f"podmedic: `podmedic resume {out}`, once there is room, writes the report\n"
        )
        carried = pm.ephemeral_containers(lab, shop)
        subprocess.run(["mount", "-o", "remount,size=10m", small], check=True)
        resumed = pm.podmedic(lab, "resume", out, directory=out)
        assert (resumed.code, resumed.stderr.count("resume")) == (0, 0), resumed.stderr
        assert {pod["outcome"] for pod in resumed.report["pods"]} == {"passed"}
        assert pm.ephemeral_containers(lab, shop) == carried
    finally:
        subprocess.run(["umount", small], check=True)
