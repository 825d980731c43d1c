"""Runs step programs for real: a shell, a PATH of links to chosen tools, and the log it wrote."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.program import ProgramResult, ProgramStep, build, decode

NONCE = "pm-3f9a"

# What the program itself may use, and what the steps of the tests use.
OURS = ("base64", "cksum", "date", "dd", "gzip", "mkdir", "mkfifo", "od", "rm", "rmdir", "setsid")
OURS_TOO = ("sha256sum", "sleep", "timeout", "wc")
OF_STEPS = ("cat", "head", "printf", "sh", "true", "yes")


@dataclass(frozen=True)
class Ran:
    """What a container runtime would have: the log, the termination message, the exit code."""

    log: bytes
    message: str
    exit_code: int
    result: ProgramResult


@dataclass(frozen=True)
class Shell:
    """One shell as `/bin/sh` with a folder of tools of its kind, made in `root`."""

    name: str
    root: Path
    without: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    def prepared(self) -> "Shell":
        folder = self.root / "bin"
        folder.mkdir(parents=True)
        for tool in (*OURS, *OURS_TOO, *OF_STEPS):
            source = self._source(tool)
            if source is not None and tool not in self.without:
                (folder / tool).symlink_to(source)
        if self.name != "busybox":
            (folder / "sh").unlink()
            (folder / "sh").symlink_to(needed(self.name))
        (self.root / "tmp").mkdir(mode=0o777)
        (self.root / "tmp").chmod(0o777)
        (self.root / "tmp-of-steps").mkdir()
        return self

    def _source(self, tool: str) -> str | None:
        if tool in self.links:
            return self.links[tool]
        if self.name != "busybox":
            return shutil.which(tool)
        return needed("busybox") if tool in busybox_applets() else None

    @property
    def scratch(self) -> Path:
        """A folder for what the steps of a test write."""
        return self.root / "tmp-of-steps"

    def start(
        self,
        steps: Iterable[ProgramStep],
        *,
        deadline_seconds: float = 60,
        log_limit_bytes: int = 8 << 20,
        env: Mapping[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
        cwd: Path | None = None,
        user: int | None = None,
    ) -> "Started":
        steps = tuple(steps)
        message = self.root / "termination-log"
        message.write_text("")
        message.chmod(0o666)
        program = build(
            steps,
            nonce=NONCE,
            deadline_seconds=deadline_seconds,
            log_limit_bytes=log_limit_bytes,
            termination_log=str(message),
        )
        environment = {
            "PATH": str(self.root / "bin"),
            "TMPDIR": str(self.root / "tmp"),
            **(env or {}),
        }
        process = subprocess.Popen(
            [*wrapper, str(self.root / "bin" / "sh"), "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=cwd,
            user=user,
            group=user,
        )
        return Started(process, steps, message)

    def run(self, steps: Iterable[ProgramStep], **options: Any) -> Ran:
        """Like `start`, to the end; what the program left behind is a failure."""
        ran = self.start(steps, **options).finish()
        assert not list((self.root / "tmp").iterdir()), "the program left something behind"
        return ran


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen[bytes]
    steps: tuple[ProgramStep, ...]
    message: Path

    def finish(self) -> Ran:
        """Everything it wrote; a program that hangs is a failure of the test."""
        try:
            log, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired as still_open:
            if self.process.poll() is None:
                raise
            # In a container the end of the first process ends all others; here one of them may
            # hold the pipe for longer.
            log, errors = still_open.output or b"", still_open.stderr or b""
        finally:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()
        assert errors == b""
        message = self.message.read_text()
        result = decode(log, nonce=NONCE, steps=self.steps, message=message)
        return Ran(log, message, self.process.returncode, result)


def needed(program: str) -> str:
    """The path of a program that these tests cannot do without."""
    path = shutil.which(program)
    assert path is not None, f"{program} is missing: apt-get install {program}"
    return path


def busybox_applets() -> frozenset[str]:
    listed = subprocess.run([needed("busybox"), "--list"], check=True, capture_output=True)
    return frozenset(listed.stdout.decode().split())


def script(name: str, text: str, **fields: Any) -> ProgramStep:
    return _step(name, {"script": text, **fields})


def command(name: str, *argv: str, **fields: Any) -> ProgramStep:
    return _step(name, {"argv": argv, **fields})


def _step(name: str, fields: Mapping[str, Any]) -> ProgramStep:
    return ProgramStep(**{"name": name, "playbook": "test", "timeout_seconds": 15, **fields})


def told(result: ProgramResult) -> dict[str, list[tuple[int | str | None, bytes, bytes]]]:
    """Exit code (or how it was cut) and outputs of every attempt, of streams that are proven."""
    answers: dict[str, list[tuple[int | str | None, bytes, bytes]]] = {}
    for step in result.steps:
        answers[step.name] = []
        for attempt in step.attempts:
            assert attempt.stdout.whole, (step.name, result.problems)
            assert attempt.stderr.whole, (step.name, result.problems)
            code: int | str | None = attempt.exit_code
            if attempt.timed_out:
                code = "timed out"
            if attempt.cut_by:
                code = attempt.cut_by
            answers[step.name].append((code, attempt.stdout.data, attempt.stderr.data))
    return answers
