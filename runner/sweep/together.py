"""The pods of a sweep side by side: what they share, and one examination for each in its turn."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from runner.budget import Candidate, Scheduler
from runner.cluster import Cluster
from runner.debt import over_cap
from runner.examine import Context, Examined, OneImage, PodHub, examine_pod, with_harm
from runner.model.node import Node
from runner.model.pod import Pod
from runner.model.report import PodOutcome
from runner.plan import PodPlan, hold_back
from runner.policy import of_injection
from runner.select import Skip, condition_status, node_pool
from runner.sweep.alike import Alike
from runner.sweep.disruptions import list_budgets
from runner.sweep.evidence import choose_for_logs
from runner.sweep.meanwhile import Meanwhile
from runner.sweep.others import Others
from runner.sweep.outside import Outside
from runner.sweep.plans import will_inject
from runner.sweep.pool import Acts, Cut, Tally, run_pool, tell_change, without_examination
from runner.sweep.readiness import Budgets, Readiness, workload_key
from runner.sweep.resume import Earlier
from runner.sweep.work import Asked, Listed


async def examine_all(
    outside: Outside,
    asked: Asked,
    listed: Listed,
    nodes: Mapping[str, Node],
    earlier: Earlier | None,
    done: Sequence[Examined],
) -> tuple[list[Examined], Cut | None]:
    """In the order of the plans, and why not all of it was done. What an earlier process of this
    run had `done` counts for the breaker."""
    to_examine = [plan for plan in listed.plans if plan.skip is None]
    budgets = await _budgets(outside.cluster, to_examine)
    together = _Together(outside, asked, listed, to_examine, nodes, budgets)
    together.remember(earlier, done)
    examined, cut = await together.examined()
    by_uid = {one.plan.pod.metadata.uid: one for one in examined}
    for plan in listed.plans:
        if plan.skip is not None:
            by_uid[plan.pod.metadata.uid] = without_examination(
                plan, PodOutcome.SKIPPED, plan.skip.reason, plan.skip.message
            )
    return [by_uid[plan.pod.metadata.uid] for plan in listed.plans], cut


async def _budgets(cluster: Cluster, plans: Sequence[PodPlan]) -> Budgets:
    """Those of the namespaces where several pods are to be examined."""
    counts = Counter(plan.pod.metadata.namespace for plan in plans if will_inject(plan))
    several = sorted(namespace for namespace, count in counts.items() if count > 1)
    return Budgets((await list_budgets(cluster, several))[0])


def _candidate(plan: PodPlan, budgets: Budgets, nodes: Mapping[str, Node]) -> Candidate:
    pod = plan.pod
    injects = will_inject(plan)
    images = (i.debugger.image for i in plan.injections if i.steps)
    return Candidate(
        uid=pod.metadata.uid,
        namespace=pod.metadata.namespace,
        node=pod.spec.node_name,
        workload=workload_key(plan.workload),
        # What is read from the API alone starts nothing: it is its own proof.
        pool=" ".join((next(images), node_pool(nodes.get(pod.spec.node_name))))
        if injects
        else f"none {pod.metadata.uid}",
        ready=injects and condition_status(pod, "Ready") == "True",
        budgets=budgets.over(pod.metadata.namespace, pod.metadata.labels),
        injects=injects,
    )


class _Together:
    """What the pods share: one watch, one order of turns, one breaker."""

    def __init__(
        self,
        outside: Outside,
        asked: Asked,
        listed: Listed,
        plans: Sequence[PodPlan],
        nodes: Mapping[str, Node],
        budgets: Budgets,
    ) -> None:
        self._outside, self._asked, self._listed, self._plans = outside, asked, listed, plans
        gathered = listed.gathered
        self._hub = hub = PodHub(outside.cluster)
        for plan in plans:
            hub.track(plan.pod, listed.events.by_uid.get(plan.pod.metadata.uid, ()))
        self._tally = tally = Tally(self._progress)
        self._scheduler = scheduler = Scheduler(
            asked.budget.at_once,
            [_candidate(plan, budgets, nodes) for plan in plans],
            ready={uid: budgets.standing(pod) for uid, pod in gathered.ready.items()},
            disruptions_allowed=budgets.allowed,
        )
        readiness = Readiness(gathered.ready, budgets, scheduler, tally.news)
        self._others = Others(asked.run_id, budgets, scheduler, tally.news, outside.now)
        self._others.began(gathered.taken)
        self._meanwhile = Meanwhile(scheduler, tally, outside.now)
        for one in (readiness, self._others, self._meanwhile):
            hub.hears(one.on_pod, one.on_relist)
        self._alike = Alike(plans, asked.run_id)
        self._with_logs = choose_for_logs(plans)
        self._one_image = OneImage(())
        self._earlier: Earlier | None = None

    def remember(self, earlier: Earlier | None, done: Sequence[Examined]) -> None:
        self._earlier = earlier
        for one in done:
            tell_change(one, self._scheduler)
        self._one_image = OneImage(one.result for one in done)

    async def examined(self) -> tuple[list[Examined], Cut | None]:
        """Those whose turn came, and those that were left out by then."""
        if any(will_inject(plan) for plan in self._plans):
            self._hub.start(self._listed.gathered.scopes)
            self._hub.start_events(self._listed.events.versions)
        self._outside.watcher.start(len(self._plans))
        try:
            acts = Acts(examine=self._examine, hold_back=self._held_back, wake=self._hub.wake)
            return await run_pool(
                self._plans, acts, self._scheduler, self._asked.budget, self._tally,
                self._outside.stop,
            )  # fmt: skip
        finally:
            await self._hub.stop()

    def _progress(self, counts: Counter[str]) -> None:
        self._outside.watcher.update(
            selected=len(self._plans),
            injected=counts["injected"],
            running=counts["running"] - counts["stopped"],
            done=counts["done"],
            failed=counts["failed"],
        )

    async def _examine(self, plan: PodPlan) -> Examined:
        uid, outside = plan.pod.metadata.uid, self._outside
        plan = await self._alike.allowed(plan)
        before, since = self._hub.latest(uid), outside.now()
        with self._meanwhile.examined(plan, before, since):
            with_logs = uid in self._with_logs
            one = await examine_pod(self._context(uid), plan, with_logs=with_logs)
            one = self._alike.ended(one)
        result = await self._one_image.judged(outside.cluster, one.result)
        one = self._proven(replace(one, result=result), before, since)
        outside.keep(one)
        return one

    async def _held_back(self, plan: PodPlan, reason: str, message: str) -> Examined:
        return await self._examine(hold_back(plan, Skip(reason, message)))

    def _proven(self, one: Examined, pod: Pod, since: datetime) -> Examined:
        """Against what the pod was when its turn came: what happened to it before was not us."""
        uid = pod.metadata.uid
        latest, gone = self._hub.latest(uid), self._hub.gone(uid)
        if self._earlier is not None and (before := self._earlier.before(one)) is not None:
            pod, since = before, self._earlier.started_at
        result = with_harm(
            one.result, pod, latest,
            since=since, now=self._outside.now(), gone=gone, events=one.examination.events,
        )  # fmt: skip
        return replace(one, result=result)

    def _context(self, uid: str) -> Context:
        outside, budget, tally, scheduler = (
            self._outside, self._asked.budget, self._tally, self._scheduler
        )  # fmt: skip

        async def record(event: str, **fields: object) -> None:
            await outside.record(event, **fields)
            if event in ("injecting", "entering"):
                tally.containers[str(fields["uid"])] = str(fields["container"])

        def stopped() -> Skip | None:
            return Skip("BreakerOpen", scheduler.breaker) if scheduler.breaker else None

        def stage(name: str) -> None:
            if name == "injected":
                self._alike.accepted(uid)
            tally.of_pod(uid, name)

        return Context(
            cluster=outside.cluster,
            hub=self._hub,
            redact=outside.redact,
            record=record,
            store=outside.store,
            artifact=outside.artifact,
            stage=stage,
            now=outside.now,
            run_id=self._asked.run_id,
            limits=budget.limits,
            over_cap=lambda pod: over_cap(pod, budget.debt),
            forbidden=lambda pod, body, strategy: str(
                of_injection(budget.policy, pod, body, strategy) or ""
            ),
            stopped=stopped,
            taken_until=self._others.until,
        )
