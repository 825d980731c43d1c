"""Which of a container's logs is read when it dies at that very moment."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

from runner.examine.evidence import app_log
from tests.unit.pods import pod, running

GONE = b"unable to retrieve container logs for containerd://2bfc7c97"


def test_when_the_instance_has_ended_before_we_asked_its_own_log_is_the_last() -> None:
    """The kubelet has no log of an instance before the last one then, and says so with status 200."""
    asked: list[bool] = []

    async def read_log(*_: Any, previous: bool, **__: Any) -> AsyncIterator[bytes]:
        asked.append(previous)
        yield GONE if previous else b"fatal: no rates\n"

    given = pod(running(restartCount=2))
    ctx = SimpleNamespace(
        cluster=SimpleNamespace(read_log=read_log),
        hub=SimpleNamespace(latest=lambda _: given),
        limits=SimpleNamespace(log_read_seconds=5),
        redact=SimpleNamespace(redact_bytes=lambda data: (data, ())),
    )
    name = given.spec.containers[0].name
    read = app_log(cast(Any, ctx), given, name, tail_lines=9, limit_bytes=999)
    (log,), problem = asyncio.run(read)
    assert (log.text, log.previous, problem) == ("fatal: no rates\n", False, "")
    assert asked == [True, False]
