"""The scripts about security, run by the shells of images."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.playbook.spec import Step
from tests.programs.scripts import SHELLS, run, step_of
from tests.programs.test_library_disk import ROOT, entered

NAME = "security-baseline"


def looking_at(step: Step, pid: int) -> Step:
    """Here all processes are ours: this one shall count as the target's."""
    assert step.script is not None
    only = step.script.replace("/proc/[0-9]*;", f"/proc/{pid};")
    return step.changed(
        script=only.replace("read -r ours </proc/self/cgroup || ours=none", "ours=none")
    )


@pytest.fixture
def intruder() -> Iterator[int]:
    """A process whose program was never a file, without new privileges."""
    script = (
        "import os, ctypes; fd = os.memfd_create('x'); os.write(fd, open('/bin/cat', 'rb').read());"
        "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0); print(flush=True);"
        "os.execv(f'/proc/self/fd/{fd}', ['cat'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        # It has become cat when it answers.
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.parametrize("shell", SHELLS)
def test_processes(shell: list[str], intruder: int) -> None:
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{intruder}/status").read_text().splitlines()
    )
    [row] = run(looking_at(step_of(NAME, "processes"), intruder), shell)
    assert row["pid"] == str(intruder)
    assert row["uid"] == status["Uid"].split()[1]
    assert row["gid"] == status["Gid"].split()[1]
    assert (row["caps"], row["seccomp"], row["nnp"]) == (status["CapEff"], status["Seccomp"], "1")
    by_number = {
        12: "NET_ADMIN",
        19: "SYS_PTRACE",
        21: "SYS_ADMIN",
        39: "BPF",
        40: "CHECKPOINT_RESTORE",
    }
    has = int(status["CapEff"], 16)
    more = set(row["more"].split(","))
    assert {name for bit, name in by_number.items() if has >> bit & 1} == more & set(
        by_number.values()
    )
    # What containers have by default is not said.
    assert not more & {"CHOWN", "KILL", "NET_RAW", "SYS_CHROOT", "-"}


@pytest.mark.parametrize("shell", SHELLS)
def test_capabilities_by_their_numbers(shell: list[str], tmp_path: Path) -> None:
    """Each bit alone, of a status file of our own."""
    names = {}
    step = step_of(NAME, "processes")
    assert step.script is not None
    script = step.script.replace("/proc/[0-9]*;", f"{tmp_path}/[0-9]*;")
    for bit in range(41):
        (tmp_path / str(bit)).mkdir()
        (tmp_path / str(bit) / "cgroup").write_text("0::/x\n")
        (tmp_path / str(bit) / "status").write_text(
            f"Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\nCapEff:\t{1 << bit:016x}\n"
            "NoNewPrivs:\t0\nSeccomp:\t2\n"
        )
    for line in run(step.changed(script=script, parse=None), shell).splitlines():
        words = line.split()
        names[words[4]] = (words[2], words[7])
    assert len(names) == 41
    assert names[f"{1 << 21:016x}"] == ("2", "SYS_ADMIN")
    assert names[f"{1 << 2:016x}"] == ("2", "DAC_READ_SEARCH")
    assert names[f"{1 << 16:016x}"] == ("2", "SYS_MODULE")
    assert names[f"{1 << 30:016x}"] == ("2", "AUDIT_CONTROL")
    assert names[f"{1 << 32:016x}"] == ("2", "MAC_OVERRIDE")
    assert names[f"{1 << 40:016x}"] == ("2", "CHECKPOINT_RESTORE")
    default = 0xA80425FB  # of containerd, as in /proc/1/status of a container
    assert {caps for caps, (_, more) in names.items() if more == "none"} == {
        f"{1 << bit:016x}" for bit in range(41) if default >> bit & 1
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_executables(shell: list[str], intruder: int, tmp_path: Path) -> None:
    [row] = run(looking_at(step_of(NAME, "executables"), intruder), shell)
    assert (row["kind"], row["pid"], row["path"]) == ("memory", str(intruder), "/memfd:x")
    program = tmp_path / "web"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as web:
        assert run(looking_at(step_of(NAME, "executables"), web.pid), shell) == []
        program.unlink()
        [row] = run(looking_at(step_of(NAME, "executables"), web.pid), shell)
        web.kill()
    assert (row["kind"], row["name"], row["path"]) == ("deleted", "web", str(program))


POD = "/var/lib/kubelet/pods/0e547e07-7275-49aa-aa19-7d3aa6081ad1"


@pytest.mark.parametrize("shell", SHELLS)
def test_files(shell: list[str], tmp_path: Path) -> None:
    env = entered(
        tmp_path,
        ROOT.replace("rw,relatime", "ro,relatime"),
        "0:1 / /proc rw - proc proc rw",
        f"8:1 {POD}/volumes/kubernetes.io~empty-dir/a /data rw - ext4 /dev/sda1 rw",
        f"8:1 {POD}/containers/app/1 /dev/termination-log rw - ext4 /dev/sda1 rw",
        "8:1 /var/lib/containerd/sandboxes/1/hostname /etc/hostname rw - ext4 /dev/sda1 rw",
        f"8:1 {POD}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw",
        "8:1 /etc/localtime /etc/localtime ro - ext4 /dev/sda1 rw",
        "8:1 / /host rw - ext4 /dev/sda1 rw",
        "0:7 /docker.sock /var/run/docker.sock rw - tmpfs tmpfs rw",
        "8:9 / /claim rw - ext4 /dev/sdb rw",
    )
    assert run(step_of(NAME, "files"), shell, **env) == [
        {"kind": "root", "mode": "ro", "path": "-"},
        {"kind": "node", "mode": "ro", "path": "/etc/localtime"},
        {"kind": "node", "mode": "rw", "path": "/host"},
        {"kind": "socket", "mode": "rw", "path": "/var/run/docker.sock"},
    ]


def report(*vulnerabilities: dict[str, Any]) -> str:
    """As trivy writes it, indented by two."""
    found = [{"PkgID": "x", **v, "VendorSeverity": {"nvd": 4}} for v in vulnerabilities]
    return json.dumps(
        {"SchemaVersion": 2, "ArtifactType": "filesystem",
         "Results": [{"Target": "debian", "Class": "os-pkgs", "Vulnerabilities": found}]},
        indent=2,
    )  # fmt: skip


REPORT = report(
    {"VulnerabilityID": "CVE-1", "PkgName": "openssl", "InstalledVersion": "3.0.1", "FixedVersion": "3.0.2",
     "Title": 'x "Severity": "LOW"', "Description": '$(reboot)\n"Severity": "HIGH",', "Severity": "CRITICAL"},
    {"VulnerabilityID": "CVE-2", "PkgName": "zlib`x", "InstalledVersion": "1:1.2+d~1", "Severity": "CRITICAL"},
    {"VulnerabilityID": "CVE-3", "PkgName": "curl", "InstalledVersion": "7", "FixedVersion": "8, 9",
     "Severity": "MEDIUM"},
)  # fmt: skip


# What trivy 0.74 says on a first run that may not fetch a database.
NO_DATABASE = (
    "2026-11-29T00:16:00Z\tFATAL\tFatal error\trun error: init error: DB error: database error: "
    "--skip-db-update cannot be specified on the first run\n"
)
NO_DATABASE_WORDS = "a database of vulnerabilities, in the image of the debugger or at TRIVY_SERVER"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_trivy_really_writes(shell: list[str], tmp_path: Path) -> None:
    """Recorded: trivy 0.74 over the list of packages of an Alpine, with a database of two made-up
    vulnerabilities, one of which has a title that looks like a field."""
    trivy = tmp_path / "trivy"
    trivy.write_text(f"#!/bin/sh\ncat {Path(__file__).parent}/trivy_report.json\n")
    trivy.chmod(0o755)
    step = step_of(NAME, "scan").changed(parse=None)
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert run(step, shell, path=path, PODMEDIC_ROOT=str(tmp_path)).splitlines() == [
        "vulnerability CRITICAL openssl 3.1.4-r0 3.1.4-r6 CVE-2024-0001",
        "vulnerability HIGH zlib 1.3-r2 - CVE-2024-0002",
        "scanned=yes",
        "critical=1",
        "critical_fixable=1",
        "high=1",
        "high_fixable=0",
        "medium=0",
    ]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("written", [REPORT, report(), "", NO_DATABASE])
def test_scan(shell: list[str], tmp_path: Path, written: str) -> None:
    """What a scanner writes comes from a hostile image: nothing of it but words gets through."""
    (tmp_path / "report").write_text(written)
    trivy = tmp_path / "trivy"
    # Called within the target's root, and told to heed nothing that lies there.
    trivy.write_text(
        f'#!/bin/sh\n[ "$(pwd -P)" = {tmp_path}/root ] || exit 1\n'
        'case "$*" in *" --config /dev/null --ignorefile /dev/null "*" .") ;; *) exit 1 ;; esac\n'
        f"cat {tmp_path}/report\n"
    )
    (tmp_path / "root").mkdir()
    link = tmp_path / "link"
    link.symlink_to("root")
    trivy.chmod(0o755)
    step = step_of(NAME, "scan")
    path = f"{tmp_path}:{os.environ['PATH']}"
    found = run(step, shell, path=path, PODMEDIC_ROOT=str(link))
    if written != REPORT:
        none = {"scanned": "yes", "critical": "0", "critical_fixable": "0", "high": "0",
                "high_fixable": "0", "medium": "0"}  # fmt: skip
        why = "a report of trivy" if not written else NO_DATABASE_WORDS
        assert found == (none if written == report() else {"scanned": "no", "why": why})
        return
    assert found == {
        "scanned": "yes", "critical": "2", "critical_fixable": "1", "high": "0", "high_fixable": "0",
        "medium": "1",
    }  # fmt: skip
    out = run(step.changed(parse=None), shell, path=path, PODMEDIC_ROOT=str(link))
    assert out.splitlines()[:2] == [
        "vulnerability CRITICAL openssl 3.0.1 3.0.2 CVE-1",
        "vulnerability CRITICAL zlib_x 1:1.2+d~1 - CVE-2",
    ]
