"""The playbook packet-capture: what its rules say, and what it makes of tcpdump's lines."""

from pathlib import Path

import pytest

from runner.analyze.parse import parse_output
from runner.cli.options import DEFAULT_PLAYBOOKS
from runner.playbook import resolve
from tests.unit.examinations import examination, findings_of, running, step
from tests.unit.library_cases import Case, said, without_case
from tests.unit.program_runs import needed
from tests.unit.test_playbook_scripts import SHELLS, run, step_of

NAME = "packet-capture"


def capture(*peers: str, data: int = 400, resent: int = 0, too_big: int = 0) -> dict[str, str]:
    totals = f"packets=900\ndata={data}\nresent={resent}\ntoo_big={too_big}\nunreachable=0\n"
    return {"capture": totals + "".join(f"peer {peer}\n" for peer in peers)}


CASES: list[Case] = [
    (capture("reset 10.0.0.9 80 2", "resent 10.0.0.9 80 9", "zero-window-here 10.0.0.9 80 2",
             resent=9), []),
    # Nine in a thousand.
    (capture(data=1000, resent=19), []),
    (capture("unanswered 10.0.0.9 80 1", "unanswered 10.0.0.8 80 2"), [
        ("connections-unanswered", ("1 connection that the pod opened to 10.0.0.9:80 got no answer "
         "within 15 s, though the first packet was sent again.")),
        ("connections-unanswered", ("2 connections that the pod opened to 10.0.0.8:80 got no answer "
         "within 15 s, though the first packet was sent again."))]),
    (capture("refused 10.0.0.9 80 3"), [
        ("connections-refused", ("3 connections that the pod opened to 10.0.0.9:80 were answered by "
         "a reset within 15 s: nothing listens there."))]),
    (capture("refuses 0.0.0.0 8080 1"), [
        ("refuses-others", ("The pod answered 1 connection to its port 8080 by a reset within 15 s: "
         "nothing listens there."))]),
    (capture("reset 10.0.0.9 80 3"), [
        ("connections-reset", ("10.0.0.9:80 broke off 3 connections that the pod had opened, by a "
         "reset, within 15 s."))]),
    (capture("slow fd00::9 80 1"), [
        ("connections-slow", ("For 1 connection to fd00::9:80 the first packet had to be sent again "
         "within 15 s: each costs a second or more."))]),
    (capture("unheard 0.0.0.0 8080 2"), [
        ("calls-unheard", ("For 2 connections to port 8080 of the pod the first packet had to be "
         "sent again within 15 s: its queue of connections is full, or its answers get lost."))]),
    (capture("resent 10.0.0.9 80 10", data=500, resent=10), [
        ("packets-resent", ("10 packets of the pod's connections were sent again within 15 s, two "
         "in a hundred or more."))]),
    (capture("zero-window-here 10.0.0.9 80 3", "zero-window-there 10.0.0.9 81 4"), [
        ("receiver-overloaded", ("The application in the pod told 3 times within 15 s, on "
         "connections with 10.0.0.9:80, that it can take no more data: it reads too slowly.")),
        ("receiver-overloaded", ("The other side told 4 times within 15 s, on connections with "
         "10.0.0.9:81, that it can take no more data: it reads too slowly."))]),
    (capture(too_big=2), [
        ("packets-too-big", ("2 times within 15 s a router said that a packet with the pod is too "
         "big for the way: where such messages get lost, large requests hang."))]),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert said(NAME, outputs) == expected


def test_a_capture_that_did_not_run_is_no_quiet_pod() -> None:
    steps = [step("capture", "packets=0\n", exit_code=1, playbook=NAME)]
    one = examination(state=running(), ready=True, restarts=0, steps=steps)
    assert [f.rule for f in findings_of(resolve(NAME), one)] == ["capture-failed"]


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == {"capture-failed"}


def test_it_is_never_run_unasked() -> None:
    assert NAME not in DEFAULT_PLAYBOOKS


# Lines of tcpdump 4.99 from a pod of the lab, without the options; 10.244.1.52 is the pod.
TCPDUMP = r"""#!/bin/sh
printf '%s\n' "$*" >"${0%/*}/asked"
tcp() { echo "1795888620.4 ${5:-eth0}  $1 IP $2 > $3: Flags $4"; }
me=10.244.1.52
# refused at once, twice
tcp Out $me.58590 10.244.0.2.54 '[S], seq 724144527, win 64240, options [mss 1460], length 0'
tcp 'In ' 10.244.0.2.54 $me.58590 '[R.], seq 0, ack 724144528, win 0, length 0'
tcp Out $me.58600 10.244.0.2.54 '[S], seq 2387510756, win 64240, length 0'
tcp 'In ' 10.244.0.2.54 $me.58600 '[R.], seq 0, ack 2387510757, win 0, length 0'
# a conversation; the client hangs up before all is said, with a packet that is sent again
tcp Out $me.38368 10.96.0.1.443 '[S], seq 4137370135, win 64240, length 0'
tcp 'In ' 10.96.0.1.443 $me.38368 '[S.], seq 3493804482, ack 4137370136, win 65160, length 0'
tcp Out $me.38368 10.96.0.1.443 '[P.], seq 4137370136:4137370142, ack 3493804483, win 63, length 6: HTTP: GET /hunter2?length 99'
tcp Out $me.38368 10.96.0.1.443 '[P.], seq 4137370136:4137370142, ack 3493804483, win 63, length 6: HTTP: GET /hunter2?length 99'
tcp 'In ' 10.96.0.1.443 $me.38368 '[.], ack 4137370142, win 0, length 0'
tcp Out $me.38368 10.96.0.1.443 '[F.], seq 4137370142, ack 3493804483, win 63, length 0'
tcp 'In ' 10.96.0.1.443 $me.38368 '[R], seq 378342828, win 0, length 0'
# broken off by the other side
tcp Out $me.40000 10.0.0.9.5432 '[S], seq 1, win 64240, length 0'
tcp 'In ' 10.0.0.9.5432 $me.40000 '[S.], seq 2, ack 2, win 65160, length 0'
tcp 'In ' 10.0.0.9.5432 $me.40000 '[R.], seq 3, ack 2, win 0, length 0'
# no answer; and one after the second packet
tcp Out $me.40001 10.0.0.8.80 '[S], seq 77, win 64240, length 0'
tcp Out $me.40001 10.0.0.8.80 '[S], seq 77, win 64240, length 0'
tcp Out $me.40002 10.0.0.7.80 '[S], seq 78, win 64240, length 0'
tcp Out $me.40002 10.0.0.7.80 '[S], seq 78, win 64240, length 0'
tcp 'In ' 10.0.0.7.80 $me.40002 '[S.], seq 2, ack 79, win 65160, length 0'
# from others: to a closed port, to one that is slow, and a reset that a client may send
tcp 'In ' 10.244.0.1.50000 $me.8081 '[S], seq 5, win 64240, length 0'
tcp Out $me.8081 10.244.0.1.50000 '[R.], seq 0, ack 6, win 0, length 0'
tcp 'In ' 10.244.0.1.50001 $me.8080 '[S], seq 6, win 64240, length 0'
tcp 'In ' 10.244.0.1.50001 $me.8080 '[S], seq 6, win 64240, length 0'
tcp 'In ' 10.244.0.1.50002 $me.8080 '[S], seq 7, win 64240, length 0'
tcp Out $me.8080 10.244.0.1.50002 '[S.], seq 7, ack 8, win 64240, length 0'
tcp 'In ' 10.244.0.1.50002 $me.8080 '[R.], seq 8, ack 8, win 0, length 0'
# loopback and ICMP
tcp 'In ' 127.0.0.1.59980 127.0.0.1.99 '[S], seq 2837253293, win 65495, length 0' lo
tcp 'In ' 127.0.0.1.99 127.0.0.1.59980 '[R.], seq 0, ack 2837253294, win 0, length 0' lo
echo '1795888620.4 eth0  In  IP 10.0.0.1 > 10.244.1.52: ICMP 10.0.0.9 unreachable - need to frag (mtu 1400), length 556'
echo '1795888620.4 eth0  In  IP 10.0.0.1 > 10.244.1.52: ICMP host 10.0.0.9 unreachable, length 68'
echo 'ended 0 of the text of a packet'
"""
SEEN = {
    "packets 26", "data 2", "resent 1", "too_big 1", "unreachable 1",
    "refused 10.244.0.2 54 2", "resent 10.96.0.1 443 1", "zero-window-there 10.96.0.1 443 1",
    "reset 10.0.0.9 5432 1", "unanswered 10.0.0.8 80 1", "slow 10.0.0.7 80 1",
    "refuses 0.0.0.0 8081 1", "unheard 0.0.0.0 8080 1",
}  # fmt: skip


@pytest.mark.parametrize("awk", ["mawk", "busybox"])
@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_counted(shell: list[str], tmp_path: Path, awk: str) -> None:
    """Nothing of a packet but its header leaves the pod."""
    (tmp_path / "timeout").symlink_to(needed("busybox"))
    (tmp_path / "awk").symlink_to(needed(awk))
    (tmp_path / "tcpdump").write_text(TCPDUMP)
    (tmp_path / "tcpdump").chmod(0o755)
    capture_step = step_of(NAME, "capture")
    text = run(capture_step.model_copy(update={"parse": None}), shell, path=str(tmp_path))
    assert "hunter2" not in text
    assert capture_step.parse is not None
    rows = parse_output(capture_step.parse, text)
    found = {
        " ".join(row[k] for k in ("kind", "host", "port", "total", "count") if row[k])
        for row in rows
    }
    assert found == SEEN
    asked = (tmp_path / "asked").read_text()
    assert "-s 96 -c 4000" in asked
    assert " -w" not in asked


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (124, 0)])
def test_only_a_capture_passes(shell: list[str], tmp_path: Path, code: int, expected: int) -> None:
    (tmp_path / "timeout").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "timeout").chmod(0o755)
    (tmp_path / "awk").symlink_to(needed("busybox"))
    one = step_of(NAME, "capture")
    script = f"({one.script}\n); echo code=$?"
    text = run(one.model_copy(update={"script": script, "parse": None}), shell, path=str(tmp_path))
    assert text.splitlines()[-1] == f"code={expected}"
