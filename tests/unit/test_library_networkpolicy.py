"""The playbook networkpolicy: what its rules say of the ways in which connections fail."""

import socket
from pathlib import Path
from typing import Literal

import pytest

from runner.model.examination import Blocked
from tests.unit.library_cases import MISSING, Case, said, unanswered, without_case
from tests.unit.program_runs import needed
from tests.unit.test_library_services import polite
from tests.unit.test_playbook_scripts import SHELLS, run, step_of

NAME = "networkpolicy"
DNS = "dns 10.96.0.10 udp=yes tcp=yes\n"
NO_DNS = "dns 10.96.0.10 udp=no tcp=no\n"
API = "reach api 10.96.0.1 443 open\n"


def behind(tried: int, blocked: int) -> str:
    return f"behind db 5432 shop/db ready=3 tried={tried} blocked={blocked}\n"


CASES: list[Case] = [
    ({"dns": DNS, "reach": API + "reach env:DB db 5432 open\n", "behind": behind(3, 0)}, []),
    # Another way to them is open.
    ({"dns": DNS, "reach": API + "reach env:DB db 5432 open\n", "behind": behind(3, 3)}, []),
    # Names that do not exist are not blocked.
    ({"dns": DNS, "reach": API + "reach env:DB gone 5432 unresolved\n", "behind": ""}, []),
    ({"dns": NO_DNS, "reach": "reach api 10.96.0.1 443 timeout\nreach env:DB db 5432 unresolved\n",
      "behind": behind(3, 3)}, [
        ("egress-blocked", ("Nothing that was tried from the pod answers, neither DNS nor the API "
         "server nor what its configuration names: its egress is blocked, or its network does not "
         "work."))]),
    ({"dns": NO_DNS, "reach": API + "reach env:DB db 5432 unresolved\n", "behind": behind(3, 0)}, [
        ("dns-blocked", ("The pod reaches other addresses, but none of its nameservers answers: a "
         "policy that allows egress and forgets DNS is likely."))]),
    ({"dns": "dns 10.96.0.10 udp=no tcp=yes\n", "reach": API, "behind": ""}, [
        ("dns-udp-blocked", ("Nameserver 10.96.0.10 answers by TCP and not by UDP: a policy or "
         "firewall that allows port 53 for TCP alone is likely."))]),
    ({"dns": DNS, "reach": API + "reach env:DB db 5432 timeout\n", "behind": behind(3, 3)}, [
        ("service-blocked", ("Container app uses db:5432, and none of the 3 ready pods behind "
         "Service shop/db answers or refuses: a NetworkPolicy or firewall is likely."))]),
    ({"dns": DNS, "reach": API + "reach env:DB db 5432 open\n", "behind": behind(3, 1)}, [
        ("service-partly-blocked", ("Container app uses db:5432; of 3 ready pods behind Service "
         "shop/db 1 neither answer nor refuse."))]),
    ({"dns": DNS, "reach": API + "reach env:X 10.0.0.9 80 rejected\n", "behind": ""}, [
        ("rejected", ("Connections to 10.0.0.9:80 (env:X) are rejected at once as unreachable or "
         "prohibited, which a server does not do: a firewall, a policy or a missing route is "
         "between."))]),
    ({"dns": DNS, "reach": API + "reach env:X 10.0.0.9 80 timeout\n", "behind": MISSING}, [
        ("host-blocked", ("10.0.0.9:80, which container app uses (env:X), neither accepts nor "
         "refuses connections, as behind a policy or firewall that drops; an address that nobody "
         "has looks the same."))]),
    ({"dns": DNS, "reach": "reach api 10.96.0.1 443 timeout\nreach env:X a 80 open\n", "behind": ""}, [
        ("api-blocked", ("The pod does not reach the API server (10.96.0.1:443 does not answer), "
         "which matters if the application uses it."))]),
    ({"dns": DNS, "reach": API + "reach env:X a 80 refused\n", "behind": ""}, [
        ("refused-not-blocked", ("a:80 (env:X) refuses connections: the way there is open, so it is "
         "no policy; nothing listens, or nobody is behind the Service."))]),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert said(NAME, outputs) == expected


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        ("egress", "the NetworkPolicies that select the pod (a, b) let no TCP out to its port 6432."),
        ("ingress", ("the NetworkPolicies that select the pods behind it (a, b) let nothing from this "
         "pod in to their port 6432.")),
    ],
)  # fmt: skip
def test_the_policy_that_blocks_is_named(
    direction: Literal["egress", "ingress"], words: str
) -> None:
    """In place of a guess; and never where anything of that host comes through."""
    one = Blocked(host="db", port=6432, policies=("a", "b"), direction=direction)
    outputs = {"dns": DNS, "reach": API + "reach env:DB db 5432 timeout\n", "behind": behind(3, 3)}
    message = f"Container app uses db, which does not answer: {words}"
    assert said(NAME, outputs, blocked=[one]) == [("policy-blocks", message)]
    outputs["reach"] += "reach env:X db 80 refused\n"
    rules = [rule for rule, _ in said(NAME, outputs, blocked=[one])]
    assert rules == ["refused-not-blocked", "service-blocked"]


def test_policies_that_may_not_be_listed_leave_the_guess() -> None:
    outputs = {"dns": DNS, "reach": API + "reach env:DB db 5432 timeout\n", "behind": behind(3, 3)}
    unknown = {"policies": "forbidden: list networkpolicies.networking.k8s.io"}
    assert [rule for rule, _ in said(NAME, outputs, unknown=unknown)] == ["service-blocked"]
    assert ("rule policy-blocks", f"policies: {unknown['policies']}") in unanswered(
        NAME, outputs, unknown=unknown
    )


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == {"policy-blocks"}  # its own test is above


# What nc of the tools image says, by the host that it is asked for.
NC = r"""#!/bin/sh
case $5 in
  slow) echo "nc: connect to slow port 80 (tcp) timed out: Operation now in progress" >&2; exit 1 ;;
  gone) sleep 2; echo "nc: connect to gone port 80 (tcp) failed: No route to host" >&2; exit 1 ;;
  shut) echo "nc: connect to shut port 80 (tcp) failed: No route to host" >&2; exit 1 ;;
  none) echo "nc: getaddrinfo for host \"none\" port 80: Name or service not known" >&2; exit 1 ;;
  *) echo "Connection to $5 80 port [tcp/*] succeeded!" >&2 ;;
esac
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_how_it_fails(shell: list[str], tmp_path: Path) -> None:
    """An address that nobody has is given up after seconds; what rejects does so at once."""
    for tool in ("date", "timeout", "sleep"):
        (tmp_path / tool).symlink_to(needed("busybox"))
    (tmp_path / "nc").write_text(NC)
    (tmp_path / "nc").chmod(0o755)
    hosts = "\n".join(f"env:A {host} 80" for host in ("slow", "gone", "shut", "none", "ok", "-x"))
    rows = run(step_of(NAME, "reach"), shell, path=str(tmp_path), PODMEDIC_ENDPOINTS=hosts,
               KUBERNETES_SERVICE_HOST="fd00::1", KUBERNETES_SERVICE_PORT="443")  # fmt: skip
    assert {(row["source"], row["host"], row["word"]) for row in rows} == {
        ("api", "fd00::1", "open"), ("env:A", "slow", "timeout"), ("env:A", "gone", "timeout"),
        ("env:A", "shut", "rejected"), ("env:A", "none", "unresolved"), ("env:A", "ok", "open"),
    }  # fmt: skip
    services = "web 80 shop web None 80 3 0 ok/80,slow/80,shut/80\ndb 1 shop db - - 0 0 -"
    rows = run(step_of(NAME, "behind"), shell, path=str(tmp_path), PODMEDIC_SERVICES=services)
    assert {(row["service"], row["ready"], row["tried"], row["blocked"]) for row in rows} == {
        ("shop/web", "3", "3", "2"), ("shop/db", "0", "0", "0"),
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_busybox_and_real_ports(shell: list[str], tmp_path: Path) -> None:
    for tool in ("nc", "date", "timeout"):
        (tmp_path / tool).symlink_to(needed("busybox"))
    with polite() as port, socket.create_server(("127.0.0.2", 0)) as gone:
        nobody = gone.getsockname()[1]
        gone.close()
        hosts = f"env:A 127.0.0.2 {port}\nenv:B 127.0.0.2 {nobody}"
        rows = run(step_of(NAME, "reach"), shell, path=str(tmp_path), PODMEDIC_ENDPOINTS=hosts)
    assert {(row["source"], row["word"]) for row in rows} == {
        ("env:A", "open"), ("env:B", "refused"),
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_dns(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.1\nnameserver 10.0.0.2\n")
    for tool in ("cat", "timeout"):
        (tmp_path / tool).symlink_to(needed("busybox"))
    (tmp_path / "dig").write_text(
        "#!/bin/sh\ncase \"$*\" in *0.1*|*+tcp*) echo ';; status: NXDOMAIN, id: 1' ;; "
        "*) echo ';; no servers could be reached'; exit 9 ;; esac\n"
    )
    (tmp_path / "dig").chmod(0o755)
    step = step_of(NAME, "dns")
    script = (step.script or "").replace("/etc/resolv.conf", str(tmp_path / "resolv.conf"))
    rows = run(step.model_copy(update={"script": script}), shell, path=str(tmp_path))
    assert rows == [
        {"server": "10.0.0.1", "udp": "yes", "tcp": "yes"},
        {"server": "10.0.0.2", "udp": "no", "tcp": "yes"},
    ]
