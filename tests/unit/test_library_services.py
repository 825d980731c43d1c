"""The playbook service-unreachable: what its rules say, and how its steps see servers."""

import pytest

from tests.unit.library_cases import MISSING, Case, said, without_case

NAME = "service-unreachable"


def connect(host: str, tries: int = 8, *, source: str = "env:A", **words: int) -> str:
    counts = " ".join(
        f"{w}={words.get(w, 0)}" for w in ("open", "refused", "timeout", "unresolved")
    )
    return f"connect {source} {host} 80 tries={tries} {counts}\n"


def behind(
    target: str = "8080", ready: int = 2, unready: int = 0, tried: int = 2, bad: str = "-",
    ip: str = "10.96.1.1", tries: int = 12, through: int = 12, **words: int,
) -> str:  # fmt: skip
    counts = " ".join(f"{w}={words.get(w, 0)}" for w in ("open", "refused", "timeout"))
    return (
        f"behind web 80 shop/web ip={ip} target={target} ready={ready} unready={unready} "
        f"tried={tried} {counts} bad={bad} tries={tries} through={through}\n"
    )


USES = "Container app uses web:80"
CASES: list[Case] = [
    ({"connect": connect("web", open=8), "behind": behind(open=2)}, []),
    ({"connect": connect("web", open=8), "behind": behind(open=2, ip="None", tries=0, through=0)}, []),
    ({"connect": connect("web", 3, timeout=3), "behind": behind("-", tried=0, tries=3, through=0)}, [
        ("service-port-missing", f"{USES}, and Service shop/web has no port 80.")]),
    ({"connect": connect("web", refused=8), "behind": behind(ready=0, tried=0, through=0)}, [
        ("service-without-endpoints", (f"{USES}, and Service shop/web has no endpoints: it selects "
         "no pod that runs."))]),
    # There was no pod when the list was read, and now there is.
    ({"connect": connect("web", open=8), "behind": behind(ready=0, tried=0, through=12)}, []),
    ({"connect": connect("web", refused=8), "behind": behind(ready=0, unready=3, tried=0, through=0)}, [
        ("service-endpoints-not-ready", (f"{USES}, and none of the 3 pods behind Service shop/web "
         "is ready."))]),
    # An answer of the DNS that got lost.
    ({"connect": connect("web", 8, open=7, unresolved=1), "behind": behind(open=2)}, []),
    ({"connect": connect("web", 2, unresolved=2), "behind": behind(open=2)}, [
        ("service-unresolved", ("The host web (env:A) does not resolve in the pod, though there is "
         "such a Service: DNS fails in this pod."))]),
    ({"connect": connect("web", refused=8), "behind": behind(refused=2, bad="10.0.0.1,10.0.0.2", through=0)}, [
        ("target-port-closed", (f"{USES}, and all 2 pods behind Service shop/web that were tried "
         "refuse connections on port 8080."))]),
    ({"connect": connect("web", 3, timeout=3),
      "behind": behind(timeout=2, bad="10.0.0.1,10.0.0.2", tries=3, through=0)}, [
        ("endpoints-silent", (f"{USES}, and none of the 2 ready pods behind Service shop/web that "
         "were tried answers on port 8080, nor refuses: the way to them is closed."))]),
    ({"connect": connect("web", open=5, refused=3),
      "behind": behind(open=1, refused=1, bad="10.0.0.2", through=6)}, [
        ("endpoint-bad", (f"{USES}; of the 2 ready pods behind Service shop/web 1 accept "
         "connections, these do not: 10.0.0.2."))]),
    ({"connect": connect("web", 3, timeout=3), "behind": behind(open=2, tries=3, through=0)}, [
        ("cluster-ip-fails", (f"{USES}: all 2 pods behind Service shop/web that were tried accept "
         "connections, and through its address 10.96.1.1 there are none."))]),
    ({"connect": connect("web", open=6, timeout=2), "behind": behind(open=2, through=9)}, [
        ("cluster-ip-unreliable", (f"{USES}: all 2 pods behind Service shop/web accept connections, "
         "but through its address 10.96.1.1 only some are accepted (9 of 12)."))]),
    ({"connect": connect("gone.example", 2, unresolved=2), "behind": ""}, [
        ("host-unresolved", ("The host gone.example that the configuration of container app names "
         "(env:A) does not resolve."))]),
    ({"connect": connect("10.0.0.9", refused=8), "behind": ""}, [
        ("host-refuses", ("10.0.0.9:80, which container app uses (env:A), refuses connections: "
         "nothing listens there, or it is a Service with nobody behind it."))]),
    ({"connect": connect("10.0.0.9", 3, timeout=3), "behind": behind(open=2)}, [
        ("host-silent", ("10.0.0.9:80, which container app uses (env:A), neither accepts nor "
         "refuses connections."))]),
    # Where Services may not be listed, less is told apart.
    ({"connect": connect("web", open=5, refused=3), "behind": MISSING}, [
        ("host-unreliable", ("Of 8 connections to web:80, which container app uses (env:A), 5 were "
         "accepted: probably one of several servers behind that name does not work."))]),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert said(NAME, outputs) == expected


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == set()
