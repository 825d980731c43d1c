"""`-o`: where the result goes, and in which format."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import click
import msgspec

from runner.report.output import FILES, OUTPUTS
from runner.storage.place import is_remote

METAVAR = "DIR|URL|FORMAT[,FORMAT]..."
FORMATS_HELP = f"{', '.join(OUTPUTS)}. One format is printed; several, separated by commas, are \
written as files in the directory."


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """`remote` is a place in an object store, `printed` the one format that goes to stdout, `files`
    those that get a file each."""

    directory: Path | None = None
    remote: str | None = None
    printed: str | None = None
    files: tuple[str, ...] = ()


def read_outputs(values: Sequence[str]) -> Outputs:
    """A directory, a format, or formats separated by commas. Raises UsageError."""
    directories: list[str] = []
    remote: list[str] = []
    printed: list[str] = []
    files: list[str] = []
    for value in values:
        words = value.split(",")
        if is_remote(value):
            remote.append(value)
        elif not any(word in OUTPUTS for word in words):
            directories.append(_directory(value))
        elif len(words) == 1:
            printed.append(value)
        else:
            files += [_file(word, value) for word in words]
    if len(remote) > 1:
        raise click.UsageError(f"-o takes one place, not {' and '.join(remote)}")
    if len(directories) > 1:
        raise click.UsageError(f"-o takes one directory, not {' and '.join(directories)}")
    if len(printed) > 1:
        raise click.UsageError(
            f"-o: only one format can be printed; -o {','.join(printed)} writes a file for each"
        )
    return Outputs(
        directory=Path(directories[0]) if directories else None,
        remote=remote[0] if remote else None,
        printed=printed[0] if printed else None,
        files=tuple(dict.fromkeys(files)),
    )


def _file(word: str, value: str) -> str:
    if word in FILES:
        return word
    if word in OUTPUTS:
        raise click.UsageError(f"-o {value}: {word} is for the terminal and has no file")
    near = get_close_matches(word, FILES, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise click.UsageError(f"-o {value}: no format is called {word!r}{hint}: {', '.join(FILES)}")


def _directory(value: str) -> str:
    """A format that was misspelt makes no directory, nor does a variable that is not set."""
    if not value.strip():
        raise click.UsageError("-o is empty: name a directory (. for this one) or a format")
    if Path(value).is_file():
        raise click.UsageError(f"-o {value}: is a file; name a directory for the run, or a format")
    near = get_close_matches(value, OUTPUTS, n=1, cutoff=0.75)
    if near and "/" not in value and not Path(value).exists():
        raise click.UsageError(
            f"-o {value}: did you mean {near[0]}? A new directory of that name is ./{value}"
        )
    return value
