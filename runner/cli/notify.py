"""`run --notify`: whom to tell, read from options, environment and a mounted Secret."""

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from runner.cli.main import complain
from runner.model.report import Report

if TYPE_CHECKING:
    from runner.cli.baseline import Compared

_MAX_FILE_BYTES = 64 * 1024


class Notify(msgspec.Struct, frozen=True):
    """`services` are of runner.notify, which is imported only where there are some."""

    services: tuple[Any, ...]
    what_for: str | None
    link: str


def _address(_: click.Context, __: click.Parameter, value: str) -> str:
    """It becomes a link in other people's chats, and is not to be anything but an address."""
    if value and not value.startswith(("https://", "http://")):
        raise click.BadParameter(f"{value!r} does not begin with https:// or http://")
    return value


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--notify", "notify_urls", multiple=True, metavar="URL",
                 envvar="PODMEDIC_NOTIFY", show_envvar=True,
                 help="Tell a chat, pager, mailbox or webhook of what was found, by apprise; may "
                 "be given several times. A URL with a token belongs into the variable or a file."),
    click.option("--notify-file", type=click.Path(path_type=Path), metavar="FILE",
                 help="The same URLs, one on a line: a mounted Secret."),
    click.option("--notify-on", type=click.Choice(["new", "findings", "always"]),
                 help="Default: new with --baseline, else findings of severity warning and above."),
    click.option("--link", default="", metavar="URL", callback=_address,
                 help="Where the report can be read, for notifications and events; {run} is the "
                 "run's id."),
)  # fmt: skip


def notify_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda c, option: option(c), reversed(_OPTIONS), command)


def otel_installed(_: click.Context, __: click.Parameter, value: bool) -> bool:
    """Before the sweep and not after it. Raises UsageError."""
    if value:
        from runner import traces  # noqa: PLC0415

        if said := traces.missing():
            raise click.UsageError(said)
    return value


def read_notify(
    urls: Sequence[str], file: Path | None, what_for: str | None, link: str, *, baseline: bool
) -> Notify | None:
    """None where nobody is to be told. Raises UsageError."""
    if what_for == "new" and not baseline:
        raise click.UsageError(
            "--notify-on new: new compared with what? Name an earlier run by --baseline"
        )
    wanted = [word for url in urls for word in url.split()]
    if file is not None:
        wanted += _lines(file)
    if not wanted:
        return None
    from runner.notify import NotifyError, read_services  # noqa: PLC0415

    try:
        return Notify(read_services(wanted), what_for, link)
    except NotifyError as error:
        raise click.UsageError(str(error)) from error


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_FILE_BYTES).decode()
    except OSError as error:
        raise click.UsageError(f"--notify-file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--notify-file {file}: not UTF-8") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def notified(wanted: Notify | None, report: Report, comparison: "Compared | None") -> bool:
    """Whether everybody who was to be told was told; who was not is said on stderr."""
    if wanted is None:
        return True
    from runner.notify import WhatFor, message_of, send  # noqa: PLC0415

    found = None if comparison is None else comparison.found
    default = WhatFor.FINDINGS if found is None else WhatFor.NEW
    what_for = WhatFor(wanted.what_for) if wanted.what_for else default
    message = message_of(report, found, what_for, wanted.link)
    if message is None:
        return True
    failures = list(send(wanted.services, message))
    for failure in failures:
        complain(failure)
    return not failures
