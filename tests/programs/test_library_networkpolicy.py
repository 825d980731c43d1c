"""The scripts about network policies, run by the shells of images."""

import socket
from pathlib import Path

import pytest

from tests.programs.program_runs import needed
from tests.programs.scripts import SHELLS, run, step_of
from tests.programs.test_library_services import polite

NAME = "networkpolicy"


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
    rows = run(step.changed(script=script), shell, path=str(tmp_path))
    assert rows == [
        {"server": "10.0.0.1", "udp": "yes", "tcp": "yes"},
        {"server": "10.0.0.2", "udp": "no", "tcp": "yes"},
    ]
