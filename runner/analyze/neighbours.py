"""What the other containers of a pod say: a proxy, an agent or an exporter that is ill makes the
application beside it ill, or fails while the application does well."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner.model.examination import Examination
from runner.select import app_status

Repeats = Callable[[str], Sequence[Mapping[str, Any]]]
LastWords = Callable[[str], tuple[str, str]]


def neighbours(
    examination: Examination, repeats: Repeats, last_words: LastWords
) -> Iterator[dict[str, Any]]:
    """Of a container that runs what it says again and again, of one that does not the line that
    looks most like its reason to end."""
    for log in examination.logs:
        if log.container == examination.target_container:
            continue
        status = app_status(examination.pod, log.container)
        if status is None:
            continue
        if status.state.running is not None and not log.previous:
            for each in repeats(log.text):
                yield {"container": log.container, **each}
            continue
        ended = status.state.terminated or status.last_state.terminated
        if status.state.running is None and ended is not None and ended.exit_code != 0:
            line, words = last_words(log.text)
            yield {
                "container": log.container,
                "kind": "exited",
                "exitCode": ended.exit_code,
                "line": line,
                "words": words,
            }
