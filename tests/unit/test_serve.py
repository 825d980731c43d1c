"""Who may speak to `podmedic serve`, what a request for a run must be, and with what it does not
even begin."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runner.cli.main import podmedic
from runner.model.trigger import Aim, PodTarget
from runner.serve.auth import Auth, AuthError
from runner.serve.metrics import FAMILIES, Metrics
from runner.triggers import BodyError
from runner.triggers.request import (
    RunRequest,
    is_signed,
    is_timely,
    read_request,
    signature,
    trigger_of_request,
)
from tests.unit.alerts import RECEIVED
from tests.unit.test_trigger_jobs import TEMPLATE

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef"
KNOWN = ("triage", "crashloop")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def auth(tmp_path: Path) -> Auth:
    (tmp_path / "token").write_text(f"{SECRET}\n{SECRET}-new\n")
    (tmp_path / "basic").write_text(f"ann:{SECRET}\n")
    return Auth(bearer_file=tmp_path / "token", basic_file=tmp_path / "basic")


@pytest.mark.parametrize(
    ("header", "admitted"),
    [
        (f"Bearer {SECRET}", True),
        (f"bearer {SECRET}-new", True),
        (basic(f"ann:{SECRET}"), True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (f"Bearer {SECRET[:-1]}", False),
        (f"Bearer {SECRET}x", False),
        (f"Basic {SECRET}", False),
        (basic(SECRET), False),
        (basic(f"bob:{SECRET}"), False),
        (f"Digest {SECRET}", False),
        ("Bearer ｘ", False),
        ("Bearer \udcff", False),
        ("Basic \udcff", False),
    ],
)
def test_who_is_admitted(auth: Auth, header: str, admitted: bool) -> None:
    assert auth.admits(header, certificate=False) is admitted


def test_a_certificate_counts_only_where_an_authority_was_given(auth: Auth) -> None:
    assert not auth.admits("", certificate=True)
    assert Auth(client_certificates=True).admits("", certificate=True)
    assert not Auth(client_certificates=True).admits("", certificate=False)


def test_a_secret_that_was_replaced_holds_at_once(auth: Auth) -> None:
    assert auth.bearer_file is not None
    auth.bearer_file.write_text("another-secret-of-16")

    assert auth.admits("Bearer another-secret-of-16", certificate=False)
    assert not auth.admits(f"Bearer {SECRET}", certificate=False)
    auth.bearer_file.unlink()
    assert not auth.admits("Bearer another-secret-of-16", certificate=False)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("short", "expected secrets of 16 characters at least, one a line"),
        (f"{SECRET}\nshort", "expected secrets of 16 characters at least, one a line"),
    ],
)
def test_secrets_that_are_none(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(AuthError) as refused:
        Auth(bearer_file=file).check()
    assert str(refused.value) == f"--bearer-token-file {file}: {told}"


# --- requests -----------------------------------------------------------------------------------


def asked(**fields: Any) -> bytes:
    return json.dumps(
        {"playbook": "triage", "namespace": "shop", "pod": "web-0", **fields}
    ).encode()


def test_a_request_for_a_run() -> None:
    request = read_request(asked(reason="a hunch", container="app"), KNOWN)

    made = trigger_of_request(request, RECEIVED)

    target = PodTarget(namespace="shop", pod="web-0", container="app")
    assert made.aims() == (Aim(target=target, playbooks=("triage",)),)
    assert made.asked is not None
    assert (made.source, made.asked.reason) == ("request", "a hunch")
    assert (
        read_request(asked(pod="", workload="Deployment/web"), KNOWN).workload == "Deployment/web"
    )
    assert read_request(asked(pod="", selector="app in (a, b)"), KNOWN).selector == "app in (a, b)"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"[]", "not a request for a run: Expected `object`, got `array`"),
        (asked(playbooks=["triage"]),
         "not a request for a run: Object contains unknown field `playbooks`"),
        (asked(playbook="../../etc/passwd"), "no such playbook: '../../etc/passwd'"),
        (asked(playbook="latency"), "no such playbook: 'latency'"),
        (asked(pod=""), "a request for a run names one of pod, workload, selector"),
        (asked(selector="app=web"), "a request for a run names one of pod, workload, selector"),
        (asked(namespace=""), '"" is no name of a namespace'),
        (asked(namespace="*"), '"*" is no name of a namespace'),
        (asked(pod="web-*"), '"web-*" is no name of a pod'),
        (asked(pod="", workload="web"),
         '"web" is no workload: expected KIND/NAME, such as Job/import'),
        (asked(pod="", selector="a in ("), "expected KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY or !KEY, joined by commas; cannot read 'in (' in label selector term 'a in ('"),
        (asked(id="a b"), "id: 128 letters, digits and . _ : - at most"),
        (asked(reason="x" * 1025), "reason: longer than 1024 characters"),
        (b" " * 65537, "larger than 64 KiB"),
    ],
    ids=range(14),
)  # fmt: skip
def test_requests_that_are_refused(raw: bytes, told: str) -> None:
    with pytest.raises(BodyError) as refused:
        read_request(raw, KNOWN)
    assert str(refused.value) == told


def test_a_signature_is_of_time_and_body() -> None:
    key, made = SECRET.encode(), signature(SECRET.encode(), "1795402680", b"{}")

    assert is_signed([b"old-key-of-16-chars", key], "1795402680", b"{}", made)
    assert not is_signed([key], "1795402681", b"{}", made)
    assert not is_signed([key], "1795402680", b"{ }", made)
    assert not is_signed([b"old-key-of-16-chars"], "1795402680", b"{}", made)
    assert not is_signed([], "1795402680", b"{}", made)
    assert not is_signed([key], "1795402680", b"{}", "")
    assert not is_signed([key], "1795402680", b"{}", "sha256=\udcff")


@pytest.mark.parametrize(
    ("timestamp", "timely"),
    [("1000", True), ("1300", True), ("700", True), ("1301", False), ("699", False), ("", False),
     ("1e3", False), ("-1000", False), ("١٠٠٠", False), ("9" * 400, False)],
)  # fmt: skip
def test_an_old_signature_is_a_replay(timestamp: str, timely: bool) -> None:
    assert is_timely(timestamp, 1000.0) is timely


def test_a_request_keeps_no_field_for_later() -> None:
    assert set(RunRequest.__struct_fields__) == {
        "playbook", "namespace", "pod", "workload", "selector", "container", "reason", "id",
    }  # fmt: skip


# --- the beginning ------------------------------------------------------------------------------


def refusal(folder: Path, *arguments: str, template: Any = TEMPLATE) -> str:
    (folder / "job.yaml").write_text(json.dumps(template))
    (folder / "token").write_text(SECRET)
    done = CliRunner().invoke(
        podmedic,
        ["serve", f"--job-template={folder / 'job.yaml'}", "--listen=127.0.0.1:0", *arguments],
        standalone_mode=False,
    )
    assert done.exception is not None
    return str(getattr(done.exception, "message", done.exception)).replace(str(folder), "F")


def test_it_does_not_begin(tmp_path: Path) -> None:
    token = f"--bearer-token-file={tmp_path / 'token'}"
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Routes\nmetadata: {name: a}\nspec: {}\n"
    )

    assert refusal(tmp_path) == (
        "nobody could be told from a stranger: give --bearer-token-file, --basic-auth-file, "
        "--hmac-key-file or --client-ca-file"
    )
    assert refusal(tmp_path, "--bearer-token-file=/nowhere") == (
        "--bearer-token-file /nowhere: No such file or directory"
    )
    assert refusal(tmp_path, token, "--tls-cert-file=c") == (
        "--tls-cert-file and --tls-key-file belong together"
    )
    assert refusal(tmp_path, "--client-ca-file=c") == (
        "--client-ca-file needs --tls-cert-file and --tls-key-file"
    )
    assert refusal(tmp_path, token, "--listen=8080") == "--listen '8080': expected HOST:PORT"
    assert refusal(tmp_path, token, template={"kind": "Pod"}) == (
        "--job-template F/job.yaml: expected one document with apiVersion: batch/v1 and kind: Job"
    )
    words = [token, f"--tls-cert-file={tmp_path}/token", f"--tls-key-file={tmp_path}/token"]
    assert refusal(tmp_path, *words).startswith(
        "TLS: F/token, F/token: one of them is no PEM, or they do not belong together ("
    )
    (tmp_path / "tabs.yaml").write_text("spec:\n\ta: b\n")
    assert refusal(tmp_path, token, f"--job-template={tmp_path}/tabs.yaml") == (
        "--job-template F/tabs.yaml:2:1: not valid YAML: a tab where YAML wants spaces: indent "
        "with spaces"
    )
    assert refusal(tmp_path, token, f"--routes={routes}") == (
        "F/routes.yaml:4:1: spec.routes: required field is missing"
    )


def test_the_page_names_every_metric() -> None:
    text = (ROOT / "docs/triggers.md").read_text()
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        assert f"| `{family.name}` | {labels} |" in text


def test_every_refusal_is_there_from_the_start() -> None:
    text = Metrics().text().decode()

    assert 'podmedic_serve_refused_total{reason="queue-full"} 0.0' in text
    assert 'podmedic_serve_alerts_total{outcome="cool-down"} 0.0' in text
    assert "_created" not in text


def test_the_shipped_template_is_one() -> None:
    """deploy/serve holds it inside a ConfigMap, which no other test reads."""
    import yaml  # noqa: PLC0415

    from runner.triggers import read_routes  # noqa: PLC0415
    from runner.triggers.jobs import Template  # noqa: PLC0415

    documents = list(yaml.safe_load_all((ROOT / "deploy/serve/serve.yaml").read_text()))
    data = next(each for each in documents if each["kind"] == "ConfigMap")["data"]
    Template(yaml.safe_load(data["job.yaml"]), 300)
    assert [route.name for route in read_routes(data["routes.yaml"], "r").spec.routes] == [
        "crash", "deployment", "pod",
    ]  # fmt: skip
