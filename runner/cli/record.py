"""`--record`: the session in a file, and what it ran in."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from runner.cli.main import complain
from runner.cli.terminal import terminal_size
from runner.cluster import Place
from runner.examine.context import Redact
from runner.model.pod import Pod
from runner.report.files import OutputError, write_atomically
from runner.shell.cast import Recorder

record_option = click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    help="Keep what is shown as asciicast v2, redacted, and the container's exact spec.",
)


def prepare_directory(directory: Path) -> None:
    """Before anything is injected; raises UsageError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / ".podmedic-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise click.UsageError(f"--record {directory}: {error.strerror}") from error


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What was sat at: `facts` is what is known of how the container was made, `container` the
    container itself, as it was sent or stands in the pod."""

    place: Place
    pod: Pod
    target: str
    container: Mapping[str, Any]
    facts: Mapping[str, str]


class Kept(msgspec.Struct):
    """What becomes of the recording, if there is one. `exit_code` None: not known, or the session
    goes on."""

    recorder: Recorder | None = None
    exit_code: int | None = None

    def of(self, code: int) -> int:
        self.exit_code = code
        return code


@contextmanager
def recorded(
    directory: Path | None, about: Callable[[], About], redact: Redact, *, tell: bool
) -> Iterator[Kept]:
    """Saves it however the session is left, and says where if that is to be told."""
    if directory is None:
        yield Kept()
        return
    recording = _Recording(directory, terminal_size())
    kept = Kept(recording.recorder)
    try:
        yield kept
    finally:
        with suppress(OSError):  # a terminal that hung up
            try:
                path = recording.save(about(), redact, kept.exit_code)
            except OutputError as error:
                complain(f"{error}; the session is not recorded")
            else:
                if tell:
                    complain(f"recorded in {path}")


class _Recording:
    """`recorder` hears of the session while it goes on, then `save`."""

    def __init__(self, directory: Path, size: tuple[int, int] | None) -> None:
        self._directory = directory
        self._began = datetime.now(UTC)
        self.recorder = Recorder(time.monotonic, size or (80, 24))

    def save(self, about: About, redact: Redact, exit_code: int | None) -> Path:
        """Raises OutputError."""
        place, pod = about.place, about.pod
        stem = f"{place.container}-{self._began:%Y%m%dT%H%M%SZ}"
        cast, redactions = self.recorder.cast(
            redact,
            timestamp=int(self._began.timestamp()),
            title=f"{place.namespace}/{place.pod} {place.container}",
        )
        document: dict[str, Any] = {
            "namespace": place.namespace,
            "pod": place.pod,
            "uid": pod.metadata.uid,
            "node": pod.spec.node_name,
            "targetContainer": about.target,
            **about.facts,
            "beganAt": self._began.isoformat(),
            "leftAt": datetime.now(UTC).isoformat(),
            "exitCode": exit_code,
            "cast": f"{stem}.cast",
            "redactions": redactions,
            "leftOutBytes": self.recorder.left_out_bytes,
            "container": about.container,
        }
        described = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        path = self._directory / f"{stem}.cast"
        write_atomically(path, cast)
        write_atomically(
            self._directory / f"{stem}.json", redact.redact_bytes(described.encode())[0]
        )
        return path


def as_shown(data: bytes) -> bytes:
    """A command's output as a terminal would show it: without one nothing returns the carriage."""
    return data.replace(b"\n", b"\r\n")
