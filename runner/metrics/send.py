"""The metrics of a run on their way: to a textfile, or to a Pushgateway."""

import re
import threading
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, Gauge, generate_latest, pushadd_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler
from prometheus_client.parser import text_string_to_metric_families

from runner.metrics.build import LAST_SUCCESS
from runner.metrics.table import BY_NAME
from runner.report.files import write_atomically
from runner.report.plain import one_line

_GROUP = re.compile(r"(?P<before>.*)/metrics/job/(?P<job>[^/]+)/?")


class MetricsError(Exception):
    """The metrics did not arrive; the message is one line for people."""


def write_textfile(path: Path, registry: CollectorRegistry) -> None:
    """For the textfile collector of node_exporter, atomically. A last success that `registry`
    does not have is taken over from the file that is replaced. Raises OutputError."""
    content = generate_latest(registry)
    if registry.get_sample_value(LAST_SUCCESS) is None and (time := _last_success(path)):
        # Not added to `registry`: it is not this run's to tell anybody else.
        older = CollectorRegistry()
        Gauge(LAST_SUCCESS, BY_NAME[LAST_SUCCESS].text, registry=older).set(time)
        content += generate_latest(older)
    write_atomically(path, content)


def push(url: str, registry: CollectorRegistry, *, job: str, timeout_seconds: float) -> None:
    """To the Pushgateway at `url`, which may hold a user and a password, and end in
    /metrics/job/NAME where another group than that of `job` is meant. Raises MetricsError.

    A POST to the group of a job alone: it replaces every family that the registry has and leaves
    the others, so that the last success outlives a run that failed.
    """
    address = urlsplit(url if "://" in url else f"http://{url}")
    shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    named = _GROUP.fullmatch(shown)
    base, group = (named["before"], unquote(named["job"])) if named else (shown, job)
    failures: list[Exception] = []

    def send() -> None:
        try:
            _push(address.username, address.password, base, registry, group, timeout_seconds + 1)
        except Exception as error:  # noqa: BLE001  whatever it is, it is told below
            failures.append(error)

    # The time-out of a socket starts again with each byte; this one does not.
    thread = threading.Thread(target=send, name="pushgateway", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        raise MetricsError(f"Pushgateway {shown} did not answer within {timeout_seconds:g} s")
    if failures:
        raise MetricsError(f"Pushgateway {shown}: {_said(failures[0])}") from failures[0]


def _push(
    user: str | None,
    password: str | None,
    url: str,
    registry: CollectorRegistry,
    job: str,
    timeout_seconds: float,
) -> None:
    handler = default_handler
    if user is not None:
        known = unquote(password or "")
        handler = partial(basic_auth_handler, username=unquote(user), password=known)
    pushadd_to_gateway(url, job=job, registry=registry, timeout=timeout_seconds, handler=handler)


def _said(error: Exception) -> str:
    if isinstance(error, HTTPError):
        body = one_line(error.read(300).decode(errors="replace"))
        return f"HTTP {error.code} {error.reason}" + (f": {body}" if body else "")
    reason = getattr(error, "reason", error)
    return one_line(getattr(reason, "strerror", None) or str(reason))


def _last_success(path: Path) -> float | None:
    try:
        families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
        samples = [sample for family in families for sample in family.samples]
    except (OSError, ValueError):
        return None  # a file that cannot be read is replaced by one that can
    return next((sample.value for sample in samples if sample.name == LAST_SUCCESS), None)
