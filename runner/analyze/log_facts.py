"""What conditions get to see of the logs of one container."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from runner.analyze.neighbours import neighbours
from runner.model.examination import Examination
from runner.model.pod import ContainerStatus

MAX_TEXT = 256 * 1024
_NAMES = ("current", "previous", "last", "fatal", "fatalWords")


def log_facts(
    examination: Examination,
    status: ContainerStatus | None,
    *,
    missing: str,
    unknown: dict[str, str],
) -> dict[str, Any]:
    """Texts by name, `repeats` and `neighbours`; empty when there is no log, left out when it
    could not be read."""
    found: dict[str, Any] = {}
    running = status is not None and status.state.running is not None
    lives_again = running and status is not None and status.restart_count > 0
    earlier: dict[str, str] = {}
    for log in examination.logs:
        if log.container == examination.target_container:
            which = "previous" if log.previous else "current"
            found[which] = log.text[-MAX_TEXT:]
            if log.earlier:
                earlier[which] = log.earlier
    if lives_again and "previous" in found:
        found["last"] = found["previous"]
    elif "current" in found:
        found["last"] = found["current"]
    if "last" in found:
        found["fatal"], found["fatalWords"] = _last_words(found["last"])
        which = "previous" if lives_again and "previous" in found else "current"
        if not found["fatal"] and which in earlier:
            found["fatal"], found["fatalWords"] = _last_words(earlier[which])
    for name in _NAMES:
        if name not in found:
            if missing:
                unknown[f"logs.{name}"] = missing
            else:
                found[name] = ""
    if "current" in found:
        said = _repeats(found["current"]) if running else []
        found["repeats"] = [{**each, "service": _service(examination, each)} for each in said]
    else:
        unknown["logs.repeats"] = missing
    found["complaint"] = ""
    if status is not None and not status.ready and not found.get("repeats"):
        # Of one that was killed, what it said before.
        found["complaint"] = _complaint(found.get("last", ""))
    if missing:
        unknown["logs.neighbours"] = missing
    else:
        found["neighbours"] = list(neighbours(examination, _repeats, _last_words))
    return found


def _service(examination: Examination, said: Mapping[str, Any]) -> str:
    return examination.called.get(said["target"].rpartition(":")[0], "")


# Replicas share a log, and each playbook asks for those of all pods before the next one does: as
# many as a sweep has, for a log that was forgotten is weighed once more.
_LOGS = 10_000


@lru_cache(maxsize=_LOGS)
def _last_words(text: str) -> tuple[str, str]:
    # Imported here: its patterns take long to compile, and most pods have no log to weigh.
    from runner.last_words import fatal_line, words_of  # noqa: PLC0415

    line = fatal_line(text)
    return line, words_of(line, text)


@lru_cache(maxsize=_LOGS)
def _complaint(text: str) -> str:
    from runner.analyze.repeats import complaint  # noqa: PLC0415  as above

    return complaint(text)


@lru_cache(maxsize=_LOGS)
def _repeats(text: str) -> list[dict[str, Any]]:
    from runner.analyze.repeats import repeats  # noqa: PLC0415  as above

    return repeats(text)
