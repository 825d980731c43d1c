"""A playbook without rules says how much of what it asks for it has got."""

import msgspec

from runner.model.examination import Examination, TargetCondition
from runner.model.report import API_VERSION, Completeness, OutputInfo, PodOutcome, PodResult
from runner.model.seen import Seen, SeenPod
from runner.playbook import load
from runner.report.completeness import evidence_lines
from runner.sweep.completeness import completeness
from tests.unit import pods
from tests.unit.report_samples import FINISHED, pod, report_of, step, workload

TEXT = """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: evidence, description: What an investigator wants}
spec:
  evidence: {changes: true}
  steps:
    - {name: processes, run: [ps]}
    - {name: sockets, run: [ss]}
"""
EVIDENCE = load(TEXT, "evidence.yaml")
RULE = (
    "{id: bad, severity: info, confidence: likely, title: t, message: m, "
    "when: steps.processes.exitCode == 1}"
)
JUDGES = load(
    f"{TEXT.replace('name: evidence,', 'name: judges,')}  findings: [{RULE}]\n", "judges.yaml"
)
WEB = workload("web")


def seen_pod(result: PodResult, **unknown: str) -> SeenPod:
    ill = () if result.outcome is PodOutcome.PASSED else (TargetCondition.CRASH_LOOP_BACK_OFF,)
    examination = Examination(
        pod=pods.pod(pods.running()), workload=WEB, unknown=unknown, conditions=ill
    )
    return SeenPod(examination=examination, result=result, playbooks=("evidence",))


def test_what_is_whole_what_is_missing_and_why() -> None:
    processes = step("processes", playbook="evidence")
    sockets = step("sockets", playbook="evidence")
    long = msgspec.structs.replace(
        sockets.attempts[-1], stdout_info=OutputInfo(bytes=9, kept_bytes=3, truncated=True)
    )
    cut = msgspec.structs.replace(sockets, attempts=(long,))
    whole = pod("web-1", WEB, PodOutcome.PASSED, steps=(processes, sockets))
    partly = pod("web-2", WEB, PodOutcome.PASSED, steps=(processes, cut))
    skipped = pod("web-3", WEB, PodOutcome.SKIPPED, reason="CoolDown")
    seen = Seen(
        api_version=API_VERSION, run=report_of(whole).run, at=FINISHED,
        pods=(seen_pod(whole), seen_pod(partly, logs="forbidden: get pods/log"), seen_pod(skipped)),
    )  # fmt: skip

    (found,) = completeness(seen, [EVIDENCE, JUDGES])

    assert found == Completeness(
        playbook="evidence", asked=13, whole=9, percent=69,
        missing=(
            "logs: forbidden: get pods/log (1 pod)",
            "sockets: OutputTruncated (1 pod)",
            "processes: CoolDown (1 pod)",
            "sockets: CoolDown (1 pod)",
        ),
        not_needed=("changes: not ill (2 pods)",),
    )  # fmt: skip
    (line,) = evidence_lines([found])
    assert line == (
        "Evidence of evidence: 69 % complete (9 of 13 items are whole); missing: "
        "logs: forbidden: get pods/log (1 pod), sockets: OutputTruncated (1 pod), "
        "processes: CoolDown (1 pod), sockets: CoolDown (1 pod)"
    )
    assert completeness(msgspec.structs.replace(seen, pods=()), [EVIDENCE]) == ()
