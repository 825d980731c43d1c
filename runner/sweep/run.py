"""A sweep: gather, ask, examine, judge. The program reads as that list."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from runner import __version__
from runner.budget import Candidate, Scheduler
from runner.cluster import Cluster
from runner.debt import over_cap
from runner.examine import (
    Context,
    Examined,
    OneImage,
    PodHub,
    clean_pod,
    examine_pod,
    with_harm,
)
from runner.examine.context import Redact
from runner.killpoints import reach
from runner.model.node import Node
from runner.model.objects import Objects
from runner.model.pod import Pod
from runner.model.report import API_VERSION, PodOutcome, PolicyRef, Run
from runner.model.seen import Seen, SeenPod
from runner.model.trigger import Trigger
from runner.plan import PodPlan, hold_back, looked_after
from runner.playbook import Playbook
from runner.policy import of_injection
from runner.record import PodRecord
from runner.select import Skip, condition_status, node_pool
from runner.sweep.alike import Alike
from runner.sweep.configuration import list_configuration_changes
from runner.sweep.copies import reap
from runner.sweep.disruptions import list_budgets
from runner.sweep.events import EventLists, list_events
from runner.sweep.evidence import choose_for_logs
from runner.sweep.gather import Gathered, gather
from runner.sweep.meanwhile import Meanwhile
from runner.sweep.memory import list_usage, with_headroom
from runner.sweep.nodes import list_nodes, with_nodes
from runner.sweep.objects import clean_objects, with_backends, with_failed_pods
from runner.sweep.others import Others
from runner.sweep.outside import Outside
from runner.sweep.permissions import require_permissions
from runner.sweep.plans import make_plans, will_inject, with_debt, with_policy
from runner.sweep.pool import Acts, Cut, Tally, run_pool, tell_change, without_examination
from runner.sweep.preflight import with_predictions
from runner.sweep.readiness import Budgets, Readiness, workload_key
from runner.sweep.resume import Earlier, in_order, split
from runner.sweep.revisions import list_changes
from runner.sweep.settings import Budget, Selection


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


async def _budgets(cluster: Cluster, plans: Sequence[PodPlan]) -> Budgets:
    """Those of the namespaces where several pods are to be examined."""
    counts = Counter(plan.pod.metadata.namespace for plan in plans if will_inject(plan))
    several = sorted(namespace for namespace, count in counts.items() if count > 1)
    return Budgets((await list_budgets(cluster, several))[0])


def _context(
    outside: Outside, hub: PodHub, tally: Tally, run_id: str, budget: Budget, others: Others,
    scheduler: Scheduler, alike: Alike, uid: str,
) -> Context:  # fmt: skip
    async def record(event: str, **fields: object) -> None:
        await outside.record(event, **fields)
        if event in ("injecting", "entering"):
            tally.containers[str(fields["uid"])] = str(fields["container"])

    def stopped() -> Skip | None:
        return Skip("BreakerOpen", scheduler.breaker) if scheduler.breaker else None

    def stage(name: str) -> None:
        if name == "injected":
            alike.accepted(uid)
        tally.of_pod(uid, name)

    return Context(
        cluster=outside.cluster,
        hub=hub,
        redact=outside.redact,
        record=record,
        store=outside.store,
        artifact=outside.artifact,
        stage=stage,
        now=outside.now,
        run_id=run_id,
        limits=budget.limits,
        over_cap=lambda pod: over_cap(pod, budget.debt),
        forbidden=lambda pod, body, strategy: str(
            of_injection(budget.policy, pod, body, strategy) or ""
        ),
        stopped=stopped,
        taken_until=others.until,
    )


async def _examine_all(
    outside: Outside,
    plans: Sequence[PodPlan],
    gathered: Gathered,
    events: EventLists,
    nodes: Mapping[str, Node],
    *,
    run_id: str,
    budget: Budget,
    done: Sequence[Examined],
    earlier: Earlier | None,
) -> tuple[list[Examined], Cut | None]:
    """What an earlier process of this run had `done` counts for the breaker."""
    hub = PodHub(outside.cluster)
    to_examine = [plan for plan in plans if plan.skip is None]
    for plan in to_examine:
        hub.track(plan.pod, events.by_uid.get(plan.pod.metadata.uid, ()))
    with_logs = choose_for_logs(to_examine)

    def progress(counts: Counter[str]) -> None:
        outside.watcher.update(
            selected=len(to_examine),
            injected=counts["injected"],
            running=counts["running"] - counts["stopped"],
            done=counts["done"],
            failed=counts["failed"],
        )

    tally = Tally(progress)
    budgets = await _budgets(outside.cluster, to_examine)
    scheduler = Scheduler(
        budget.at_once,
        [_candidate(plan, budgets, nodes) for plan in to_examine],
        ready={uid: budgets.standing(pod) for uid, pod in gathered.ready.items()},
        disruptions_allowed=budgets.allowed,
    )
    readiness = Readiness(gathered.ready, budgets, scheduler, tally.news)
    others = Others(run_id, budgets, scheduler, tally.news, outside.now)
    others.began(gathered.taken)
    meanwhile = Meanwhile(scheduler, tally, outside.now)
    hub.hears(readiness.on_pod, readiness.on_relist)
    hub.hears(others.on_pod, others.on_relist)
    hub.hears(meanwhile.on_pod, meanwhile.on_relist)
    for one in done:
        tell_change(one, scheduler)
    one_image = OneImage(one.result for one in done)
    alike = Alike(to_examine, run_id)

    def proven(one: Examined, pod: Pod, since: datetime) -> Examined:
        """Against what the pod was when its turn came: what happened to it before was not us."""
        uid = pod.metadata.uid
        latest, gone = hub.latest(uid), hub.gone(uid)
        if earlier is not None and (before := earlier.before(one)) is not None:
            pod, since = before, earlier.started_at
        result = with_harm(
            one.result, pod, latest,
            since=since, now=outside.now(), gone=gone, events=one.examination.events,
        )  # fmt: skip
        return replace(one, result=result)

    async def examine(plan: PodPlan) -> Examined:
        uid = plan.pod.metadata.uid
        ctx = _context(outside, hub, tally, run_id, budget, others, scheduler, alike, uid)
        plan = await alike.allowed(plan)
        before, since = hub.latest(uid), outside.now()
        with meanwhile.examined(plan, before, since):
            one = alike.ended(await examine_pod(ctx, plan, with_logs=uid in with_logs))
        one = replace(one, result=await one_image.judged(outside.cluster, one.result))
        one = proven(one, before, since)
        outside.keep(one)
        return one

    async def held_back(plan: PodPlan, reason: str, message: str) -> Examined:
        return await examine(hold_back(plan, Skip(reason, message)))

    if any(will_inject(plan) for plan in to_examine):
        hub.start(gathered.scopes)
        hub.start_events(events.versions)
    outside.watcher.start(len(to_examine))
    try:
        acts = Acts(examine=examine, hold_back=held_back, wake=hub.wake)
        examined, cut = await run_pool(to_examine, acts, scheduler, budget, tally, outside.stop)
    finally:
        await hub.stop()
    by_uid = {one.plan.pod.metadata.uid: one for one in examined}
    for plan in plans:
        if plan.skip is not None:
            by_uid[plan.pod.metadata.uid] = without_examination(
                plan, PodOutcome.SKIPPED, plan.skip.reason, plan.skip.message
            )
    return [by_uid[plan.pod.metadata.uid] for plan in plans], cut


async def prepare(
    outside: Outside,
    playbooks: Sequence[Playbook],
    selection: Selection,
    *,
    meant: Mapping[str, PodRecord] | None = None,
) -> tuple[Gathered, tuple[PodPlan, ...]]:
    """As far as `podmedic plan` goes; `meant` says which pods, where they were selected before."""
    gathered = await gather(outside.cluster, playbooks, selection, outside.now(), meant=meant)
    return gathered, make_plans(gathered, outside.now())


async def sweep(
    outside: Outside,
    playbooks: Sequence[Playbook],
    gathered: Gathered,
    plans: Sequence[PodPlan],
    objects: Objects,
    listed: EventLists,
    *,
    run_id: str,
    selection: Selection,
    budget: Budget,
    started_at: datetime,
    earlier: Earlier | None = None,
    trigger: Trigger | None = None,
) -> Seen:
    """Raises ClusterError while nothing has been changed yet; afterwards there is a result.
    `started_at` is when the pods of the plans were listed, `listed` events that are known already,
    `trigger`, redacted, why."""
    plans, done = split(earlier, plans, playbooks)
    if earlier is not None:
        plans = [looked_after(plan, run_id) for plan in plans]
    namespaces = sorted({plan.pod.metadata.namespace for plan in plans})
    plans = with_debt(with_policy(plans, budget.policy), budget.debt, outside.now(), run_id)
    plans = with_backends(with_failed_pods(plans, objects, outside.now()), objects)
    to_inject = sorted({p.pod.metadata.namespace for p in plans if will_inject(p)})
    wanted = any(p.spec.evidence.events for p in playbooks)
    on_nodes = {p.pod.spec.node_name for p in plans if will_inject(p)}
    events, (nodes, _), (changes, changes_unknown), configuration, use, _ = await asyncio.gather(
        list_events(outside.cluster, namespaces if wanted else (), [p.pod for p in plans], listed),
        list_nodes(outside.cluster, on_nodes),
        list_changes(outside.cluster, plans, gathered.ready.values(), outside.redact),
        list_configuration_changes(outside.cluster, plans),
        list_usage(outside.cluster, plans),
        require_permissions(outside.cluster, playbooks, to_inject),
    )
    plans = with_headroom(plans, use, outside.now(), run_id)
    plans = with_predictions(plans, nodes, run_id)
    await reap(outside, playbooks, to_inject)
    examined, cut = await _examine_all(
        outside, plans, gathered, events, nodes,
        run_id=run_id, budget=budget, done=done, earlier=earlier,
    )  # fmt: skip
    reach("all-examined")
    examined = await with_nodes(outside.cluster, nodes, examined)
    await reap(outside, playbooks, to_inject, over=run_id)
    if done:
        examined = in_order((*examined, *done))
        plans = [one.plan for one in examined]
    seen_all = tuple(_seen(one, outside.redact) for one in examined)
    now = outside.now()
    return Seen(
        api_version=API_VERSION,
        run=Run(
            id=run_id,
            started_at=started_at if earlier is None else earlier.started_at,
            finished_at=now,
            playbooks=(),
            runner_version=__version__,
            cluster=outside.cluster.description,
            selector=selection.label_selector,
            objects_meant=selection.means_objects,
            interrupted=cut is not None and cut.reason == "Interrupted",
            resumed=earlier is not None,
            aborted=cut.message if cut is not None and cut.reason != "Interrupted" else "",
            api_requests=sum(outside.cluster.requests_sent.values()),
            trigger=trigger,
            policy=PolicyRef(name=budget.policy.metadata.name, sha256=budget.policy.sha256),
        ),
        at=now,
        label_selector=selection.label_selector,
        objects_meant=selection.means_objects,
        aims=selection.aims,
        events_unknown=events.unknown,
        pods=seen_all,
        objects=clean_objects(objects, outside.redact),
        changes=changes,
        changes_unknown=changes_unknown,
        configuration_changes=configuration[0],
        configuration_unknown=configuration[1],
        namespaces_missing=gathered.absent.missing,
        namespaces_unknown=gathered.absent.unknown,
    )


def _seen(one: Examined, redact: Redact) -> SeenPod:
    examination = one.examination
    if "pod" in examination.unknown:
        # Nobody looked at it, and so nobody took out what an app or an author wrote.
        examination = msgspec.structs.replace(examination, pod=clean_pod(examination.pod, redact))
    return SeenPod(
        examination=examination,
        result=one.result,
        playbooks=tuple(p.metadata.name for p in one.plan.playbooks),
        control_of=one.plan.control_of,
        skipped=one.plan.skip is not None,
    )
