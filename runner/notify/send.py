"""Sends a message by apprise. Each service has a thread and a time: one that hangs or fails costs
the message, never the run."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import msgspec

from runner.notify.message import Message
from runner.report.plain import one_line

SECONDS = 20.0


class NotifyError(Exception):
    """What stands for a service is none; one line for people, without the token in it."""


class Service(msgspec.Struct, frozen=True):
    """`name` is its URL without what is secret in it."""

    name: str
    client: Any


def read_services(urls: Sequence[str]) -> tuple[Service, ...]:
    """Raises NotifyError."""
    if not urls:
        return ()
    if find_spec("apprise") is None:
        raise NotifyError(
            "notifications need apprise, which is not installed: pip install 'podmedic[notify]'"
        )
    import apprise  # noqa: PLC0415

    # What it would log holds what it sends; what failed is told by us.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return tuple(_service(apprise, number, url) for number, url in enumerate(urls, 1))


def _service(apprise: Any, number: int, url: str) -> Service:
    client = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if not client:
        scheme = one_line(url.partition(":")[0])[:20] if "://" in url else ""
        hint = f"apprise knows no service {scheme}://… of that form" if scheme else "it is no URL"
        raise NotifyError(f"notification {number}: {hint}; docs/notify.md has examples")
    return Service(one_line(client.url(privacy=True).partition("?")[0]), client)


def send(services: Sequence[Service], message: Message, seconds: float = SECONDS) -> Iterator[str]:
    """To all of them at once; a line for each that failed, at most `seconds` later."""
    results: dict[int, str] = {}
    threads = [
        threading.Thread(
            target=_send, args=(number, service, message, results), name="notify", daemon=True
        )
        for number, service in enumerate(services)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    for number, service in enumerate(services):
        said = results.get(number, f"no answer within {seconds:g} s")
        if said:
            yield f"notification to {service.name}: {said}"


def _send(number: int, service: Service, message: Message, results: dict[int, str]) -> None:
    import apprise  # noqa: PLC0415

    try:
        sent = service.client.notify(
            body=message.body,
            title=message.title,
            notify_type=message.level,
            body_format=apprise.NotifyFormat.TEXT,
        )
        results[number] = "" if sent else "it was not accepted"
    except Exception as error:  # noqa: BLE001  a service of others: whatever it is, it is told
        results[number] = type(error).__name__
