"""The playbook security-baseline: what every rule says, and what its steps read."""

import pytest

from tests.unit.library import Case, check, rules_without_a_case
from tests.unit.library_cases import unanswered

NAME = "security-baseline"
# As Kubernetes' level "restricted" has it.
TIGHT = "process 1 1000 1000 0000000000000000 2 1 none web\n"
IMAGE = "registry.example.com/shop/web:2.3"
SCANNED = "scanned=yes\ncritical=0\nhigh=0\nmedium=0\ncritical_fixable=0\nhigh_fixable=0\n"

CASES = [
    Case({"processes": TIGHT, "executables": "", "listeners": "listen 8080\n", "files": "root ro -\n",
          "scan": SCANNED}, known={"ports": [8080], "mounts": ["/data"]}),
    # Nothing is declared; root of a user namespace is not root.
    Case({"processes": TIGHT.replace("1000", "mapped-0", 1), "listeners": "listen 9999\n"}),
    Case(
        {"processes": TIGHT.replace("1000", "0", 1)},
        [("runs-as-root", ("Processes of container app run as user 0, who is root on the node too if "
          "they get out."))],
    ),
    Case(
        {"processes": TIGHT.replace("none", "SYS_NICE,SYS_TIME")},
        [("capabilities-added", "Processes of container app have SYS_NICE,SYS_TIME.")],
    ),
    Case(
        {"processes": TIGHT.replace("none", "NET_ADMIN,SYS_TIME")},
        [("capabilities-dangerous", "Processes of container app have NET_ADMIN,SYS_TIME.")],
    ),
    Case(
        {"processes": TIGHT.replace(" 2 1 ", " 0 0 ")},
        [("seccomp-off", "Processes of container app run without a seccomp profile."),
         ("privileges-can-grow", ("Processes of container app that are not root may become it by a "
          "setuid program: allowPrivilegeEscalation is not false."))],
    ),
    Case(
        {"listeners": "listen 8080\nlisten 9999\n"},
        [("port-undeclared", ("Something in the pod listens on port 9999, which no container of it "
          "declares."))],
        {"ports": [8080]},
    ),
    Case({"listeners": "listen 9999\n"}, [], {"ports": [8080], "host_network": True}),
    Case(
        {"executables": "exe memory 7 x|/memfd:x\nexe deleted 8 web|/app/web\n"},
        [("program-in-memory", ("Process x of container app runs a program from memory (/memfd:x): few "
          "programs do that, and intruders do it to leave nothing behind.")),
         ("program-deleted", ("Process web of container app runs /app/web, which is not there any "
          "more: it was replaced in the running container, or somebody covered a trace."))],
    ),
    Case(
        {"files": "root rw -\nsocket rw /var/run/docker.sock\nnode rw /host\nnode ro /etc/localtime\n"},
        [("root-file-system-writable", "Container app may change the files of its image."),
         ("runtime-socket-mounted", ("Container app mounts /var/run/docker.sock: whoever gets into it "
          "can start any container on the node, and so owns the node.")),
         ("node-folder-mounted",
          "Container app mounts a folder or file of its node at /host, to write there."),
         ("node-folder-mounted", "Container app mounts a folder or file of its node at /etc/localtime.")],
    ),
    Case(
        {},
        [("service-account-token-mounted", ("Container app has a token for the API server: whoever "
          "gets into it may do what its ServiceAccount may."))],
        {"mounts": ["/var/run/secrets/kubernetes.io/serviceaccount"]},
    ),
    Case(
        {"scan": SCANNED.replace("critical=0", "critical=2").replace("medium=0", "medium=1")},
        [("vulnerabilities-critical", (f"Packages in the image of container app ({IMAGE}) have known "
          "critical vulnerabilities.")),
         ("vulnerabilities-medium", (f"Packages in the image of container app ({IMAGE}) have known "
          "vulnerabilities of severity medium."))],
    ),
    Case(
        {"scan": SCANNED.replace("high=0", "high=7")},
        [("vulnerabilities-high", (f"Packages in the image of container app ({IMAGE}) have known "
          "vulnerabilities of severity high."))],
    ),
    Case(
        {"scan": "scanned=no\n", "executables": "unreadable: some\n"},
        unanswered=[
            *("vulnerabilities-critical", "vulnerabilities-high", "vulnerabilities-medium"),
            *("program-in-memory", "program-deleted"),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_what_is_said(case: Case) -> None:
    check(NAME, case)


def test_every_rule_has_a_case() -> None:
    assert rules_without_a_case(NAME, CASES) == set()


NO_DATABASE_WORDS = "a database of vulnerabilities, in the image of the debugger or at TRIVY_SERVER"


def test_a_scanner_without_a_database_is_a_question() -> None:
    """For each of the three rules, and the reason says what is missing."""
    questions = unanswered(NAME, {"scan": f"scanned=no\nwhy={NO_DATABASE_WORDS}\n"})
    assert [q for q in questions if q[0].startswith("rule vulnerabilities")] == [
        (f"rule vulnerabilities-{severity}", f'there is no "{NO_DATABASE_WORDS}"')
        for severity in ("critical", "high", "medium")
    ]
