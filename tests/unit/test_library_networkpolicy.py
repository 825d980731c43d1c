"""The playbook networkpolicy: what its rules say of the ways in which connections fail."""

from typing import Literal

import pytest

from runner.model.examination import Blocked
from tests.unit.library_cases import MISSING, Case, said, unanswered, without_case

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
