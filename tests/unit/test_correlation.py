"""What a crash or its state suggests is confirmed or refuted by a look into the pod."""

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from runner.analyze import judge
from runner.model.examination import TargetCondition
from runner.model.report import Confidence
from runner.playbook import resolve
from tests.unit.examinations import STARTED, crashloop_steps, examination, running, step

HOST = 'could not translate host name "db" to address: Name or service not known\n'
REFUSED = "dial tcp: connect to db:5432: connection refused\n"
NO_FILE = "FileNotFoundError: [Errno 2] No such file or directory: '/etc/web/app.yaml'\n"
DENIED = "open /data/x.db: permission denied\n"
PORT = {"sockets": "inside=\noutside=9090\n", "probes": "probe readiness http 8080 1 -\n"}
VOLUME = "volume ok rw write-{} enter-yes 0:0:755 ext4 /data\n"
GROWS = (
    "readable=yes\nanon_grows={}\nanon_kib=120000\nanon_kib_per_minute=2000\nshared_grows=no\n"
    "files_grows=no\nkernel_grows=no\ncache_grows=no\n"
)
THROTTLED = (
    "readable=yes\nlimited=yes\nlimit_millis=100\nlife_periods=100\nlife_throttled=1\nperiods=100\n"
    "throttled={}\nwaited_millis_per_second=400\nthreads=2\n"
)


class Case(NamedTuple):
    """`outputs` of the steps that confirm the cause and of those that refute it."""

    playbook: str
    rule: str
    confidence: Confidence
    confirmed: dict[str, str]
    refuted: dict[str, str]
    known: dict[str, Any]


def crash(log: str, **more: Any) -> dict[str, Any]:
    return {"log": log, **more}


UP: dict[str, Any] = {"state": running(), "restarts": 0}
CASES = {
    "a host by resolving it": Case(
        "crashloop", "host-unresolvable", Confidence.CERTAIN,
        {"endpoints": "endpoint env:DB db 5432 dns=fail tcp=none\n"},
        {"endpoints": "endpoint env:DB db 5432 dns=ok tcp=open\n"}, crash(HOST)),
    "a host by connecting to it": Case(
        "crashloop", "connection-refused", Confidence.CERTAIN,
        {"endpoints": "endpoint env:DB db 5432 dns=ok tcp=refused\n"},
        {"endpoints": "endpoint env:DB db 5432 dns=ok tcp=open\n"}, crash(REFUSED)),
    "a missing file in its volume": Case(
        "crashloop", "file-missing", Confidence.CERTAIN,
        {"mounts": "mount /etc/web\nfile /etc/web/other.yaml\n"},
        {"mounts": "mount /etc/web\nfile /etc/web/app.yaml\n"}, crash(NO_FILE, mounts=["/etc/web"])),
    "a permission in its volume": Case(
        "volume-mount", "volume-write-refused", Confidence.CERTAIN,
        {"volumes": VOLUME.format("no")}, {"volumes": VOLUME.format("yes")}, crash(DENIED)),
    "a wrong probe port by the listening sockets": Case(
        "readiness-failing", "probe-wrong-port", Confidence.LIKELY,
        {**PORT, "port": "port readiness http - 8080 refused\n"},
        {**PORT, "port": "port readiness http - 8080 open\n"}, UP),
    "a full disk by its blocks": Case(
        "disk-full", "disk-full", Confidence.CERTAIN,
        {"room": "disk 100 0 /data\n"}, {"room": "disk 40 9 /data\n"}, UP),
    "a full disk by its inodes": Case(
        "disk-full", "inodes-used-up", Confidence.CERTAIN,
        {"room": "disk 40 9 /data\ninodes 100 0 /data\n"}, {"room": "inodes 3 900 /data\n"}, UP),
    "a leak by samples over time": Case(
        "memory-leak", "memory-leak", Confidence.LIKELY,
        {"samples": GROWS.format("yes")}, {"samples": GROWS.format("no")}, UP),
    "throttling by the cgroup": Case(
        "cpu-throttling", "cpu-throttled", Confidence.CERTAIN,
        {"throttling": THROTTLED.format(60)}, {"throttling": THROTTLED.format(2)}, UP),
    "stale configuration by what its source has now": Case(
        "config-drift", "subpath-outdated", Confidence.CERTAIN,
        {"subpaths": "subpath replaced /etc/app.conf\n"},
        {"subpaths": "subpath current /etc/app.conf\n"}, UP),
}  # fmt: skip


def said(case: Case, outputs: dict[str, str]) -> dict[str, Confidence]:
    if case.playbook == "crashloop":
        steps = crashloop_steps(**outputs)
    else:
        steps = [step(name, out, playbook=case.playbook) for name, out in outputs.items()]
    one = examination(steps=steps, conditions=[TargetCondition.NOT_READY], **case.known)
    applies = {one.pod.metadata.uid: [case.playbook]}
    found = judge([resolve(case.playbook)], [one], applies, STARTED + timedelta(hours=1)).findings
    return {each.rule: each.confidence for each in found}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_confirmed_it_is_told_and_refuted_it_is_not(case: Case) -> None:
    assert said(case, case.confirmed).get(case.rule) == case.confidence
    told = said(case, case.refuted)
    assert case.rule not in told
    # Nor is the same guessed with as much confidence by another rule.
    assert not [
        rule
        for rule, how in told.items()
        if how is Confidence.CERTAIN and rule != "subpath-never-follows"
    ]
