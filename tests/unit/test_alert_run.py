"""A run for an alert: which pods it looks at, and what every page says of the alert."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from runner.cli.main import podmedic
from runner.cluster import ClusterError, ErrorReason, Scope
from runner.model.pod import Pod
from runner.model.report import Report
from runner.model.seen import Seen
from runner.model.subject import Workload
from runner.model.trigger import Aim, PodTarget, Trigger
from runner.playbook import Playbook, resolve
from runner.policy import DEFAULT as DEFAULT_POLICY
from runner.policy import of_namespace
from runner.redact import Redactor
from runner.report import json_schema, to_html, write
from runner.report.markdown import to_markdown
from runner.report.terminal import summary_text
from runner.report.trigger import trigger_lines
from runner.select import aimed_at, container_meant, workload_aimed_at
from runner.sweep import Selection, clean_trigger, with_ends
from runner.sweep.gather import queries
from runner.triggers import DEFAULT, read_body, trigger_of
from runner.triggers.jobs import Job
from tests.unit.alerts import LABELS, RECEIVED, alert, body, webhook
from tests.unit.pods import pod
from tests.unit.report_samples import HOSTILE, rich_report

TRIAGE = resolve("triage")
CRASHLOOP = resolve("crashloop")


def aim(*playbooks: str, **target: str) -> Aim:
    return Aim(target=PodTarget(namespace="shop", **target), playbooks=playbooks)


def named(name: str, namespace: str = "shop", **metadata: Any) -> Pod:
    return pod({}, metadata={"name": name, "namespace": namespace, **metadata})


def owned(name: str, kind: str, owner: str, **labels: str) -> Pod:
    reference = {"kind": kind, "name": owner, "uid": "u", "controller": True, "apiVersion": "v1"}
    return named(name, ownerReferences=[reference], labels=labels)


def scopes(*aims: Aim, playbooks: tuple[Playbook, ...] = (TRIAGE, CRASHLOOP)) -> dict[Scope, Any]:
    found = queries(playbooks, Selection(aims=aims))
    return {scope: [playbook.name for playbook in served] for scope, served in found.items()}


def test_one_pod_is_asked_for_by_name() -> None:
    assert scopes(aim("triage", pod="web-0")) == {
        Scope(namespace="shop", field_selector="metadata.name=web-0"): ["triage"]
    }


def test_several_pods_of_a_namespace_are_one_list() -> None:
    found = scopes(aim("triage", pod="web-0"), aim("triage", pod="web-1"), aim("crashloop"))

    assert found == {Scope(namespace="shop"): ["triage", "crashloop"]}


def test_each_playbook_looks_at_the_pods_of_its_own_alerts() -> None:
    aims = (aim("triage", pod="web-0"), aim("crashloop", workload="Deployment/api"))
    api = owned("api-6d4cf56db6-abcde", "ReplicaSet", "api-6d4cf56db6", **{
        "pod-template-hash": "6d4cf56db6"})  # fmt: skip

    seen = {
        (playbook, each.metadata.name)
        for playbook in ("triage", "crashloop")
        for each in (named("web-0"), named("web-1"), named("web-0", "other"), api)
        if aimed_at(aims, playbook, each)
    }

    assert seen == {("triage", "web-0"), ("crashloop", "api-6d4cf56db6-abcde")}


def test_a_name_is_no_pattern() -> None:
    target = owned("web-0", "StatefulSet", "web-1")
    assert not aimed_at((aim("triage", workload="StatefulSet/web-?"),), "triage", target)
    assert aimed_at((aim("triage", workload="StatefulSet/web-1"),), "triage", target)


def test_labels_must_be_equal() -> None:
    one = (aim("triage", selector="app=web,tier=front"),)
    assert aimed_at(one, "triage", named("a", labels={"app": "web", "tier": "front"}))
    assert not aimed_at(one, "triage", named("a", labels={"app": "web"}))


def test_the_container_that_the_alert_names() -> None:
    aims = (aim("triage", pod="web-1", container="no"), aim("triage", pod="web-0", container="app"))
    assert container_meant(aims, {"triage"}, named("web-0")) == "app"
    assert container_meant(aims, {"crashloop"}, named("web-0")) == ""


def test_a_workload_without_pods_is_meant_by_name_and_not_by_a_pod_of_it() -> None:
    web = Workload(kind="Deployment", namespace="shop", name="web")
    assert workload_aimed_at((aim("triage", workload="Deployment/web"),), "triage", web, {})
    assert workload_aimed_at((aim("triage"),), "triage", web, {})
    assert not workload_aimed_at((aim("triage", pod="web-0"),), "triage", web, {})
    assert not workload_aimed_at((aim("triage", workload="Job/web"),), "triage", web, {})
    assert Selection(aims=(aim("triage", pod="web-0"),)).means_objects is False


# --- what is said -------------------------------------------------------------------------------


def trigger(*alerts: dict[str, Any], **fields: Any) -> Trigger:
    return trigger_of(read_body(body(*alerts, **fields)), DEFAULT, RECEIVED)


def report(found: Trigger) -> Report:
    made = rich_report()
    return msgspec.structs.replace(made, run=msgspec.structs.replace(made.run, trigger=found))


LINE = (
    "Started by alert KubePodCrashLooping (critical), firing since 2026-11-23 02:58:00 UTC, pod "
    "web-0 in shop: Pod shop/web-0 is crash looping"
)


def test_every_page_says_which_alert_and_since_when() -> None:
    made = report(trigger())

    assert trigger_lines(made) == (LINE,)
    assert summary_text(made, width=200, color=False).splitlines()[0] == LINE
    narrow = summary_text(made, width=100, color=False).splitlines()
    assert " ".join(narrow[:2]) == LINE
    assert LINE in to_markdown(made).replace("\\", "")
    page = to_html(made)
    assert f'<p class="trigger">{LINE}</p>' in page
    link = '<a href="http://prometheus.example/graph?g0.expr=up" rel="noreferrer noopener"'
    assert link in page


def test_many_alerts_are_counted() -> None:
    many = [alert({**LABELS, "pod": f"web-{n}"}, fingerprint=f"{n:016}") for n in range(30)]

    made = report(trigger(*many))

    assert trigger_lines(made)[-1] == "… and 27 other alerts"
    assert "… and 10 other alerts, see report.json." in to_html(made)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_an_alert_says_harms_no_page(text: str) -> None:
    hostile = alert({**LABELS, "alertname": text, "severity": text, text: text},
                    annotations={"summary": text, text: text}, generatorURL=text)  # fmt: skip

    made = report(trigger(hostile, receiver=text))

    page, plain = to_html(made), to_html(rich_report())
    for tag in ("script", "img", "a"):
        assert len(re.findall(f"<{tag}[ >]", page)) == len(re.findall(f"<{tag}[ >]", plain))
    assert "\x1b" not in summary_text(made, width=100, color=False)


def test_links_are_for_web_pages_only() -> None:
    for url in (
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://x",
        "http://x y",
        "//x",
        "HTTP://x",
    ):
        assert trigger(alert(generatorURL=url)).alerts[0].generator_url == ""
    forged = msgspec.structs.replace(trigger().alerts[0], generator_url="javascript:alert(1)")
    made = report(msgspec.structs.replace(trigger(), alerts=(forged,)))
    assert "href=" not in to_html(made)


def test_secrets_in_an_alert_are_redacted() -> None:
    token = "ghp_" + "a1B2" * 9
    told = alert({**LABELS, "note": token}, annotations={"summary": f"log in with {token}"},
                 generatorURL=f"http://prometheus.example/?token={token}")  # fmt: skip

    clean = clean_trigger(trigger(told), Redactor(b"k" * 32))

    assert clean is not None
    assert token not in msgspec.json.encode(clean).decode()
    assert clean.aims() == trigger().aims()
    assert clean.alerts[0].labels["pod"] == "web-0"


def test_the_schema_knows_the_trigger() -> None:
    assert "trigger" in json_schema()["$defs"]["Run"]["properties"]


# --- the commands -------------------------------------------------------------------------------


def invoke(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    done = CliRunner().invoke(podmedic, arguments, input=stdin, standalone_mode=False)
    if done.exception is not None:
        return -1, str(getattr(done.exception, "message", done.exception))
    return int(done.return_value), done.output


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (["--alert", "-", "triage"], body(), "--alert takes the playbooks from the routes: name none"),
        (["--alert", "-", "-n", "x"], body(),
         "--alert says which pods: -n, -A, -l, --field-selector cannot"),
        (["--alert", "nowhere.json"], b"", "--alert nowhere.json: No such file or directory"),
        (["--alert", "-"], b"{}",
         "--alert -: not an Alertmanager webhook: Object missing required field `version`"),
        (["--alert", "-"], body(alert({"alertname": "Watchdog"})),
         ("nothing is started: Watchdog: no route takes it; `podmedic routes test` says what the "
         "routes make of it")),
        (["--alert", "-"], body(alert(status="resolved")),
         ("nothing is started: KubePodCrashLooping: it is resolved; `podmedic routes test` says what "
         "the routes make of it")),
        (["--alert", "-"], msgspec.json.encode(trigger()),
         "--alert -: not an Alertmanager webhook: Object missing required field `version`"),
        (["--trigger", "-"], body(), "--trigger -: Object missing required field `name` - at `$.alerts[0]`"),
        (["--trigger", "-"],
         msgspec.json.encode(trigger()).replace(b'"namespace":"shop","pod"', b'"namespace":"","pod"'),
         '--trigger -: "" is no name of a namespace'),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_run_refuses(arguments: list[str], stdin: bytes, told: str) -> None:
    assert invoke("run", *arguments, stdin=stdin) == (-1, told)


def test_routes_test_says_what_follows_and_why(tmp_path: Path) -> None:
    file = tmp_path / "alert.json"
    alerts = [
        alert(),
        alert({**LABELS, "namespace": "kube-system"}),
        alert({**LABELS, "pod": "*"}),
        alert({"alertname": "Watchdog\x1b[31m"}),
        alert(status="resolved"),
    ]
    file.write_text(json.dumps(webhook(*alerts)))
    four = [
        f'  route {name}: no, {label}!="" does not hold: the alert has no such label'
        for name, label in (("deployment", "deployment"), ("statefulset", "statefulset"),
                            ("daemonset", "daemonset"), ("job", "job_name"))
    ]  # fmt: skip
    taken = [*four, "  route pod: takes it"]
    title = "alert KubePodCrashLooping, firing, since 2026-11-23 02:58:00 UTC"

    code, told = invoke("routes", "test", str(file))

    assert code == 1
    assert [block.splitlines() for block in told.split("\n\n")] == [
        [title, *taken, "  playbooks: triage", "  pods: namespace shop, pod web-0, container app"],
        [title, *taken, f"  starts nothing: {of_namespace(DEFAULT_POLICY, 'kube-system')}"],
        [title, *taken, '  starts nothing: its label "pod" holds "*", no name of a pod'],
        ["alert Watchdog^[[31m, firing, since 2026-11-23 02:58:00 UTC", *four,
         '  route pod: no, pod!="" does not hold: the alert has no such label',
         "  starts nothing: no route takes it"],
        [title.replace("firing", "resolved"), *taken, "  starts nothing: it is resolved"],
    ]  # fmt: skip


def test_routes_test_as_json(tmp_path: Path) -> None:
    code, told = invoke("routes", "test", "-", "-o", "json", stdin=body())

    (found,) = json.loads(told)
    assert code == 0
    assert (found["route"], found["playbooks"], found["reason"]) == ("pod", ["triage"], "")
    assert found["target"] == {
        "namespace": "shop", "pod": "web-0", "container": "app", "workload": "", "selector": "",
    }  # fmt: skip


def test_routes_test_names_its_files(tmp_path: Path) -> None:
    """Also a playbook that a route starts and that is not there."""
    assert invoke("routes", "test", "nope") == (-1, "nope: No such file or directory")
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Routes\nmetadata: {name: shop}\n"
        "spec:\n  routes:\n    - {name: a, playbooks: [./own.yaml]}\n"
    )
    found = invoke("routes", "test", "-", "--routes", str(routes), stdin=body())
    assert found == (-1, f"{tmp_path}/own.yaml: No such file or directory")


def test_validate_reads_routes_and_their_playbooks(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    text = (
        "apiVersion: podmedic.io/v1alpha1\nkind: Routes\nmetadata: {name: shop}\n"
        "spec:\n  routes:\n    - {name: a, playbooks: [triage]}\n"
    )
    file.write_text(text)
    assert invoke("validate", str(file)) == (0, f"{file}: valid: routes shop, 1 route\n")
    file.write_text(text.replace("[triage]", "[./own.yaml]"))
    code, told = invoke("validate", str(file))
    assert (code, told) == (4, f"{tmp_path}/own.yaml: No such file or directory\n")


# --- the end of the story -----------------------------------------------------------------------

ENDED = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
RESOLVED_LINE = LINE.replace(" UTC, pod", " UTC, resolved at 2026-11-23 03:10:00 UTC, pod")


def written(folder: Path, made: Report) -> Path:
    (folder / "run").mkdir(parents=True)
    write(folder / "run", made)
    return folder / "run"


def told(run: Path, document: Any, *more: str) -> tuple[int, str]:
    """Exit code, and the first line of what `podmedic report --resolved` says."""
    file = run.parent / "later.json"
    file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    words = ["report", str(run), "--resolved", str(file), *more]
    done = CliRunner().invoke(podmedic, words)
    return done.exit_code, done.output.replace(str(file), "F")


def answer(**fields: Any) -> dict[str, Any]:
    """As `GET /v1/runs/NAME` says it."""
    return {"run": "podmedic-alert-1", "state": "succeeded", "trigger": None,
            "resolved": {"c5d0e1a2b3f40516": "2026-11-23T03:10:00+00:00"}, **fields}  # fmt: skip


def test_a_later_word_of_the_sender_closes_the_story_beside_the_sealed_run(tmp_path: Path) -> None:
    made = report(msgspec.structs.replace(trigger(), id="podmedic-alert-1"))
    assert made.run.trigger is not None
    run = written(tmp_path, made)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    gone = body(alert(status="resolved", endsAt="2026-11-23T03:10:00Z"), status="resolved")

    for later in (gone, answer()):
        code, said = told(run, later, "-o", "markdown")
        assert (code, RESOLVED_LINE in said.replace("\\", "")) == (0, True), said
    (shown,) = json.loads(told(run, gone, "-o", "json")[1])["run"]["trigger"]["alerts"]
    assert (shown["firing"], shown["endsAt"], shown["resolvedAt"]) == (
        True, None, "2026-11-23T03:10:00Z",
    )  # fmt: skip
    # What the run lived to see itself stays, and is no mistake.
    known = msgspec.structs.replace(made.run.trigger.alerts[0], resolved_at=ENDED)
    lived = report(msgspec.structs.replace(made.run.trigger, alerts=(known,)))
    assert told(written(tmp_path / "lived", lived), gone)[0] == 0
    assert 'until <time datetime="2026-11-23T03:10:00' in told(run, gone, "-o", "html")[1]
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_what_tells_of_no_end(tmp_path: Path) -> None:
    run = written(tmp_path, report(msgspec.structs.replace(trigger(), id="podmedic-alert-1")))
    none = "--resolved F: tells of the end of no alert that started this run"
    again = alert(status="resolved", startsAt="2026-11-23T04:00:00Z", endsAt="2026-11-23T05:00:00Z")
    for later, why in (
        (body(), none),
        (body(again), none),
        (answer(resolved={}), none),
        (answer(resolved={"c5d0e1a2b3f40516": "soon"}), "not an Alertmanager webhook: "),
        (answer(run="another"), "it is about run 'another', not 'podmedic-alert-1'"),
        (b"{}", "not an Alertmanager webhook: "),
        (b"[" * 100, "nested deeper than 32 levels, or not JSON"),
    ):
        code, said = told(run, later)
        assert (code, why in said) == (2, True), said
    other = written(tmp_path / "other", rich_report())
    assert "--resolved: no alert started this run" in told(other, body())[1]


class _Jobs:
    """The Job of the run, with what serve wrote on it; or an API server that says no."""

    def __init__(self, *, error: bool = False, **annotations: str) -> None:
        self._error = error
        self._annotations = annotations

    async def list(self, *_: Any, field_selector: str, **__: Any) -> list[Job]:
        assert field_selector == "metadata.name=podmedic-alert-1"
        if self._error:
            raise ClusterError(ErrorReason.FORBIDDEN, "no", status=403)
        found = {f"resolved.podmedic.io/{k}": v for k, v in self._annotations.items()}
        return [msgspec.convert({"metadata": {"annotations": found}}, Job)]


@pytest.mark.parametrize(
    ("jobs", "resolved"),
    [
        (_Jobs(c5d0e1a2b3f40516="2026-11-23T03:10:00+00:00"), ENDED),
        (_Jobs(other="2026-11-23T03:10:00+00:00"), None),
        (_Jobs(c5d0e1a2b3f40516="soon"), None),
        (_Jobs(c5d0e1a2b3f40516="2026-11-23T03:10:00"), None),
        (_Jobs(error=True), None),
    ],
)
def test_an_end_before_the_report_is_in_it(jobs: Any, resolved: datetime | None) -> None:
    made = report(msgspec.structs.replace(trigger(), id="podmedic-alert-1"))
    seen = Seen(api_version="podmedic.io/v1alpha1", run=made.run, at=RECEIVED)

    found = asyncio.run(with_ends(seen, jobs, "shop")).run.trigger

    assert found is not None
    assert [each.resolved_at for each in found.alerts] == [resolved]
