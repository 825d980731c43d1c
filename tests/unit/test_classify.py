"""What the kubelet's word on our container means; texts as seen on a real node."""

from typing import Any

import msgspec
import pytest

from runner.examine.classify import Stage, classify, explain_absence
from runner.model.pod import Event, Pod
from tests.unit.pods import ago, pod, running

NAME = "podmedic-x-1"


def seen(state: dict[str, Any] | None, **fields: Any) -> Pod:
    statuses = [{"name": NAME, **state}] if state is not None else []
    given = pod(running(), **fields)
    status = msgspec.to_builtins(given.status) | {"ephemeralContainerStatuses": statuses}
    return msgspec.convert(msgspec.to_builtins(given) | {"status": status}, Pod, strict=False)


def waiting(reason: str, message: str = "", **fields: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, **fields}


def ended(exit_code: int, reason: str) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": exit_code, "reason": reason}}}


def warning(reason: str, message: str, name: str = NAME) -> Event:
    return msgspec.convert(
        {
            "metadata": {},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "involvedObject": {"fieldPath": f"spec.ephemeralContainers{{{name}}}"},
        },
        Event,
    )


NOT_FOUND = (
    "rpc error: code = NotFound desc = failed to pull and unpack image "
    '"docker.io/library/none:1": failed to resolve reference: docker.io/library/none:1: not found'
)
NO_SUCH_FILE = 'exec: "/no/such": stat /no/such: no such file or directory: unknown'
DEAD_TARGET = (
    'failed to create containerd container: invalid target container: container "abc" '
    "is not running - in state CONTAINER_EXITED"
)


@pytest.mark.parametrize(
    ("given", "stage", "reason"),
    [
        (seen(None), Stage.WAITING, ""),
        (seen(waiting("ContainerCreating")), Stage.WAITING, "ContainerCreating"),
        (seen(waiting("PodInitializing")), Stage.WAITING, "PodInitializing"),
        (seen(waiting("InvalidImageName", "x")), Stage.START_FAILED, "InvalidImageName"),
        (seen(waiting("ErrImageNeverPull", "x")), Stage.START_FAILED, "ErrImageNeverPull"),
        (seen(waiting("ErrImagePull", NOT_FOUND)), Stage.START_FAILED, "ErrImagePull"),
        (seen(waiting("ErrImagePull", "dial tcp: i/o timeout")), Stage.WAITING, "ErrImagePull"),
        (
            seen(waiting("CreateContainerConfigError", "container has runAsNonRoot and image …")),
            Stage.START_FAILED,
            "CreateContainerConfigError",
        ),
        (
            seen(waiting("CreateContainerConfigError", "unable to find target container app")),
            Stage.WAITING,
            "CreateContainerConfigError",
        ),
        (seen(waiting("CreateContainerError", DEAD_TARGET)), Stage.WAITING, "CreateContainerError"),
        (
            seen(
                waiting(
                    "RunContainerError", NO_SUCH_FILE, lastState=ended(128, "StartError")["state"]
                )
            ),
            Stage.START_FAILED,
            "RunContainerError",
        ),
        (seen(ended(128, "StartError")), Stage.START_FAILED, "RunContainerError"),
        (seen({"state": {"running": {"startedAt": ago(seconds=1)}}}), Stage.RUNNING, ""),
        (seen(ended(0, "Completed")), Stage.ENDED, "Completed"),
        (seen(ended(0, "OOMKilled")), Stage.ENDED, "OOMKilled"),
        (seen(ended(137, "Error")), Stage.ENDED, "Error"),
        (
            seen(None, metadata={"deletionTimestamp": ago(seconds=1)}),
            Stage.POD_ENDED,
            "Terminating",
        ),
        (seen(None, phase="Succeeded"), Stage.POD_ENDED, "Finished"),
        (
            seen(None, phase="Failed", status={"reason": "Evicted", "message": "too much disk"}),
            Stage.POD_ENDED,
            "Evicted",
        ),
    ],
)
def test_status(given: Pod, stage: Stage, reason: str) -> None:
    verdict = classify(given, NAME)
    assert (verdict.stage, verdict.reason) == (stage, reason)


@pytest.mark.parametrize(
    ("event", "stage", "reason"),
    [
        (warning("Failed", f'Failed to pull image "none:1": {NOT_FOUND}'), Stage.START_FAILED, "ErrImagePull"),
        (warning("Failed", 'Failed to pull image "none:1": timeout'), Stage.WAITING, "ErrImagePull"),
        (warning("Failed", "Error: container has runAsNonRoot and image will run as root"), Stage.START_FAILED, "CreateContainerConfigError"),
        (warning("Failed", f"Error: failed to create containerd task: {NO_SUCH_FILE}"), Stage.START_FAILED, "RunContainerError"),
        (warning("Failed", f"Error: {DEAD_TARGET}"), Stage.WAITING, "CreateContainerError"),
        (warning("Failed", f'Failed to pull image "none:1": {NOT_FOUND}', "someone-else"), Stage.WAITING, "ContainerCreating"),
    ],
)  # fmt: skip
def test_an_event_is_believed_before_the_status(event: Event, stage: Stage, reason: str) -> None:
    """The status hides a failed start behind ContainerCreating for up to a minute."""
    verdict = classify(seen(waiting("ContainerCreating")), NAME, [event])
    assert (verdict.stage, verdict.reason) == (stage, reason)


def test_a_running_container_has_overcome_its_warnings() -> None:
    given = seen({"state": {"running": {"startedAt": ago(seconds=1)}}})
    failed_pull = warning("Failed", 'Failed to pull image "x": timeout')
    assert classify(given, NAME, [failed_pull]).stage is Stage.RUNNING


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (seen(None), "NotSeenByKubelet"),
        (seen(None, status={"observedGeneration": 2}), "StartTimeout"),
        (seen(waiting("ContainerCreating")), "StartTimeout"),
        (seen(waiting("CreateContainerError", DEAD_TARGET)), "CreateContainerError"),
    ],
)
def test_absence_is_explained(given: Pod, reason: str) -> None:
    assert explain_absence(given, NAME, generation=2, waited_seconds=60)[0] == reason


@pytest.mark.parametrize(
    ("waited_seconds", "words"),
    [
        (0.31, "within 0.3 s: it needs longer, or the node is not ready"),
        (60.04, "within 60 s: the node is not ready"),
    ],
)
def test_the_time_that_was_waited_is_told_as_it_was(waited_seconds: float, words: str) -> None:
    assert words in explain_absence(seen(None), NAME, 2, waited_seconds)[1]
    told = explain_absence(seen(waiting("ContainerCreating")), NAME, 2, waited_seconds)[1]
    assert told.endswith(words.split(":", maxsplit=1)[0])
