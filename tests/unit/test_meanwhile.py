"""The breaker hears of an app that ends while it is examined at that moment."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from runner.budget import Limits, Scheduler
from runner.cluster import Scope
from runner.model.pod import Pod
from runner.plan import PodPlan
from runner.playbook import Playbook, load
from runner.select import workload_of
from runner.sweep.meanwhile import Meanwhile
from runner.sweep.pool import Tally
from tests.unit.pods import NOW, ago, crashed_before, pod, running, terminated

PLAYBOOK = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: probe}
spec:
  expectsChange: EXPECTED
  steps:
    - {name: hello, run: [id]}
"""
WELL = pod(running())
ENDED = pod(terminated(137, "OOMKilled"), conditions={"Ready": "False"})
LOOPS = pod(running(ago(seconds=3), restartCount=4, lastState=crashed_before(seconds=60)))
LOOPS_ON = pod(terminated(1, restartCount=4), conditions={"Ready": "False"})
FALTERS = pod(running(ready=False), conditions={"Ready": "False"})
DELETED = pod(terminated(143), metadata={"deletionTimestamp": ago(seconds=1)})
TOLD = (
    "shop/web-1 changed while it was examined: container app was running and ready, now ended with "
    "exit code 137 (OOMKilled)"
)


def _playbook(*, expects_change: bool = False) -> Playbook:
    return load(PLAYBOOK.replace("EXPECTED", str(expects_change).lower()), "p.yaml")


class _Sweep:
    def __init__(self) -> None:
        self.news = 0
        self.scheduler = Scheduler(Limits(), [], ready={})
        self.tally = Tally(lambda _: None)
        self.tally.on_news = self._hear
        self.meanwhile = Meanwhile(self.scheduler, self.tally, lambda: NOW)

    def _hear(self) -> None:
        self.news += 1

    def sent(self) -> None:
        self.tally.of_pod("u1", "injected")

    def examined(self, before: Pod = WELL, **given: Any) -> Any:
        plan = PodPlan(
            pod=before, playbooks=(_playbook(),), workload=workload_of(before), target="app",
            conditions=(),
        )  # fmt: skip
        since = NOW - timedelta(seconds=5)
        return self.meanwhile.examined(replace(plan, **given), before, since)


def test_it_is_told_before_the_examination_is_over() -> None:
    sweep = _Sweep()
    with sweep.examined():
        sweep.sent()
        sweep.meanwhile.on_pod(WELL, False)
        assert (sweep.scheduler.breaker, sweep.news) == ("", 0)
        sweep.meanwhile.on_pod(ENDED, False)
        assert (sweep.scheduler.breaker, sweep.news) == (TOLD, 1)


def test_what_ends_before_anything_was_sent_or_after_it_was_examined_is_not_ours() -> None:
    sweep = _Sweep()
    sweep.meanwhile.on_pod(ENDED, False)
    with sweep.examined():
        sweep.meanwhile.on_pod(ENDED, False)
        sweep.sent()
    sweep.meanwhile.on_pod(ENDED, False)
    sweep.meanwhile.on_relist(Scope(namespace="shop"), frozenset())
    assert (sweep.scheduler.breaker, sweep.news) == ("", 0)


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [(LOOPS, LOOPS_ON, False), (WELL, FALTERS, False), (WELL, DELETED, False), (WELL, ENDED, True)],
    ids=["crash loop", "readiness may come back", "deleted", "gone"],
)
def test_what_is_no_harm_or_may_yet_be_none_is_not_told(
    before: Pod, after: Pod, gone: bool
) -> None:
    sweep = _Sweep()
    with sweep.examined(before):
        sweep.sent()
        sweep.meanwhile.on_pod(after, gone)
    assert (sweep.scheduler.breaker, sweep.news) == ("", 0)


def test_what_the_playbook_expects_is_not_told() -> None:
    sweep = _Sweep()
    with sweep.examined(playbooks=(_playbook(expects_change=True),)):
        sweep.sent()
        sweep.meanwhile.on_pod(ENDED, False)
    assert (sweep.scheduler.breaker, sweep.news) == ("", 0)
