"""Two logs of real runs to damage, and lines as the program would write them."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.program import ProgramResult, decode
from runner.program.frames import MODULUS
from tests.programs.program_runs import NONCE, Ran, Shell, command, script

RANDOM = random.Random(7).randbytes(20_000)
TEXT = b"".join(b"line %d of a text that compresses\n" % n for n in range(2000))


@cache
def long_run() -> Ran:
    """Several lines of base64, gzip, a retry, a missing tool, both streams, a limit."""
    with TemporaryDirectory() as folder:
        shell = Shell("dash", Path(folder) / "dash").prepared()
        (shell.scratch / "random").write_bytes(RANDOM)
        (shell.scratch / "text").write_bytes(TEXT)
        mark = shell.scratch / "mark"
        first_fails = f"[ -e {mark} ] || {{ : >{mark}; exit 1; }}; printf ok"
        return shell.run(
            [
                script("retried", first_fails, attempts=3, backoff_seconds=0),
                command("random", "cat", f"{shell.scratch}/random"),
                command("missing", "dig", tools=("no-dig",)),
                script("text", f"cat {shell.scratch}/text; printf warn >&2; exit 9"),
                command("limited", "cat", f"{shell.scratch}/text", output_limit_bytes=5000),
            ]
        )


@cache
def short_run() -> Ran:
    """So short that every byte of it can be tried."""
    with TemporaryDirectory() as folder:
        return (
            Shell("dash", Path(folder) / "dash")
            .prepared()
            .run(
                [
                    script("retried", "exit 12", attempts=3, backoff_seconds=0),
                    script("random", "printf out; exit 127"),
                    command("missing", "dig", tools=("no-dig",)),
                    script("text", "printf err >&2"),
                    script("limited", ":"),
                ]
            )
        )


STEPS = (
    script("retried", "x", attempts=3),
    command("random", "x"),
    command("missing", "x", tools=("no-dig",)),
    script("text", "x"),
    command("limited", "x", output_limit_bytes=5000),
)


def read(log: bytes, message: str | None = None) -> ProgramResult:
    return decode(log, nonce=NONCE, steps=STEPS, message=message)


def line(
    sequence: int, kind: str, *numbers: int, execution: str = "0abc", digest: str = "-"
) -> bytes:
    """A line as the program would write it, whatever it says."""
    check = (int(execution, 16) + sequence * 32 + len(kind)) % MODULUS
    for number in numbers:
        check = (check * 1000003 + number) % MODULUS
    fields = " ".join(map(str, numbers))
    return f"@podmedic {NONCE} {execution} {sequence} {kind} {fields} {check} {digest} ;\n".encode()
