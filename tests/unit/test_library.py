"""The playbooks about one subject each: what every rule says, and where it stays silent."""

import pytest

from runner.playbook import resolve
from tests.unit.examinations import examination, findings_of, running, step

# playbook, outputs of its steps, and what is said: (rule, message)
CASES: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = [
    (
        "cpu-throttling",
        {"throttling": "readable=yes\nlimited=yes\nlimit_millis=50\nlife_periods=900\n"
         "life_throttled=800\nperiods=100\nthrottled=25\nwaited_millis_per_second=700\n"},
        [("cpu-throttled", ("In 25 of the last 100 periods the kernel stopped container app because "
          "it had used up its CPU limit of 50m."))],
    ),
    (
        "cpu-throttling",
        {"throttling": "readable=yes\nlimited=yes\nlimit_millis=50\nlife_periods=900\n"
         "life_throttled=800\nperiods=100\nthrottled=24\nwaited_millis_per_second=10\n"},
        [("cpu-throttled-before", ("Not now, but over its life container app was stopped in 800 of "
          "900 periods for having used up its CPU limit of 50m."))],
    ),
    # Nearly idle: a few long periods are no complaint.
    ("cpu-throttling",
     {"throttling": "readable=yes\nlimited=yes\nlife_periods=599\nlife_throttled=599\nperiods=19\n"
      "throttled=19\n"}, []),
    ("cpu-throttling", {"throttling": "readable=yes\nlimited=no\n"}, []),
    ("cpu-throttling", {"throttling": "readable=no\n"}, []),
    (
        "resource-exhaustion",
        {"files": "files 1 80 100 web\nfiles 7 79 100 worker\nunreadable 0\n"},
        [("files-near-limit", ("A process of container app (web) has 80 of at most 100 files open: "
          'beyond that it gets "too many open files".'))],
    ),
    (
        "resource-exhaustion",
        {"threads": "threads=80\nthreads_limit=100\n"},
        [("threads-near-limit", ("Container app has 80 of at most 100 processes and threads: beyond "
          'that it gets "resource temporarily unavailable".'))],
    ),
    ("resource-exhaustion", {"threads": "threads=79\nthreads_limit=100\n"}, []),
    ("resource-exhaustion", {"threads": "threads=79000\n"}, []),
    (
        "resource-exhaustion",
        {"connections": "established=1\ntime_wait=22600\nclose_wait=99\nsyn_sent=19\n"
         "outgoing=22600\nports=28232\n"},
        [("ports-near-limit", ("22600 of 28232 ports for outgoing connections are in use, 22600 of "
          "them by closed connections that wait."))],
    ),
    (
        "resource-exhaustion",
        {"connections": "established=1\ntime_wait=0\nclose_wait=100\nsyn_sent=0\noutgoing=0\n"
         "ports=28232\n"},
        [("connections-not-closed", ("100 connections of the pod were closed by the other side and "
          "not by the application (CLOSE_WAIT): each holds a file open until it is."))],
    ),
    (
        "resource-exhaustion",
        {"connections": "established=1\ntime_wait=0\nclose_wait=0\nsyn_sent=20\noutgoing=20\n"
         "ports=28232\n"},
        [("connections-not-answered", ("20 connections of the pod wait for an answer (SYN_SENT): "
          "nothing comes back from where it wants to go."))],
    ),
    (
        "tls-expiry",
        {"mounted": "cert expired 1 /tls/a.crt|CN=a\ncert left 13 /tls/b.crt|CN=b\n"
         "cert left 14 /tls/c.crt|CN=c\nbroken /tls/d.crt\n"},
        [("certificate-expired", "The certificate /tls/a.crt (CN=a) expired 1 day ago."),
         ("certificate-expires-soon", "The certificate /tls/b.crt (CN=b) expires in 13 days.")],
    ),
    (
        "tls-expiry",
        {"met": "tls db 5432 expired 3 10 CN=db\ntls api 443 left 0 0 CN=api\n"
         "tls old 443 left 90 62 CN=new\ntls fine 443 left 90 0 CN=fine\n"},
        [("server-certificate-expired",
          "db:5432 serves a certificate (CN=db) that expired 3 days ago."),
         ("server-certificate-expires-soon",
          "api:443 serves a certificate (CN=api) that expires in 0 days."),
         ("server-certificate-for-another-name", ("old:443 serves a certificate (CN=new) that does "
          "not name old: clients that check it refuse the connection."))],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "outputs", "said"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)]
)
def test_what_is_said(name: str, outputs: dict[str, str], said: list[tuple[str, str]]) -> None:
    """All of it: a rule that speaks out of turn shows here too."""
    steps = [step(each, out, playbook=name) for each, out in outputs.items()]
    one = examination(state=running(), ready=True, restarts=0, cpu_limit="50m", steps=steps)
    found = findings_of(resolve(name), one)
    assert sorted((f.rule, f.message) for f in found) == sorted(said)
    assert all(f.evidence and f.remediation for f in found)


def test_every_rule_has_a_case() -> None:
    names = {name for name, _, _ in CASES}
    rules = {rule.id for name in names for rule in resolve(name).spec.findings}
    assert {rule for _, _, said in CASES for rule, _ in said} == rules
