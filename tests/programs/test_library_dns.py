"""The scripts about DNS, run by the shells of images."""

import shutil
from pathlib import Path

import pytest

from tests.programs.scripts import SHELLS, run, step_of

NAME = "dns-failure"


# What dig 9.18 of the tools image says, cut to the lines that differ.
DIG = r"""#!/bin/sh
printf '%s\n' "$*" >>"${0%/*}/asked"
answer() { echo ";; ->>HEADER<<- opcode: QUERY, status: $1, id: 1"; echo ";; flags: qr aa rd; QUERY: 1, ANSWER: $2, AUTHORITY: 0, ADDITIONAL: 1"; echo ";; Query time: $3 msec"; }
case "$*" in
  *@10.0.0.1*+tcp*) answer NOERROR 1 4 ;;
  *@10.0.0.1*) echo ";; communications error to 10.0.0.1#53: timed out"; echo ";; no servers could be reached"; exit 9 ;;
  *@10.0.0.2*+tcp*) echo ";; Connection to 10.0.0.2#53(10.0.0.2) for a.b. failed: host unreachable."; exit 9 ;;
  *@10.0.0.2*) answer NOERROR 1 150 ;;
  *@10.0.0.3*+tcp*) echo ";; Connection to 10.0.0.3#53(10.0.0.3) for a.b. failed: connection refused."; exit 9 ;;
  *@10.0.0.3*) answer SERVFAIL 0 1 ;;
  *"kubernetes.default.svc.cluster.local. A "*) answer NOERROR 1 1 ;;
  *"db.shop.svc.cluster.local. A "*) answer NOERROR 1 1 ;;
  *"www.example.com. A "*) answer NOERROR 1 1 ;;
  *"six.example.com. AAAA "*) answer NOERROR 1 1 ;;
  *"six.example.com. A "*) answer NOERROR 0 1 ;;
  *"ill.example.com. A "*) answer SERVFAIL 0 1 ;;
  *"late.example.com. A "*) echo ";; communications error to 10.0.0.2#53: timed out"; exit 9 ;;
  *) answer NXDOMAIN 0 1 ;;
esac
"""
RESOLV = (
    "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
    "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"
    "options ndots:5 timeout:2\n"
)


def seen(
    name: str, shell: list[str], folder: Path, resolv: str = RESOLV, hosts: str = ""
) -> object:
    """What a step sees with this resolv.conf and the dig above."""
    (folder / "resolv.conf").write_text(resolv)
    (folder / "hosts").write_text("127.0.0.1\tlocalhost\n10.1.1.1\talias alias.example\n")
    for tool in ("cat", "timeout", "tr", "date"):
        if not (folder / tool).exists():
            (folder / tool).symlink_to(shutil.which(tool) or tool)
    (folder / "dig").write_text(DIG)
    (folder / "dig").chmod(0o755)
    step = step_of(NAME, name)
    script = (step.script or "").replace("/etc/resolv.conf", str(folder / "resolv.conf"))
    script = script.replace("/etc/hosts", str(folder / "hosts"))
    one = step.changed(script=script)
    return run(one, shell, path=str(folder), PODMEDIC_ENDPOINTS=hosts)


@pytest.mark.parametrize("shell", SHELLS)
def test_config(shell: list[str], tmp_path: Path) -> None:
    assert seen("config", shell, tmp_path) == {
        "domain": "cluster.local", "servers": "4", "searches": "3", "ndots": "5", "cluster": "yes",
    }  # fmt: skip
    assert seen("config", shell, tmp_path, "nameserver 1.1.1.1\noptions ndots:x;y\n") == {
        "servers": "1", "searches": "0", "ndots": "1", "cluster": "no",
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_servers(shell: list[str], tmp_path: Path) -> None:
    """UDP and TCP apart; who never answers is asked three times; no more than three servers."""
    rows = seen("servers", shell, tmp_path)
    assert rows == [
        {"server": "10.0.0.1", "asked": "3", "answered": "0", "slow": "0", "ms": "0",
         "udp": "timeout", "tcp": "ok"},
        {"server": "10.0.0.2", "asked": "10", "answered": "10", "slow": "10", "ms": "150",
         "udp": "ok", "tcp": "unreachable"},
        {"server": "10.0.0.3", "asked": "10", "answered": "10", "slow": "0", "ms": "1",
         "udp": "servfail", "tcp": "closed"},
    ]  # fmt: skip
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == ("@10.0.0.1 kubernetes.default.svc.cluster.local. A +notcp +tries=1 +time=2")


@pytest.mark.parametrize("shell", SHELLS)
def test_names(shell: list[str], tmp_path: Path) -> None:
    """As a resolver asks: the search list, AAAA where there is no A, /etc/hosts first; nothing
    hostile gets to dig."""
    hosts = """env:DB db.shop 5432
args www.example.com 443
args six.example.com. -
env:A ill.example.com -
env:B late.example.com. -
env:C gone -
env:C gone 80
env:D alias.example 80
env:E 10.1.2.3 80
env:F -x;reboot 80
env:G @1.1.1.1 53
env:H +tcp 53"""
    rows = seen("names", shell, tmp_path, hosts=hosts)
    assert isinstance(rows, list)
    assert [(r["source"], r["host"], r["word"], r["questions"]) for r in rows] == [
        ("cluster", "kubernetes.default", "ok", "2"),
        ("env:DB", "db.shop", "ok", "2"),
        ("args", "www.example.com", "ok", "4"),
        ("args", "six.example.com.", "ok", "1"),
        ("env:A", "ill.example.com", "servfail", "4"),
        ("env:B", "late.example.com.", "timeout", "1"),
        ("env:C", "gone", "nxdomain", "4"),
        ("env:D", "alias.example", "hosts", "0"),
    ]
    asked = (tmp_path / "asked").read_text()
    assert not any(word in asked for word in ("reboot", "@1.1.1.1", "+tcp", "10.1.2.3"))


@pytest.mark.parametrize("shell", SHELLS)
def test_without_dig(shell: list[str], tmp_path: Path) -> None:
    """By getent: that a name does not resolve; by nslookup also what the server said."""
    tools = {
        "getent": "case $2 in db) exit 0 ;; *) exit 2 ;; esac",
        "nslookup": 'case $1 in db) echo "Address: 10.1.1.1"; exit 0 ;;'
        ' ill) echo "** server can\'t find ill: SERVFAIL"; exit 1 ;;'
        ' gone) echo "** server can\'t find gone.cluster.local: NXDOMAIN"; exit 1 ;;'
        ' *) echo ";; connection timed out; no servers could be reached"; exit 1 ;; esac',
        "timeout": 'shift; exec "$@"',
        "date": "echo 0",
    }  # fmt: skip
    for tool, text in tools.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / tool).chmod(0o755)
    hosts = "\n".join(f"env:{name} {name} -" for name in ("db", "gone", "ill", "-x"))
    rows = run(step_of(NAME, "library"), shell, path=str(tmp_path), PODMEDIC_ENDPOINTS=hosts)
    assert [(row["host"], row["word"]) for row in rows] == [
        ("kubernetes.default.svc", "fail"), ("db", "ok"), ("gone", "fail"), ("ill", "fail"),
    ]  # fmt: skip
    rows = run(step_of(NAME, "nslookup"), shell, path=str(tmp_path), PODMEDIC_ENDPOINTS=hosts)
    assert [(row["host"], row["word"]) for row in rows] == [
        ("kubernetes.default.svc", "timeout"), ("db", "ok"), ("gone", "nxdomain"), ("ill", "servfail"),
    ]  # fmt: skip
