"""The script that measures a request, run by the shells of images."""

from pathlib import Path

import pytest

from tests.programs.program_runs import needed
from tests.programs.scripts import SHELLS, run, step_of

NAME = "egress-latency"


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
