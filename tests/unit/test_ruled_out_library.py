"""What the built-in playbooks check and rule out: each sentence where it is so, none where nobody
looked."""

from typing import Any

import msgspec
import pytest

from runner.analyze import judge
from runner.model.examination import Examination, TargetCondition
from runner.playbook import resolve
from tests.unit.examinations import STARTED, examination, running, step

OPEN = "reach env:DB db 5432 open\n"
CASES: dict[str, tuple[dict[str, str], dict[str, Any], list[str]]] = {
    "config-drift": (
        {"subpaths": "subpath current /etc/app.conf\n"}, {},
        ["/etc/app.conf, which is mounted by subPath, is what its ConfigMap or Secret has."]),
    "cpu-throttling": (
        {"throttling": "readable=yes\nlimited=yes\nlimit_millis=500\nlife_periods=9\nlife_throttled=1\n"
         "periods=100\nthrottled=3\nwaited_millis_per_second=1\nthreads=2\n"}, {},
        ["In ten seconds the kernel held container app back in 3 of 100 periods in which it worked."]),
    "disk-full": (
        {"room": "disk 42 100 /data\ninodes 3 100 /data\n", "deleted": "deleted 9 7 web|/x\n"}, {},
        ["/data is 42 % full.", "/data has used 3 % of its inodes.",
         "No process of container app holds a deleted file of 64 MiB or more open."]),
    "dns-failure": (
        {"config": "servers=1\nsearches=3\nndots=5\ncluster=yes\n",
         "servers": "server 10.96.0.10 asked=10 answered=10 slow=0 slowest_ms=2 udp=ok tcp=ok\n",
         "names": "name cluster kubernetes.default ok 1\nname env:DB db ok 1\n"}, {},
        ["Nameserver 10.96.0.10 answered all 10 questions.", "The host db (env:DB) resolves in the pod."]),
    "egress-latency": (
        {"latency": "latency env:DB db 5432 tcp samples=5 failed=0 dns_ms=1 tcp_ms=1 tls_ms=0 wait_ms=0 "
         "total_ms=2 slowest_ms=3 lost=0 phase=dns\n"}, {},
        ["db:5432 (env:DB) answered each of 5 times, in 2 ms on average."]),
    "jvm": (
        {"threads": "jvm=yes\ndeadlocked=0\nblocked_long=0\nbusy=0\ngc_percent=1\nheap_percent=40\n"}, {},
        ["No threads of the JVM in container app wait for each other.",
         "No thread of the JVM in container app runs without a pause.",
         "The heap of the JVM in container app is 40 % full."]),
    "memory-leak": (
        {"samples": "readable=yes\nanon_grows=no\nshared_grows=no\nfiles_grows=no\nkernel_grows=no\n"
         "cache_grows=no\nanon_kib=9\n"}, {},
        ["The memory of container app did not grow from sample to sample.",
         "The files that container app keeps in memory did not grow from sample to sample.",
         "The open files and connections of container app did not grow from sample to sample."]),
    "networkpolicy": (
        {"dns": "dns 10.96.0.10 udp=yes tcp=yes\n", "reach": OPEN,
         "behind": "behind db 5432 shop/db ready=3 tried=3 blocked=0\n"}, {},
        ["No NetworkPolicy restricts where the pod may connect to.",
         "Nameserver 10.96.0.10 answers by UDP and by TCP.",
         "The way to the 3 pods behind Service shop/db that were tried is open.",
         "db:5432 (env:DB) accepts connections from the pod."]),
    "oomkilled": (
        {"memory": "node_available_percent=40\noom_kills=0\nlimited=yes\ncame_to_limit=no\n"
         "used_percent=30\n"}, {"memory_limit": "64Mi"},
        ["The node had 40 % of its memory left.",
         "The kernel has killed no process of container app for memory since it was started.",
         "Container app uses 30 % of the memory it may use, page cache not counted."]),
    "pending": ({}, {"phase": "Pending"}, ["The pod was given to node node-1."]),
    "profile": (
        {"goroutines": "go=yes\nprofiles=yes\ngoroutines=12\ntop_grew=0\ntop=3\nscope=loopback\n"}, {},
        ["Container app has 12 goroutines."]),
    "python-pyspy": (
        {"dumps": "python=yes\nloop_blocked=0\ngil_held=0\nwaiting=0\n"}, {},
        ["No event loop of Python in container app is blocked.",
         "No thread of Python in container app keeps the interpreter to itself."]),
    "readiness-failing": (
        {"port": "port readiness http - 8080 open\n", "sockets": "inside=\noutside=8080\n",
         "dependencies": "dependency env:DB db 5432 open\n"}, {},
        ["Port 8080, to which the readiness probe goes, accepts connections.",
         "db:5432 (env:DB) accepts connections from the pod."]),
    "resource-exhaustion": (
        {"files": "files 1 9 100 web\nunreadable 0\n", "threads": "threads=4\nthreads_limit=100\n",
         "connections": "established=1\ntime_wait=0\nclose_wait=2\nsyn_sent=0\noutgoing=7\nports=100\n"}, {},
        ["No process of container app has four fifths of the files open that it may.",
         "Container app has 4 of at most 100 processes and threads.",
         "7 of 100 ports for outgoing connections are in use.",
         "2 connections wait for the application to close them."]),
    "service-unreachable": (
        {"connect": "connect env:DB db 5432 tries=4 open=4 refused=0 timeout=0 unresolved=0\n"
         "connect env:X x 80 tries=4 open=4 refused=0 timeout=0 unresolved=0\n",
         "behind": "behind db 5432 shop/db ip=10.96.0.9 target=5432 ready=2 unready=0 tried=2 open=2 "
         "refused=0 timeout=0 bad=- tries=4 through=4\n"}, {},
        ["All 2 pods behind Service shop/db that were tried accept connections on port 5432.",
         "The address 10.96.0.9 of Service shop/db accepted each of 4 connections.",
         "x:80 (env:X) accepts connections from the pod."]),
    "tls-expiry": (
        {"mounted": "cert left 90 /tls/tls.crt|CN=web\n", "met": "tls db 5432 left 30 0 CN=db\n"}, {},
        ["The certificate in /tls/tls.crt is valid for 90 days.",
         "The certificate of db:5432 is valid for 30 days."]),
    "volume-mount": (
        {"volumes": "volume ok rw write-yes enter-yes 0:0:755 ext4 /data\n"}, {},
        ["The volume at /data (ext4) answers.", "The user of container app may write to /data."]),
}  # fmt: skip
FROM_THE_API = {
    "networkpolicy": ["No NetworkPolicy restricts where the pod may connect to."],
}


def ill(playbook: str, outputs: dict[str, str], **of_pod: Any) -> Examination:
    return examination(
        state=running(), restarts=0, conditions=[TargetCondition.NOT_READY],
        steps=[step(name, out, playbook=playbook) for name, out in outputs.items()], **of_pod,
    )  # fmt: skip


def said(playbook: str, one: Examination) -> list[str]:
    told = judge([resolve(playbook)], [one], {one.pod.metadata.uid: [playbook]}, STARTED)
    return [check.message for each in told.ruled_out for check in each.checks]


@pytest.mark.parametrize("playbook", CASES)
def test_what_was_looked_at_and_is_well_is_told(playbook: str) -> None:
    outputs, of_pod, sentences = CASES[playbook]
    assert said(playbook, ill(playbook, outputs, **of_pod)) == sentences


@pytest.mark.parametrize("playbook", CASES)
def test_where_nobody_looked_nothing_is_ruled_out(playbook: str) -> None:
    assert said(playbook, ill(playbook, {})) == FROM_THE_API.get(playbook, [])


def test_every_sentence_has_a_case() -> None:
    """But those that compare with a healthy pod, whose case is below."""
    compared = {"image-differs", "configuration-differs"}
    other = {"host-unresolvable"}  # without dig
    for playbook, (outputs, of_pod, _) in CASES.items():
        one = ill(playbook, outputs, **of_pod)
        book = resolve(playbook)
        told = judge([book], [one], {one.pod.metadata.uid: [playbook]}, STARTED)
        told_of = {check.rule for each in told.ruled_out for check in each.checks}
        own = {rule.id for rule in book.spec.findings if rule.refuted is not None}
        assert own - told_of - compared - other - BORROWED.get(playbook, set()) == set(), playbook


BORROWED = {"pending": {"volume-not-mountable"}}
"""From crashloop, whose cases show it."""


def test_what_a_healthy_pod_has_too_is_told() -> None:
    def one(name: str, value: str, **of_pod: Any) -> Examination:
        files = f"file {value} /etc/web/app.conf\n"
        seen = examination(
            pod=name, restarts=0, state=running(), **of_pod,
            steps=[step("files", files, playbook="config-drift")],
        )  # fmt: skip
        (status,) = seen.pod.status.container_statuses
        same = msgspec.structs.replace(status, image_id="sha256:1")
        whole = msgspec.structs.replace(seen.pod.status, container_statuses=(same,))
        return msgspec.structs.replace(seen, pod=msgspec.structs.replace(seen.pod, status=whole))

    book = resolve("config-drift")
    sick = one("web-sick", "abc", conditions=[TargetCondition.NOT_READY])
    for value, files in (("abc", ["The files that container app mounts are those of a healthy pod of Deployment web."]), ("def", [])):  # fmt: skip
        well = one("web-well", value, ready=True)
        applies = {sick.pod.metadata.uid: [book.name], well.pod.metadata.uid: [book.name]}
        controls = {well.pod.metadata.uid: (book.name,)}
        told = judge([book], [sick, well], applies, STARTED, controls).ruled_out
        assert [check.message for each in told for check in each.checks] == [
            "Container app runs the very image that a healthy pod of Deployment web runs.",
            *files,
        ]
