"""The playbook egress-latency: what its rules say, and how curl's times become phases."""

from pathlib import Path

import pytest

from tests.unit.library_cases import Case, said, without_case
from tests.unit.program_runs import needed
from tests.unit.test_playbook_scripts import SHELLS, run, step_of

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


# As curl 7.88 answers -w, by the address.
CURL = r"""#!/bin/sh
for url; do :; done
printf '%s\n' "$*" >>"${0%/*}/asked"
case $url in
  https://api:443/) printf '0.100000 0.110000 0.140000 0.149999' ;;
  http://web:80/)
    # Every other one waits for a packet that is sent again.
    if [ -e "${0%/*}/odd" ]; then rm "${0%/*}/odd"; printf '0.000089 1.008089 0.000000 1.009089'
    else : >"${0%/*}/odd"; printf '0.000089 0.000109 0.000000 0.700109'; fi ;;
  telnet://db:5432) printf '0.020000 0.022000 0.000000 0.000000'; exit 28 ;;
  telnet://late:5432) printf '0.020000 0.000000 0.000000 0.000000'; exit 28 ;;
  *) printf '0.000000 0.000000 0.000000 0.000000'; exit 6 ;;
esac
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_phases(shell: list[str], tmp_path: Path) -> None:
    for tool in ("date", "rm"):
        (tmp_path / tool).symlink_to(needed("busybox"))
    (tmp_path / "curl").write_text(CURL)
    (tmp_path / "curl").chmod(0o755)
    hosts = "\n".join(
        f"env:A {each}"
        for each in (
            "api 443",
            "web 80",
            "web 80",
            "db 5432",
            "late 5432",
            "gone 8443",
            "-x 80",
            "a -",
        )
    )
    rows = run(step_of(NAME, "latency"), shell, path=str(tmp_path), PODMEDIC_ENDPOINTS=hosts)
    fields = ("host", "how", "samples", "failed", "dns", "tcp", "tls", "wait", "slowest", "lost",
              "phase")  # fmt: skip
    assert [" ".join(row[f] for f in fields) for row in rows] == [
        "api https 10 0 100 10 30 9 149 0 dns",
        "web http 10 0 0 504 0 350 1009 5 tcp",
        "db tcp 3 0 20 2 0 0 22 0 dns",
        "late tcp 3 3 0 0 0 0 0 0 dns",
        "gone https 4 4 0 0 0 0 0 0 dns",
    ]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert all("--noproxy * " in line for line in asked)
    # What is not known to speak HTTP is asked nothing.
    assert [" -I " in line for line in asked if "telnet:" in line] == [False] * 6


@pytest.mark.parametrize("shell", SHELLS)
def test_real_curl(shell: list[str]) -> None:
    """A port that nobody has."""
    needed("curl")
    rows = run(step_of(NAME, "latency"), shell, PODMEDIC_ENDPOINTS="args 127.0.0.2 8443")
    assert [(row["how"], row["samples"], row["failed"]) for row in rows] == [("https", "4", "4")]
