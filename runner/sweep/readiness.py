"""Who is Ready while the sweep goes on: budgets are kept against what is, not what was."""

from collections.abc import Callable, Mapping, Sequence

from runner.budget import Scheduler, Standing
from runner.cluster import Scope
from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.sweep.disruptions import DisruptionBudget, selects
from runner.sweep.gather import ReadyPod, ready_pod


def workload_key(workload: Workload) -> str:
    return f"{workload.namespace}/{workload.kind}/{workload.name}"


class Budgets:
    """The PodDisruptionBudgets that were read, and what each pod counts for."""

    def __init__(self, budgets: Sequence[DisruptionBudget]) -> None:
        self._by_namespace: dict[str, list[DisruptionBudget]] = {}
        for budget in budgets:
            self._by_namespace.setdefault(budget.metadata.namespace, []).append(budget)
        self.allowed = {_key(budget): budget.status.disruptions_allowed for budget in budgets}

    def over(self, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(
            _key(budget)
            for budget in self._by_namespace.get(namespace, ())
            if selects(budget, namespace, labels)
        )

    def standing(self, pod: ReadyPod) -> Standing:
        budgets = self.over(pod.workload.namespace, pod.labels)
        return Standing(workload_key(pod.workload), budgets)


def _key(budget: DisruptionBudget) -> str:
    return f"{budget.metadata.namespace}/{budget.metadata.name}"


class Readiness:
    """Hears every pod of the sweep's watches, and tells the scheduler whose readiness changed;
    `news` is called when that may let another one go."""

    def __init__(
        self,
        ready: Mapping[str, ReadyPod],
        budgets: Budgets,
        scheduler: Scheduler,
        news: Callable[[], None],
    ) -> None:
        self._namespaces = {uid: pod.workload.namespace for uid, pod in ready.items()}
        self._budgets = budgets
        self._scheduler = scheduler
        self._news = news

    def on_pod(self, pod: Pod, gone: bool) -> None:
        uid = pod.metadata.uid
        now = None if gone else ready_pod(pod)
        if (now is None) == (uid not in self._namespaces):
            return
        if now is None:
            self._lost(uid)
            return
        self._namespaces[uid] = pod.metadata.namespace
        self._scheduler.saw(uid, self._budgets.standing(now))
        self._news()

    def on_relist(self, scope: Scope, uids: frozenset[str]) -> None:
        for uid, namespace in tuple(self._namespaces.items()):
            if scope.namespace in (None, namespace) and uid not in uids:
                self._lost(uid)

    def _lost(self, uid: str) -> None:
        del self._namespaces[uid]
        self._scheduler.saw(uid, None)
        self._news()
