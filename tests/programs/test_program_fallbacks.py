"""The step program where an image or a pod lacks what it would rather have."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from runner.program import StreamRecord
from tests.programs.program_runs import Shell, command, needed, script, told

KINDS = ("dash", "busybox")
MIXED = bytes(range(256)) * 40
TEXT = b"many words, and the same again\n" * 300

SAYS = "frame 2 (step says, attempt 1, stdout)"
NO_GZIP = "no gzip in the image: output was sent uncompressed"
NO_BASE64 = "no base64 in the image: output was sent as hexadecimal digits"
NO_SHA = "no sha256sum in the image: cksum proves it"
NO_SUM = "no sha256sum in the image: only gzip's check proves it, where it was used"
NO_SETSID = "no setsid in the image: what a step left running may live on"


def _run(shell: Shell) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Run three steps and check what they did; complete, problems and remarks."""
    (shell.scratch / "mixed").write_bytes(MIXED)
    (shell.scratch / "text").write_bytes(TEXT)
    ran = shell.run(
        [
            command("mixed", "cat", f"{shell.scratch}/mixed"),
            script("text", f"cat {shell.scratch}/text; cat {shell.scratch}/mixed >&2; exit 3"),
            command("slow", "sleep", "600", timeout_seconds=0.2),
        ]
    )
    assert told(ran.result) == {
        "mixed": [(0, MIXED, b"")],
        "text": [(3, TEXT, MIXED)],
        "slow": [("timed out", b"", b"")],
    }
    return ran.result.complete, ran.result.problems, ran.result.remarks


@pytest.mark.parametrize(
    ("without", "remarks"),
    [
        (("timeout",), ()),
        (("gzip",), (NO_GZIP,)),
        (("base64",), (NO_BASE64,)),
        (("setsid",), (NO_SETSID,)),
        (("date", "rmdir", "od", "cksum"), ()),
        (("sha256sum", "cksum"), (NO_SUM,)),
        (("base64", "gzip", "setsid", "timeout"), (NO_BASE64, NO_GZIP, NO_SETSID)),
    ],
    ids=lambda value: "-".join(value) if value and " " not in value[0] else "",
)
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_tool_all_arrives_and_the_lack_is_said(
    tmp_path: Path, kind: str, without: tuple[str, ...], remarks: tuple[str, ...]
) -> None:
    shell = Shell(kind, tmp_path, without=without).prepared()
    assert _run(shell) == (True, (), remarks)


def test_cksum_proves_what_sha256sum_cannot(tmp_path: Path) -> None:
    """The one check that POSIX asks for is cksum; Debian's busybox happens to lack it."""
    shell = Shell("dash", tmp_path, without=("sha256sum",)).prepared()
    assert _run(shell) == (True, (), (NO_SHA,))


def test_base64_without_its_option_for_long_lines(tmp_path: Path) -> None:
    """Old busybox knows no -w: lines of 76 characters do as well."""
    old = tmp_path / "old-base64"
    real = needed("base64")
    old.write_text(f"#!/bin/dash\n[ $# = 0 ] && exec {real}\necho usage >&2\nexit 1\n")
    old.chmod(0o755)
    shell = Shell("dash", tmp_path, links={"base64": str(old)}).prepared()
    assert _run(shell) == (True, (), ())


def test_sleep_that_knows_whole_seconds_only(tmp_path: Path) -> None:
    """Time-outs and back-offs are rounded up, never taken for nothing."""
    old = tmp_path / "old-sleep"
    real = needed("sleep")
    old.write_text(f'#!/bin/dash\ncase $1 in *.*) exit 1 ;; esac\nexec {real} "$1"\n')
    old.chmod(0o755)
    shell = Shell("dash", tmp_path, links={"sleep": str(old)}).prepared()
    ran = shell.run(
        [
            script("quick", "echo done", timeout_seconds=8.5),
            command("slow", "sleep", "600", timeout_seconds=0.2),
        ]
    )
    assert told(ran.result) == {
        "quick": [(0, b"done\n", b"")],
        "slow": [("timed out", b"", b"")],
    }
    assert ran.result.steps[1].attempts[0].duration_seconds >= 0.99


def test_without_any_check_nothing_is_called_whole(tmp_path: Path) -> None:
    shell = Shell("dash", tmp_path, without=("sha256sum", "cksum", "gzip")).prepared()
    ran = shell.run([command("says", "printf", "hello")])
    attempt = ran.result.steps[0].attempts[0]
    assert attempt.exit_code == 0
    assert attempt.stdout == StreamRecord(data=b"hello", total_bytes=5)
    assert not ran.result.complete
    assert ran.result.problems == (
        f"{SAYS} cannot be proven: the image has no sha256sum and no cksum",
    )


def test_without_any_encoder_the_exit_code_still_arrives(tmp_path: Path) -> None:
    shell = Shell("dash", tmp_path, without=("base64", "od")).prepared()
    ran = shell.run([script("says", "echo hello; exit 3")])
    attempt = ran.result.steps[0].attempts[0]
    assert attempt.exit_code == 3
    assert attempt.stdout == StreamRecord(total_bytes=6)
    assert ran.result.problems == (
        f"{SAYS} could not be sent: the image has neither base64 nor od",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacks", ["sleep", "dd", "wc", "mkfifo"])
def test_without_the_least_no_step_runs_and_that_is_said(
    tmp_path: Path, kind: str, lacks: str
) -> None:
    shell = Shell(kind, tmp_path, without=(lacks,)).prepared()
    ran = shell.start([command("says", "printf", "hello")]).finish()
    assert ran.result.steps[0].attempts == ()
    assert ran.result.steps[0].not_run == (
        "no writable folder for a pipe in the container, or no dd, wc or sleep"
    )
    assert ran.result.complete


@pytest.mark.parametrize("kind", KINDS)
def test_a_tmpdir_that_cannot_be_written(tmp_path: Path, kind: str) -> None:
    """The next folder that can be written is taken and left clean."""
    shell = Shell(kind, tmp_path).prepared()
    ran = shell.run([command("says", "printf", "hello")], env={"TMPDIR": "/proc"})
    assert told(ran.result) == {"says": [(0, b"hello", b"")]}
    assert ran.result.complete
    assert not Path(f"/tmp/podmedic-{ran.result.execution}").exists()


UNSHARE = (needed("unshare"), "--map-root-user", "--mount", needed("dash"), "-c")
READ_ONLY = """\
for folder in /tmp /var/tmp; do
  mount --bind $folder $folder && mount -o remount,bind,ro $folder || exit 99
done
mount -t tmpfs -o {mode} none /dev/shm || exit 98
exec "$@"
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_root_filesystem_that_is_read_only(tmp_path: Path, kind: str, mode: str) -> None:
    """In a mount namespace of its own everything but /dev/shm, or everything, is read-only."""
    shell = Shell(kind, tmp_path).prepared()
    set_up = READ_ONLY.format(mode=mode)
    ran = shell.start(
        [script("says", f"printf hello; echo x 2>/dev/null >{shell.scratch}/x")],
        wrapper=(*UNSHARE, set_up, ""),
        env={"PATH": f"{shell.root}/bin:/usr/bin:/bin"},
    ).finish()
    step = ran.result.steps[0]
    if mode == "rw":
        assert told(ran.result) == {"says": [(step.attempts[0].exit_code, b"hello", b"")]}
        assert step.attempts[0].exit_code != 0
    else:
        assert step.not_run.startswith("no writable folder")
    assert ran.result.complete
    assert ran.message == ""


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """What could not be kept is not called whole; the exit code still arrives."""
    started = []
    for kind in KINDS:
        shell = Shell(kind, tmp_path / kind).prepared()
        mount = f'mount -t tmpfs -o size=64k none {shell.root}/tmp || exit 97; exec "$@"'
        started.append(
            shell.start(
                [
                    script("big", "yes | head -c 300000; exit 3"),
                    command("small", "printf", "small"),
                ],
                wrapper=(*UNSHARE, mount, ""),
                env={"PATH": f"{shell.root}/bin:/usr/bin:/bin"},
            )
        )
    lost = "the container could not keep or count all of it (disk full?)"
    for program in started:
        result = program.finish().result
        big, small = (step.attempts[0] for step in result.steps)
        assert big.exit_code == 3
        assert not big.stdout.whole
        assert big.stdout.data[:32768] == b"y\ny\n" * 8192
        assert (small.exit_code, small.stdout.data, small.stdout.whole) == (0, b"small", True)
        assert not result.complete
        assert result.problems == (
            f"step big, attempt 1, stdout: {lost}",
            f"step big, attempt 1, stderr: {lost}",
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_gets_no_time_is_waited_for(tmp_path: Path, kind: str) -> None:
    """On a busy node a pod without requests gets next to no CPU time."""
    slow = tmp_path / "slow-wc"
    real = needed("wc")
    slow.write_text(f'#!/bin/dash\n[ $# != 3 ] || sleep 4.5\nexec {real} "$@"\n')
    slow.chmod(0o755)
    shell = Shell(kind, tmp_path, links={"wc": str(slow)}).prepared()
    result = shell.run([command("says", "printf", "hello")]).result
    assert told(result) == {"says": [(0, b"hello", b"")]}
    assert result.problems == ()
    assert result.steps[0].attempts[0].duration_seconds < 4


@pytest.mark.parametrize(("kind", "tool"), [("dash", "wc"), ("busybox", "wc"), ("dash", "dd")])
def test_a_reader_that_is_killed_is_no_full_disk(tmp_path: Path, kind: str, tool: str) -> None:
    """As the kernel does in a pod that is at its memory limit."""
    killed = tmp_path / "killed"
    real = needed(tool)
    killed.write_text(f'#!/bin/dash\n[ $# -lt 3 ] || kill -9 $$\nexec {real} "$@"\n')
    killed.chmod(0o755)
    shell = Shell(kind, tmp_path, links={tool: str(killed)}).prepared()
    result = shell.run([command("says", "printf", "hello")]).result
    assert result.steps[0].attempts[0].exit_code == 0
    lost = (
        "the container could not keep or count all of it (what read it was killed: out of memory?)"
    )
    assert result.problems == (
        f"step says, attempt 1, stdout: {lost}",
        f"step says, attempt 1, stderr: {lost}",
    )


def test_a_reader_that_never_gets_time_is_given_up(tmp_path: Path) -> None:
    slow = tmp_path / "slow-wc"
    slow.write_text(f'#!/bin/dash\n[ $# != 3 ] || exec sleep 60\nexec {needed("wc")} "$@"\n')
    slow.chmod(0o755)
    shell = Shell("dash", tmp_path, links={"wc": str(slow)}).prepared()
    result = shell.run([command("says", "printf", "hello")], deadline_seconds=5).result
    says = result.steps[0].attempts[0]
    assert (says.exit_code, says.stdout) == (0, StreamRecord(data=b"hello", total_bytes=5))
    lost = "the container could not keep or count all of it (its reader had not come to an end: "
    lost += "a busy node, a slow disk, or its holder is hidden)"
    assert result.problems == (
        f"step says, attempt 1, stdout: {lost}",
        f"step says, attempt 1, stderr: {lost}",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_would_become_too_long(tmp_path: Path, kind: str) -> None:
    """The kubelet throws the head of a long log away: later output is left out instead."""
    shell = Shell(kind, tmp_path).prepared()
    noise = random.Random(1).randbytes(200_000)
    (shell.scratch / "noise").write_bytes(noise)
    steps = [
        command("first", "cat", f"{shell.scratch}/noise"),
        script("second", f"cat {shell.scratch}/noise; exit 3"),
        script("text", "yes | head -c 200000"),
    ]
    ran = shell.run(steps, log_limit_bytes=400_000)
    first, second, text = (step.attempts[0] for step in ran.result.steps)
    assert first.stdout.data == noise
    assert second.exit_code == 3
    assert second.stdout == StreamRecord(
        total_bytes=200_000, truncated=True, whole=True, sha256=hashlib.sha256().hexdigest()
    )
    assert text.stdout.data == b"y\n" * 100_000
    assert ran.result.complete
    left_out = "200000 bytes were left out, the log would have become too long"
    assert ran.result.remarks == (f"step second, attempt 1, stdout: {left_out}",)
    assert len(ran.log) < 400_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_without_a_name(tmp_path: Path, kind: str) -> None:
    """Numeric uid, no home, no entry in /etc/passwd: root becomes one, others are one."""
    own = [folder for folder in tmp_path.parents if "pytest" in str(folder)]
    for folder in (tmp_path, *own):
        folder.chmod(0o755)
    shell = Shell(kind, tmp_path).prepared()
    user = os.getuid() or 54321
    who = "while read -r key id _; do [ $key != Uid: ] || echo $id; done </proc/self/status"
    ran = shell.run([script("who", who)], user=user if os.getuid() == 0 else None)
    assert told(ran.result) == {"who": [(0, b"%d\n" % user, b"")]}
    assert ran.result.complete
