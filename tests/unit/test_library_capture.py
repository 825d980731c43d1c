"""The playbook packet-capture: what its rules say, and what it makes of tcpdump's lines."""

import pytest

from runner.cli.options import DEFAULT_PLAYBOOKS
from runner.playbook import resolve
from tests.unit.examinations import examination, findings_of, running, step
from tests.unit.library_cases import Case, said, without_case

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
