"""The last frame of a stream: the one word on how a command ended."""

import pytest

from runner.cluster import StreamOutcome
from runner.kube.errors import Question, classify, parse_status
from runner.kube.exec import ended_by

EXIT = (
    b'{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code",'
    b'"reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"%s"}]}}'
)
INTERNAL = (
    b'{"metadata":{},"status":"Failure","message":"error executing command in container: oops",'
    b'"reason":"InternalError","details":{"causes":[{"message":"oops"}]},"code":500}'
)


@pytest.mark.parametrize(
    ("frame", "outcome", "code", "reason"),
    [
        (b'{"metadata":{},"status":"Success"}', StreamOutcome.EXITED, 0, ""),
        (EXIT % b"7", StreamOutcome.EXITED, 7, ""),
        (EXIT % b"137", StreamOutcome.EXITED, 137, ""),
        (EXIT % b"seven", StreamOutcome.FAILED, None, "NonZeroExitCode"),
        (EXIT % "٣".encode(), StreamOutcome.FAILED, None, "NonZeroExitCode"),
        (INTERNAL, StreamOutcome.FAILED, None, "InternalError"),
        (b"", StreamOutcome.UNKNOWN, None, "NoStatus"),
        (b"{}", StreamOutcome.UNKNOWN, None, "NoStatus"),
        (b'{"status":"Success', StreamOutcome.UNKNOWN, None, "NoStatus"),
        (b"\xff\xfe", StreamOutcome.UNKNOWN, None, "NoStatus"),
        (b'"Success"', StreamOutcome.UNKNOWN, None, "NoStatus"),
    ],
)
def test_ended(frame: bytes, outcome: StreamOutcome, code: int | None, reason: str) -> None:
    """Only a Status that says so is an exit code; silence and noise are unknown."""
    ended = ended_by(parse_status(frame))
    assert (ended.outcome, ended.exit_code, ended.reason) == (outcome, code, reason)


def test_an_absent_container_is_not_ready() -> None:
    """HTTP 500, but no fault of the server's."""
    question = Question(verb="create", resource="pods/exec", namespace="shop", name="web")
    body = b'unable to upgrade connection: container not found ("x")'
    assert classify(500, body, question).reason == "ContainerNotReady"
