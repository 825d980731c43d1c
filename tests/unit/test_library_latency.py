"""The playbook egress-latency: what its rules say, and how curl's times become phases."""

import pytest

from tests.unit.library_cases import Case, said, without_case

NAME = "egress-latency"


def latency(
    host: str = "db:443", samples: int = 10, failed: int = 0, dns: int = 2, tcp: int = 1,
    tls: int = 30, wait: int = 9, slowest: int = 90, lost: int = 0, phase: str = "tls",
) -> str:  # fmt: skip
    return (
        f"latency env:A {host.replace(':', ' ')} https samples={samples} failed={failed} "
        f"dns_ms={dns} tcp_ms={tcp} tls_ms={tls} wait_ms={wait} total_ms={dns + tcp + tls + wait} "
        f"slowest_ms={slowest} lost={lost} phase={phase}\n"
    )


CASES: list[Case] = [
    ({"latency": latency() + latency("a:443", dns=99, phase="dns")
      + latency("b:443", tcp=99, phase="tcp") + latency("c:443", tls=199)
      + latency("d:443", wait=499, phase="wait")}, []),
    ({"latency": latency(samples=4, failed=4, dns=0, tcp=0, tls=0, wait=0, phase="dns")}, [
        ("unreachable", "None of 4 connections to db:443 (env:A) came about.")]),
    ({"latency": latency(failed=3)}, [
        ("unreliable", "3 of 10 connections to db:443 (env:A) failed.")]),
    ({"latency": latency(dns=100, phase="dns")}, [
        ("dns-slow", ("A connection to db:443 takes 140 ms on average, 100 ms of it for DNS (TCP 1, "
         "TLS 30, first byte 9 ms)."))]),
    ({"latency": latency(tcp=150, lost=1, slowest=1090, phase="tcp")}, [
        ("packets-lost", ("1 of 10 connections to db:443 took a second or more to be accepted, as "
         "when a packet is lost and sent again; the slowest took 1090 ms."))]),
    ({"latency": latency(tcp=100, phase="tcp")}, [
        ("connect-slow", ("A connection to db:443 takes 100 ms on average until it is accepted, one "
         "round trip (DNS 2, TLS 30, first byte 9 ms)."))]),
    ({"latency": latency(tls=200)}, [
        ("tls-slow", ("A connection to db:443 takes 212 ms on average, 200 ms of it for the TLS "
         "handshake (DNS 2, TCP 1, first byte 9 ms)."))]),
    ({"latency": latency(wait=500, phase="wait")}, [
        ("server-slow", ("A HEAD request for / to db:443 takes 533 ms on average, 500 ms of it until "
         "the first byte of the answer (DNS 2, TCP 1, TLS 30 ms)."))]),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert said(NAME, outputs) == expected


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == set()
