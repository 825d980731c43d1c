"""A pod's turn for tests: its plan, and what examining it needs from outside."""

from typing import Any

from runner.examine import Context, PodHub
from runner.examine.context import Limits
from runner.model.pod import Pod
from runner.plan import PodPlan, Selected, plan_pod
from runner.playbook import load
from tests.unit.pods import NOW

PROBE = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: probe}
spec:
  debugger: {image: "tools:1", strategy: [shared]}
  steps: [{name: who, run: [id]}]
"""


def plan_of(given: Pod, *texts: str) -> PodPlan:
    playbooks = tuple(load(text, "p.yaml") for text in texts or (PROBE,))
    return plan_pod(Selected(pod=given, playbooks=playbooks), NOW)


class Untouched:
    """Any request to the cluster is a failure of the test."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked of the cluster")


class NoSecrets:
    """Takes nothing for a secret."""

    def redact_text(self, text: str) -> tuple[str, tuple[()]]:
        return text, ()

    def redact_argv(self, words: Any) -> tuple[Any, tuple[()]]:
        return tuple(words), ()


def hub_of(given: Pod) -> PodHub:
    hub = PodHub(Untouched())
    hub.track(given)
    return hub


def context(hub: PodHub, **given: Any) -> Context:
    """Nothing may be asked of the cluster or written to the journal, unless `given` says so."""

    async def record(event: str, **_: object) -> None:
        raise AssertionError(event)

    usual: dict[str, Any] = {
        "cluster": Untouched(), "redact": NoSecrets(), "record": record, "store": lambda _: None,
        "stage": lambda _: None, "now": lambda: NOW, "run_id": "r1", "limits": Limits(),
    }  # fmt: skip
    return Context(hub=hub, **usual | given)
