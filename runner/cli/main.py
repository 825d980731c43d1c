"""The `podmedic` command. Each subcommand is imported when it is called: `--help` stays quick."""

import atexit
import errno
import gc
import importlib
import os
import sys
import threading
import traceback
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

import click

from runner import __version__
from runner.cli.exit_codes import ExitCode

_COMMANDS = {
    "run": ("runner.cli.run", "run", "Examine pods and write a report that names the cause."),
    "resume": ("runner.cli.resume", "resume", "Finish a run that was killed or interrupted."),
    "analyze": (
        "runner.cli.analyze",
        "analyze",
        "Judge again what a run saw, without a cluster.",
    ),
    "report": ("runner.cli.report", "report", "Print a run's report in another format."),
    "diff": ("runner.cli.diff", "diff", "Compare a run with earlier ones."),
    "bundle": (
        "runner.cli.bundle",
        "bundle",
        "Seal a run in one file that shows later what was seen.",
    ),
    "verify": (
        "runner.cli.verify",
        "verify",
        "Say whether a bundle or run directory is what was sealed.",
    ),
    "keygen": ("runner.cli.keygen", "keygen", "Make a pair of keys to sign bundles with."),
    "plan": ("runner.cli.plan", "plan", "Show what `run` would do to which pods, and do nothing."),
    "shell": (
        "runner.cli.shell",
        "shell",
        "A terminal or a command in a pod, from an ephemeral container.",
    ),
    "attach": ("runner.cli.attach", "attach", "Come back to a shell that was left."),
    "preflight": (
        "runner.cli.preflight",
        "preflight_",
        "Say which pods would accept an injection, and why not.",
    ),
    "containers": (
        "runner.cli.containers",
        "containers",
        "List the ephemeral containers that pods carry.",
    ),
    "rbac": ("runner.cli.rbac", "rbac", "Print the exact permissions that playbooks need."),
    "policy": ("runner.cli.policy", "policy", "Hand a policy to the API server."),
    "serve": ("runner.cli.serve", "serve", "Take alerts, and start runs for them."),
    "routes": ("runner.cli.routes", "routes", "Say which alerts start which playbooks."),
    "validate": ("runner.cli.documents", "validate", "Check playbook, policy and routes files."),
    "list": ("runner.cli.documents", "list_", "List the built-in playbooks."),
    "explain": (
        "runner.cli.explain",
        "explain",
        "Explain the facts that rules see, and the fields of a playbook.",
    ),
    "schema": ("runner.cli.documents", "schema", "Print the JSON Schema of a document."),
}


# Its message would speak of an "integer range".
click.IntRange.name = "integer"


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        # What modules are made of stays to the end: to look for garbage among it is in vain.
        gc.disable()
        command: click.Command = getattr(importlib.import_module(module), attribute)
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, _, help_) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415

            near = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            ctx.fail(f"no such command {args[0]!r}{hint}; `podmedic --help` lists them")
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="podmedic")
def podmedic() -> None:
    """Diagnose Kubernetes pods: one ephemeral container each, one report that names the cause.

    Exit codes: 0 nothing found, 1 findings or unexamined pods, 2 interrupted, 3 aborted,
    4 usage or invalid document, 5 nothing selected or all of it skipped, 6 report not stored,
    7 not sealed: secrets.
    """


def complain(line: str, level: str = "warning") -> None:
    """One line on stderr, safe whatever is in it."""
    from runner.cli import logs  # noqa: PLC0415
    from runner.report.plain import one_line  # noqa: PLC0415

    if (log := logs.current()) is not None:
        log.write(level, line)
        return
    click.echo(f"podmedic: {one_line(line)}", err=True)


def tell(line: str) -> None:
    """The same for what is no complaint."""
    from runner.cli import logs  # noqa: PLC0415

    if (log := logs.current()) is not None:
        log.write("info", line)
    else:
        click.echo(line, err=True)


def explain(error: Exception) -> tuple[str, ExitCode]:
    """The line and the exit code for what the user can mend; everything else is our bug.

    Imported here: the classes live beside code that `--help` must not wait for.
    """
    from runner.cli.options import NothingSelectedError  # noqa: PLC0415
    from runner.cluster import ClusterError, ErrorReason  # noqa: PLC0415
    from runner.playbook import PlaybookErrors, UnknownPlaybookError  # noqa: PLC0415
    from runner.record import RecordError  # noqa: PLC0415
    from runner.report.files import OutputError  # noqa: PLC0415
    from runner.report.template import TemplateFileError  # noqa: PLC0415

    match error:
        case click.ClickException():
            return _usage(error), ExitCode.USAGE
        case PlaybookErrors() | UnknownPlaybookError() | RecordError() | TemplateFileError():
            return str(error), ExitCode.USAGE
        case ClusterError():
            usage = error.reason is ErrorReason.CONFIG
            return error.message, ExitCode.USAGE if usage else ExitCode.ABORTED
        case NothingSelectedError():
            return str(error), ExitCode.NOTHING_SELECTED
        case OutputError():
            return str(error), ExitCode.NOT_STORED
        case OSError(filename=None, errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EIO):
            # Files are written elsewhere, each with its name.
            return f"cannot write to stdout: {error.strerror}", ExitCode.NOT_STORED
    if os.environ.get("PODMEDIC_DEBUG"):
        traceback.print_exception(error)
    where = "set PODMEDIC_DEBUG=1 to see where, and please report it"
    return f"bug: {type(error).__name__}: {error}; {where}", ExitCode.ABORTED


def _usage(error: click.ClickException) -> str:
    """Click's words, with what helps to mend it."""
    words, ctx = error.format_message(), getattr(error, "ctx", None)
    unclear = words.startswith(("Got unexpected extra", "No such command"))
    if isinstance(error, click.MissingParameter) or unclear:
        path = ctx.command_path if ctx is not None else "podmedic"
        return f"{words.removesuffix('.')}; `{path} --help` says what there is"
    if words.endswith("is not a valid integer.") and isinstance(error, click.BadParameter):
        name = (error.param.name or "") if error.param is not None else ""
        if name.endswith("_seconds"):
            from runner.cli.duration import seconds_meant  # noqa: PLC0415

            given = words.partition(" is not")[0].rpartition(": ")[2].strip("'")
            return words.removesuffix(".") + seconds_meant(given)
    _, between, listed = words.partition(" is not one of ")
    if between and isinstance(error, click.BadParameter):
        from runner.playbook.errors import did_you_mean  # noqa: PLC0415

        given = words.partition(between)[0].rpartition(": ")[2].strip("'")
        known = [word.strip("'") for word in listed.removesuffix(".").split(", ")]
        return words.removesuffix(".") + did_you_mean(given, known)
    return words


def nobody_reads() -> None:
    """The reader of our stdout has left: what else is printed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_what_can_be_written() -> None:
    """A terminal that is not UTF-8 (a locale such as de_DE.ISO-8859-1) lacks letters of ours."""
    for stream in (sys.stdout, sys.stderr):
        # As ASCII it says nothing, and click writes UTF-8.
        if isinstance(stream, TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "ascii"):
            stream.reconfigure(errors="backslashreplace")


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command and leave with its exit code: docs/exit-codes.md."""
    _write_what_can_be_written()
    try:
        code = podmedic.main(args=args, prog_name="podmedic", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        nobody_reads()
        sys.exit(ExitCode.OK)
    except Exception as error:  # noqa: BLE001  # the boundary: one line, no traceback
        text, exit_code = explain(error)
        for line in text.splitlines() or [""]:
            complain(line, "error")
        if exit_code is ExitCode.NOT_STORED:
            nobody_reads()  # what is left in the buffer would fail again, and change the exit code
        sys.exit(exit_code)


def console() -> NoReturn:
    """`main` as a process of its own, whose interpreter is not taken apart at its end: that takes
    a twentieth of a sweep's CPU, for memory that goes with the process. What asked to be called
    at the end is."""
    code: object = ExitCode.ABORTED
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: it was closed when we began
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else ExitCode.OK)
