"""`--alert FILE`: why a run is started, read from a file or from stdin."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from runner.cli import options
from runner.model.report import Report
from runner.model.trigger import API_VERSION, Aim, Trigger
from runner.triggers import BodyError, Routes, Webhook, read_body, trigger_of
from runner.triggers.body import MAX_BYTES, check_json
from runner.triggers.targets import target_problem

_decode_trigger = msgspec.json.Decoder(Trigger).decode


def trigger_of_alerts(file: str, routes: Routes) -> Trigger:
    """The alerts in `file` (`-` is stdin) as the routes take them. Raises UsageError,
    NothingSelectedError."""
    return _with_aims(trigger_of(webhook_in(file), routes, datetime.now(UTC)))


def trigger_in(file: str) -> Trigger:
    """What `podmedic serve` made of alerts; it says itself which pods, so that it is no option for
    what strangers write. Raises UsageError, NothingSelectedError."""
    body = _read(file, "--trigger")
    try:
        check_json(body)
        found = _decode_trigger(body)
    except (BodyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(f"--trigger {file}: {error}") from None
    if found.kind != "Trigger" or found.api_version != API_VERSION:
        raise click.UsageError(f"--trigger {file}: not a Trigger of {API_VERSION}")
    for aim in found.aims():
        if problem := target_problem(aim.target):
            raise click.UsageError(f"--trigger {file}: {problem}")
    return _with_aims(found)


def webhook_in(file: str, option: str = "--alert") -> Webhook:
    """`option` names it in what goes wrong; empty for an argument. Raises UsageError."""
    try:
        return read_body(_read(file, option))
    except BodyError as error:
        raise click.UsageError(f"{option} {file}: {error}".lstrip()) from None


def _with_aims(found: Trigger) -> Trigger:
    if not found.aims():
        said = dict.fromkeys(f"{each.name or 'an alert'}: {each.reason}" for each in found.alerts)
        why = "; ".join([*list(said)[:5], *(["…"] if len(said) > 5 else [])])
        raise options.NothingSelectedError(
            f"nothing is started: {why or 'there is no alert in it'}; "
            "`podmedic routes test` says what the routes make of it"
        )
    return found


def with_included(trigger: Trigger) -> Trigger:
    """With the names of the playbooks themselves, and those that they include, in its aims."""

    def widened(aim: Aim) -> Aim:
        found = options.with_included(aim.playbooks)
        return msgspec.structs.replace(aim, playbooks=tuple(dict.fromkeys(p.name for p in found)))

    asked = trigger.asked
    return msgspec.structs.replace(
        trigger,
        alerts=tuple(
            msgspec.structs.replace(each, aim=each.aim and widened(each.aim))
            for each in trigger.alerts
        ),
        asked=asked and msgspec.structs.replace(asked, aim=widened(asked.aim)),
    )


def with_ends(report: Report, file: str) -> Report:
    """With the ends of its alerts that `file` tells of. Raises UsageError."""
    from runner.triggers.resolved import read_ended, with_resolved  # noqa: PLC0415

    trigger = report.run.trigger
    if trigger is None or not trigger.alerts:
        raise click.UsageError("--resolved: no alert started this run")
    try:
        ended = read_ended(_read(file, "--resolved"), trigger)
    except BodyError as error:
        raise click.UsageError(f"--resolved {file}: {error}") from None
    if not any(map(ended, trigger.alerts)):
        raise click.UsageError(
            f"--resolved {file}: tells of the end of no alert that started this run"
        )
    run = msgspec.structs.replace(report.run, trigger=with_resolved(trigger, ended))
    return msgspec.structs.replace(report, run=run)


def _read(name: str, option: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(name).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"{option} {name}: {error.strerror}".lstrip()) from None
