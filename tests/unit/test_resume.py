"""A run that goes on: what it reads back, what it refuses, what is left to do."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from runner import __version__, journal
from runner.cli.main import podmedic
from runner.cli.request import request_of
from runner.cli.rundir import end_of, identity_of, new_record
from runner.examine import Examined
from runner.examine.harm import changes
from runner.examine.kept import FILE_NAME as KEPT_NAME
from runner.examine.kept import KeptResults, read_kept
from runner.model.report import Injection, PodOutcome
from runner.plan import PodPlan, Selected, plan_pod
from runner.playbook import load_file
from runner.policy import DEFAULT
from runner.record import (
    Actor,
    ClusterRef,
    Document,
    Options,
    RecordError,
    RunRecord,
    difference,
    encode,
    read,
    without_password,
)
from runner.select import app_statuses, workload_of
from runner.sweep import Earlier, pod_records
from runner.sweep.pool import without_examination
from runner.sweep.resume import in_order, split
from runner.triggers import DEFAULT as DEFAULT_ROUTES
from runner.triggers import read_body, trigger_of
from tests.unit.alerts import RECEIVED, alert, body
from tests.unit.pods import pod, running, terminated

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
OPTIONS = Options(
    namespaces=("shop",),
    all_namespaces=False,
    selector="",
    field_selector="",
    context=None,
    kubeconfig=None,
    impersonate=None,
    qps=50.0,
    burst=100,
    debugger_image=None,
    output=None,
    timeout_seconds=900.0,
    start_seconds=60.0,
    max_in_flight=32,
    max_per_node=10,
    max_per_namespace=0,
    max_per_workload="25%",
    canary=True,
    max_failures=5,
    cap=10,
    cool_down_seconds=0.0,
    metrics_textfile=None,
    pushgateway=None,
    lease=False,
    exit_zero=False,
    allow_empty=False,
    quiet=False,
)
HERE = ClusterRef(description="lab (https://10.0.0.1:6443)", server="https://10.0.0.1:6443",
             kube_system_uid="k1")  # fmt: skip


def plan(number: int) -> PodPlan:
    given = pod(running(), metadata={"name": f"p{number}", "uid": f"u{number}"})
    return PodPlan(
        pod=given, playbooks=(), workload=workload_of(given), target="app", conditions=()
    )


def record(**changes: object) -> RunRecord:
    made = RunRecord(
        api_version="podmedic.io/v1alpha1",
        run="r1",
        started_at=NOW,
        runner_version=__version__,
        identity="a",
        cluster=HERE,
        default_namespace="shop",
        options=OPTIONS,
        playbooks=(Document(source="crashloop", sha256="0", text=""),),
        policy=None,
        pods=pod_records([plan(1), plan(2), plan(3)]),
    )
    return msgspec.structs.replace(made, **changes)


def written(directory: Path, *lines: str, **changes: object) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "run.json").write_bytes(encode(record(**changes)))
    (directory / journal.FILE_NAME).write_text("".join(f"{line}\n" for line in lines))
    return directory


def resume(directory: Path) -> tuple[int, str]:
    """Exit code and what is said, as far as it goes without a cluster."""
    result = CliRunner().invoke(podmedic, ["resume", str(directory)], standalone_mode=False)
    if result.exception is not None:
        return -1, f"{type(result.exception).__name__}: {result.exception}"
    return int(result.return_value), result.stderr


def test_a_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert read(written(tmp_path / "run")) == record()


def test_a_directory_that_holds_no_run(tmp_path: Path) -> None:
    """Missing, empty, and one with a file of the same name."""
    with pytest.raises(RecordError, match=f"^{tmp_path}/no: there is no such directory$"):
        read(tmp_path / "no")
    with pytest.raises(RecordError) as empty:
        read(tmp_path)
    assert str(empty.value) == (
        f"{tmp_path} is not the directory of a run: it has no run.json; "
        "name the one that `podmedic run` got with -o"
    )
    (tmp_path / "run.json").write_text('{"scripts": {}}')
    with pytest.raises(RecordError) as other:
        read(tmp_path)
    assert str(other.value) == (
        f"{tmp_path}/run.json: not the record of a run: Object missing required field `apiVersion`"
    )
    (tmp_path / "run.json").write_bytes(encode(record(api_version="podmedic.io/v2")))
    with pytest.raises(
        RecordError, match=r"reads apiVersion podmedic\.io/v1alpha1, found podmedic"
    ):
        read(tmp_path)


def test_another_cluster() -> None:
    """Address and uid both have to agree; an unknown uid leaves it to the address."""
    same = replace_cluster(kube_system_uid="")
    assert difference(HERE, HERE) == difference(HERE, same) == difference(same, HERE) == ""
    assert difference(HERE, replace_cluster(server="https://10.0.0.2:6443")) == (
        "the run belongs to the cluster at https://10.0.0.1:6443, this is https://10.0.0.2:6443; "
        "name the run's cluster by --kubeconfig or --context"
    )
    assert difference(HERE, replace_cluster(kube_system_uid="k2")) == (
        "the run belongs to another cluster than the one that is now at https://10.0.0.1:6443: "
        "namespace kube-system has uid k2, it had k1; "
        "name the run's cluster by --kubeconfig or --context"
    )


def replace_cluster(**changes: str) -> ClusterRef:
    return msgspec.structs.replace(HERE, **changes)


def test_a_finished_run_says_so_with_its_exit_code(tmp_path: Path) -> None:
    """A torn line before that is named, and costs nothing."""
    directory = written(
        tmp_path / "run",
        '{"time": "T0", "run": "r1", "event": "run"}',
        '{"time": "T1", "run": "r1", "ev',
        '{"time": "T2", "run": "r1", "event": "finished", "exit_code": 1, "left": 0}',
    )
    assert resume(directory) == (
        1,
        (
            f"podmedic: {directory}/journal.jsonl:2: torn, as a kill in the middle of writing leaves "
            "it; what it was about to announce was not done\n"
            "podmedic: run r1 finished at T2 with exit code 1; nothing is left to do; "
            f"its report is {directory}/report.html\n"
        ),
    )


def test_another_version_is_refused(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", runner_version="9.9")
    assert resume(directory) == (
        -1,
        (
            f"RecordError: the run in {directory} was made by podmedic 9.9, this is {__version__}, "
            "which may name and fill containers in another way; finish it with that version, or "
            "start a new run"
        ),
    )


def test_a_playbook_of_which_no_copy_was_kept_must_be_the_same(tmp_path: Path) -> None:
    changed = tmp_path / "mine.yaml"
    changed.write_text("kind: Playbook\n")
    document = Document(source=str(changed), sha256="0", text="")
    assert resume(written(tmp_path / "run", playbooks=(document,))) == (
        -1,
        (
            f"RecordError: {changed}: changed since the run began, and the run kept no copy of it "
            "because something in it looks like a secret; start a new run"
        ),
    )


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ('"exit_code": 0, "left": 0', 0),
        ('"exit_code": 3, "left": 0', 3),  # its breaker was open
        ('"exit_code": 2, "left": 4', None),
        ('"exit_code": 3, "left": 1', None),
        ('"exit_code": 6, "left": 0', None),  # its report could not be written
        ('"exit_code": "x"', None),
    ],
)
def test_what_is_left_after_an_end(tmp_path: Path, end: str, expected: int | None) -> None:
    directory = written(tmp_path, f'{{"time": "T", "run": "r1", "event": "finished", {end}}}')
    found = end_of(directory, "r1")
    assert (None if found is None else found[0]) == expected


def test_done_left_and_gone(tmp_path: Path) -> None:
    """p1 is done, its pod may have gone; p2 is still to do; p3 went away without a result; a new
    pod is no part of the run. A torn line and another run's results count for nothing."""
    path = tmp_path / KEPT_NAME
    kept = KeptResults(path, "r1", afresh=True)
    kept.keep(without_examination(plan(1), PodOutcome.FAILED, "Why", "it says"))
    kept.close()
    with path.open("ab") as file:
        file.write(b'{"run": "r1", "exam')
    other = KeptResults(path, "r0", afresh=False)
    other.keep(without_examination(plan(2), PodOutcome.PASSED, "", ""))
    other.close()
    earlier = Earlier(started_at=NOW, pods=record().pods, kept=read_kept(path, "r1"))

    left, done = split(earlier, [plan(2), plan(9)], ())

    assert left == [plan(2)]
    results = [(o.result.name, o.result.outcome, o.result.reason) for o in in_order(done)]
    assert results == [
        ("p1", PodOutcome.FAILED, "Why"),
        ("p3", PodOutcome.UNKNOWN, "PodGone"),
    ]
    assert done[0].plan.workload == plan(1).workload
    assert split(None, [plan(2)], ()) == ([plan(2)], [])


def test_no_password_is_written_down() -> None:
    assert without_password("https://me:pw@push.example:9091/x") == "https://push.example:9091/x"
    assert without_password("http://push.example:9091") == "http://push.example:9091"


def test_an_app_that_changed_under_an_earlier_process() -> None:
    """The proof compares with what the pod was before the first injection, not with what it was
    when the run went on; where no earlier process injected there is nothing to compare with."""
    was = plan(1)
    earlier = Earlier(started_at=NOW, pods=pod_records([was]), kept={})
    seen = without_examination(was, PodOutcome.PASSED, "", "")

    def with_injection(*, reused: bool) -> Examined:
        injection = Injection(container="podmedic-x-1", image="tools:1", reused=reused)
        return replace(seen, result=msgspec.structs.replace(seen.result, injections=(injection,)))

    before = earlier.before(with_injection(reused=True))

    assert before is not None
    assert [c for c, _ in app_statuses(before)] == [c for c, _ in app_statuses(was.pod)]
    assert earlier.before(with_injection(reused=False)) is None
    assert changes(before, was.pod, at=NOW, elapsed_seconds=1.0) == ()


def test_what_an_app_wrote_is_not_in_the_record() -> None:
    """Its last words may hold anything."""
    status = terminated(1)
    status["state"]["terminated"]["message"] = "password=hunter2"
    given = pod(status)
    made = plan_pod(Selected(pod=given, playbooks=()), NOW)
    assert "hunter2" in str(msgspec.json.encode(given))
    assert "hunter2" not in str(msgspec.json.encode(pod_records([made])))


class Redacting:
    """The choke point, as far as it is asked here."""

    def redact_bytes(self, data: bytes) -> tuple[bytes, list[object]]:
        return data, []

    def redact_text(self, text: str) -> tuple[str, list[object]]:
        return text.replace("hunter2", "***"), []

    def redact_argv(self, words: Sequence[str]) -> tuple[tuple[str, ...], list[object]]:
        return tuple(words), []


@pytest.mark.parametrize(
    ("script", "is_kept"), [("echo hunter2", False), ("echo hello", True)], ids=["secret", "plain"]
)
def test_a_playbook_is_copied_unless_something_in_it_is_secret(
    tmp_path: Path, script: str, is_kept: bool
) -> None:
    """Its path is absolute: whoever finishes the run may stand somewhere else."""
    path = tmp_path / "mine.yaml"
    path.write_text(PLAYBOOK.format(script=script))
    playbook = load_file(path)
    request = request_of(
        msgspec.structs.replace(OPTIONS, pushgateway="http://me:pw@push:9091"),
        (playbook,), DEFAULT, directory=tmp_path,
    )  # fmt: skip
    made = new_record(
        request, Redacting(), run_id="r1", started_at=NOW, identity="a", cluster=HERE,
        default_namespace="shop", pods=(), actor=Actor(),
    )  # fmt: skip
    text = path.read_text() if is_kept else ""
    assert made.playbooks == (Document(source=str(path), sha256=playbook.sha256, text=text),)
    assert made.options.pushgateway == "http://push:9091"
    assert made.policy is None


PLAYBOOK = """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {{name: mine}}
spec:
  steps: [{{name: s, script: {script}}}]
"""


def test_another_alert_about_the_same_pod_is_other_work(tmp_path: Path) -> None:
    """A replaced pod of the same Job goes on with its run, and takes none over."""

    def identity(run: str, *alerts: dict[str, object]) -> str:
        made = msgspec.structs.replace(
            trigger_of(read_body(body(*alerts)), DEFAULT_ROUTES, RECEIVED), id=run
        )
        options = msgspec.structs.replace(OPTIONS, namespaces=(), trigger=made)
        return identity_of(request_of(options, (), DEFAULT, directory=tmp_path), "here")

    first = identity("podmedic-alert-1", alert())
    assert identity("podmedic-alert-1", alert(annotations={"summary": "again"})) == first
    assert identity("podmedic-alert-2", alert()) != first
    assert identity("", alert()) != identity("", alert(startsAt="2026-11-23T04:00:00Z"))
