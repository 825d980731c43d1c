"""A container that stays: what is recognised as one, and how a program gets into it."""

from typing import Any

import pytest

from runner.cluster import Ended, StreamOutcome
from runner.debt import entries
from runner.examine.resident import judged
from runner.injection import build_container, find_resident
from runner.model.pod import Pod
from runner.permissions import needs
from runner.playbook import Debugger, load
from runner.playbook.reading import made
from runner.program import ProgramStep, decode, holder
from tests.unit.pods import NOW, ago, pod, running

TTL_SECONDS = 3600
STEP = ProgramStep(name="hello", playbook="p", script="echo hello; exit 3", timeout_seconds=5)


def body(run_id: str = "r2", name: str = "podmedic-b-1", **debugger: Any) -> dict[str, Any]:
    given = pod(running())
    return build_container(
        given,
        given.spec.containers[0],
        made(Debugger, {"image": "tools:1", "lifetime": "resident", **debugger}),
        name=name,
        run_id=run_id,
        program=holder(TTL_SECONDS),
        strategy="target",
    ).body


def carrier(container: dict[str, Any], **state: Any) -> Pod:
    state = state or {"running": {"startedAt": ago(minutes=50)}}
    return pod(
        running(),
        spec={"ephemeralContainers": [container]},
        status={"ephemeralContainerStatuses": [{"name": container["name"], "state": state}]},
    )


EARLIER = body("r1", "podmedic-a-1")


@pytest.mark.parametrize(
    ("given", "wanted", "found"),
    [
        (carrier(EARLIER), body(), True),
        (carrier(EARLIER, terminated={"exitCode": 0}), body(), False),
        (carrier(EARLIER, running={"startedAt": ago(minutes=59)}), body(), False),
        (carrier(EARLIER), body(image="tools:2"), False),
        (carrier(EARLIER), body(profile="general"), False),
        (carrier(EARLIER), body(securityContext={"runAsUser": 7}), False),
        (carrier(EARLIER), body(inherit=("env",)), True),
        (carrier(EARLIER | {"name": "debugger-x"}), body(), False),
        (carrier(EARLIER | {"securityContext": {"privileged": True}}), body(), False),
        (carrier(EARLIER | {"command": ["/bin/sh", "-c", "evil"]}), body(), False),
        (carrier(EARLIER | {"targetContainerName": "other"}), body(), False),
        (carrier(body("r1", "podmedic-a-1", lifetime="once")), body(), False),
    ],
    ids=[
        "the same of another run", "ended", "too little time left", "another image", "another profile",
        "another user", "nothing to mount in either", "not ours by name",
        "says it is the same but is privileged", "runs something else", "in another container",
        "not one that stays",
    ],
)  # fmt: skip
def test_which_container_is_used_again(given: Pod, wanted: dict[str, Any], found: bool) -> None:
    seen = find_resident(given, wanted, NOW, ttl_seconds=TTL_SECONDS, needed_seconds=120)
    assert (seen is not None) == found


def test_containers_says_which_ones_stay() -> None:
    once = body("r1", "podmedic-a-1", lifetime="once")
    assert [e.resident for e in entries(carrier(EARLIER))] == [True]
    assert [e.resident for e in entries(carrier(once))] == [False]


PLAYBOOK = """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: stays}
spec:
  debugger: {image: "tools:1", lifetime: LIFETIME}
  steps:
    - {name: a, run: ["true"]}
"""


@pytest.mark.parametrize(("lifetime", "granted"), [("once", False), ("resident", True)])
def test_only_a_playbook_that_stays_needs_exec(lifetime: str, granted: bool) -> None:
    found = needs([load(PLAYBOOK.replace("LIFETIME", lifetime), "p.yaml")])
    assert (("pods/exec", ("create", "get")) in {(n.resource, n.asked) for n in found}) == granted


UNSAID = Ended(outcome=StreamOutcome.UNKNOWN, reason="NoStatus", message="it was cut")
SAID = Ended(outcome=StreamOutcome.EXITED, exit_code=0)
WORDS = "the program's last word is missing from its output"


@pytest.mark.parametrize(
    ("ended", "gone", "verdict"),
    [
        (UNSAID, False, ("unknown", "NoStatus", "it was cut")),
        (UNSAID, True, ("unknown", "PodGone", "the pod was deleted before its result was read")),
        (SAID, False, ("unknown", "ExecIncomplete", "")),
    ],
    ids=["cut", "pod deleted", "silently truncated"],
)
def test_what_did_not_arrive_whole_is_unknown(
    ended: Ended, gone: bool, verdict: tuple[str, str, str]
) -> None:
    """However the stream ended: an exit code 0 proves nothing about the output."""
    result = decode(b"", nonce="n", steps=[STEP], message=None)
    outcome, reason, message = judged(result, ended, deadline_seconds=10, gone=gone)
    assert outcome is not None
    assert (outcome.value, reason) == verdict[:2]
    assert message == (verdict[2] or "; ".join(result.problems) or WORDS)
