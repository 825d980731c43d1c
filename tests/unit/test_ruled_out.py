"""What need not be checked again: refuted by a look into the pod, or asked and not so."""

from typing import Any

import msgspec
import pytest

from runner.analyze import judge
from runner.model.examination import Examination, TargetCondition
from runner.model.objects import Service, ServicePort, ServiceSpec
from runner.model.pod import ObjectMeta
from runner.model.report import Refuted, RuledOut
from runner.model.subject import PodRef
from runner.playbook import Playbook, PlaybookErrors, load, resolve
from runner.report.details import detail
from runner.report.markdown import to_markdown
from runner.report.view import rows
from tests.unit.examinations import (
    SHOP,
    STARTED,
    crashloop_steps,
    examination,
    exited,
    running,
    step,
)
from tests.unit.report_samples import rich_report

HEAD = "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\nmetadata: {name: p}\nspec:\n"
RULES = """
  steps: [{name: ask, run: [ask], parse: {keyValue: "="}}]
  findings:
    - id: exits
      when: has(container.exitCode) && container.exitCode == 1
      severity: critical
      title: t
      message: exits
    - id: no-answer
      when: has(steps.ask.parsed.db) && steps.ask.parsed.db == 'silent'
      severity: critical
      title: t
      message: silent
      refuted:
        when: steps.ask.parsed.db == 'answers'
        message: 'db answers {{ container.name }}.'
    - id: never
      when: 'false'
      severity: critical
      title: t
      message: never
      unless: [exits]
"""
HERE = PodRef(namespace="shop", name="web-5d9c7-abcde")


def book(text: str = RULES) -> Playbook:
    return load(HEAD + text, "p.yaml")


def asked(said: str, pod: str = HERE.name, **of_pod: Any) -> Examination:
    return examination(pod=pod, steps=[step("ask", said, playbook="p")], **of_pod)


def ruled_out(*pods: Examination, playbook: Playbook | None = None) -> tuple[RuledOut, ...]:
    playbook = playbook or book()
    applies = {one.pod.metadata.uid: [playbook.name] for one in pods}
    return judge([playbook], pods, applies, STARTED).ruled_out


def test_what_a_look_into_the_pod_refutes_is_said_beside_the_rules_that_do_not_hold() -> None:
    check = Refuted(rule="no-answer", message="db answers app.", pod=HERE)
    assert ruled_out(asked("db=answers\n")) == (
        RuledOut(
            workload=SHOP, container="app", playbook="p", checks=(check,),
            rules=("never", "no-answer"),
        ),
    )  # fmt: skip


def test_without_an_answer_nothing_is_refuted() -> None:
    (one,) = ruled_out(asked(""))
    assert (one.checks, one.rules) == ((), ("never", "no-answer"))


def test_what_holds_of_another_replica_is_not_ruled_out() -> None:
    well, ill = asked("db=answers\n", "web-a"), asked("db=silent\n", "web-b")
    for pods in ((well, ill), (ill, well)):
        (one,) = ruled_out(*pods)
        assert (one.checks, one.rules) == ((), ("never",))


def test_what_could_not_be_asked_of_another_replica_is_not_ruled_out() -> None:
    text = RULES.replace("has(steps.ask.parsed.db) && ", "")
    (one,) = ruled_out(asked("db=answers\n", "web-a"), asked("", "web-b"), playbook=book(text))
    assert (one.checks, one.rules) == ((), ("never",))


def test_of_a_healthy_pod_nothing_has_to_be_ruled_out() -> None:
    assert ruled_out(asked("db=answers\n", state=running(), ready=True)) == ()


def test_of_an_ill_pod_without_a_cause_it_is_all_there_is() -> None:
    pod = asked("db=answers\n", state=exited(3), conditions=[TargetCondition.ERROR])
    (one,) = ruled_out(pod)
    assert [each.message for each in one.checks] == ["db answers app."]
    assert one.rules == ("exits", "never", "no-answer")


def test_it_is_for_pods_alone() -> None:
    text = """
  workloads:
    - {id: a, severity: info, title: t, message: m, refuted: {message: x}}
"""
    with pytest.raises(PlaybookErrors, match="is for findings of pods only"):
        book(text)


def test_its_names_are_checked() -> None:
    with pytest.raises(PlaybookErrors, match=r"refuted.message: \"item\" is there only with each"):
        book(RULES.replace("'db answers {{ container.name }}.'", "'{{ item.x }}'"))


SERVICE = Service(
    metadata=ObjectMeta(name="web", namespace="shop"),
    spec=ServiceSpec(selector={"app": "web"}, ports=(ServicePort(port=80, target_port=8080),)),
)
TRIAGE: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("dns", "kubernetes=ok\n", {}, ["The cluster's DNS answers in the pod: kubernetes.default.svc resolves."]),
    ("disk", "disk 42 100 /\ninodes 3 100 /\n", {}, [
        "Its volumes and the node's container file system have more than a tenth of their room left.",
        "Its volumes and the node's container file system have more than a tenth of their inodes left."]),
    ("memory", "used_percent=40\noom_kills=0\n", {}, [
        "Container app uses 40 % of the memory it may use, page cache not counted.",
        "The kernel has killed no process of container app for memory."]),
    ("usage", "cpu_millis=3\nour_cpu_millis=1\n", {"cpu_limit": "500m"}, [
        "Container app uses 3 thousandths of a processor; its CPU limit is 500m."]),
    ("sockets", "listen 8080 all\n", {"services": [SERVICE]}, [
        "Something listens on port 8080, to which Service web sends."]),
    ("sockets", "listen 8080 loopback\n", {"services": [SERVICE]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "output", "of_pod", "said"), TRIAGE)
def test_what_triage_rules_out(
    name: str, output: str, of_pod: dict[str, Any], said: list[str]
) -> None:
    pod = examination(
        state=running(), restarts=0, conditions=[TargetCondition.NOT_READY],
        steps=[step(name, output, playbook="triage")], **of_pod,
    )  # fmt: skip
    (one,) = ruled_out(pod, playbook=resolve("triage"))
    assert [each.message for each in one.checks] == said


def test_what_crashloop_rules_out() -> None:
    steps = crashloop_steps(
        endpoints="endpoint env:DB db 5432 dns=ok tcp=open\n"
        "endpoint env:MQ mq 5672 dns=ok tcp=unknown\n",
        mounts="mount /etc/web\nmount /other\n",
    )
    pod = examination(steps=steps, mounts=["/etc/web"], log="fatal: LEDGER_URL is not set\n")
    (one,) = ruled_out(pod, playbook=resolve("crashloop"))
    assert [each.message for each in one.checks] == [
        "The ConfigMaps, Secrets and volumes that container app cannot start without are there: it was started.",
        "Container app was not killed for memory: it ended with exit code 1 (Error).",
        "The cluster's DNS answers in the pod: kubernetes.default.svc resolves.",
        "The host mq (env:MQ) resolves in the pod.",
        "db:5432 (env:DB) accepts connections from the pod.",
        "/etc/web is mounted.",
    ]
    assert "image-not-found" in one.rules
    assert "variable-missing" not in one.rules


def with_ruled_out(message: str) -> Any:
    report = rich_report()
    owner = report.findings[0].workload
    out = RuledOut(
        workload=owner, container="app", playbook="triage",
        checks=tuple(Refuted(rule=r, message=message, pod=HERE) for r in ("dns", "dns-too")),
        rules=("dns", "dns-too", report.findings[0].rule),
    )  # fmt: skip
    return msgspec.structs.replace(report, ruled_out=(out,))


def test_an_opened_workload_tells_it_once() -> None:
    """Two playbooks may look at the same; what one of them found is not ruled out."""
    row = next(row for row in rows(with_ruled_out("It resolves.")) if row.ruled_out)
    assert detail(row, 1000)["ruledOut"] == {
        "checks": ["It resolves."],
        "rules": [{"playbook": "triage", "ids": ["dns", "dns-too"]}],
    }


def test_markdown_tells_what_is_short() -> None:
    said = to_markdown(with_ruled_out("db resolves <b>."))
    assert said.count("  - Ruled out: db resolves &lt;b&gt;.\n") == 1
    assert "Ruled out" not in to_markdown(with_ruled_out("long " * 100))
