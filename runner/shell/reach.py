"""From a pod's name to a container of ours that runs in it, by the ways of a sweep."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from runner.cluster import Cluster, ClusterError, ErrorReason, Place
from runner.debt import DebtLimits, over_cap
from runner.examine import TAMPERED, Context, Limits, PodHub
from runner.examine.classify import Stage
from runner.examine.context import Redact
from runner.examine.inject import Injected, send, unreached, wait_for
from runner.examine.tampered import first_tampered
from runner.model.pod import Pod, StateTerminated
from runner.model.report import Injection
from runner.permissions import Need
from runner.plan import (
    InjectionPlan,
    PodPlan,
    container_for,
    looking_anywhere,
    name_of,
    plan_injection,
)
from runner.playbook import Playbook
from runner.policy import Policy, of_injection
from runner.preflight import too_tight
from runner.select import condition_status
from runner.shell.again import Again, find_again
from runner.shell.meant import meant_in
from runner.shell.program import UNATTENDED_SECONDS, holder, terminal
from runner.sweep import Selection
from runner.sweep.events import list_events
from runner.sweep.existence import Absent
from runner.sweep.gather import Gathered, gather
from runner.sweep.memory import list_usage
from runner.sweep.permissions import require
from runner.sweep.plans import make_plans, with_debt, with_policy

_ANOTHER_PROFILE = "; `--profile auto` takes the least that the namespace allows"


class NotReachedError(Exception):
    """No container of ours runs in the pod; one line that says why, and what becomes of the
    `container` that was sent all the same: `may_start` says that it was given up, no more."""

    def __init__(self, message: str, *, container: str = "", may_start: bool = False) -> None:
        stays = f"; container {container} stays in the pod's spec" if container else ""
        late = (
            f" and, should it start later, ends within {UNATTENDED_SECONDS} s because nobody comes"
            if may_start
            else ""
        )
        super().__init__(f"{message}{stays}{late}")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which pod (of kind `Pod`, or one of the workload of that kind and name), by which settings
    (`runner.shell.document`), and for how long. The container must run within `start_seconds` and
    ends by itself `ttl_seconds` after its start."""

    namespace: str
    kind: str
    name: str
    container: str
    playbook: Playbook
    policy: Policy
    debt: DebtLimits
    run_id: str
    start_seconds: float
    ttl_seconds: int
    # A container of ours that stays is used instead if it does for so long; None: never.
    again_seconds: float | None
    terminal: bool
    needs: tuple[Need, ...]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A container of ours that runs; with `injection.reused` one that an earlier run left there
    and that stays. `body` is what was sent; `pod_note` says which of a
    workload's pods it is in, `strategy_note` why it sees less than it might, or they are empty;
    `latest` is the pod as the watch knows it, `end` waits so many seconds for the container's,
    None if it has not ended by then."""

    place: Place
    target: str
    injection: Injection
    body: Mapping[str, Any]
    pod_note: str
    strategy_note: str
    ends_at: datetime
    latest: Callable[[], Pod]
    end: Callable[[float], Awaitable[StateTerminated | None]]


def no_pod(what: str, namespace: str, absent: Absent) -> str:
    why = str(absent)
    return f"there is no {what} in namespace {namespace}{why and f'; {why}'}"


def _the_plan(asked: Asked, gathered: Gathered, now: datetime) -> tuple[PodPlan, str, Again | None]:
    """The same decisions as for a sweep of this one pod, which of several it is, and the container
    that is used again; raises NotReachedError. Of a workload's pods one that is ill, if there is
    one, else the newest."""
    made = with_policy(make_plans(gathered, now), asked.policy)
    plans = sorted(with_debt(made, asked.debt, now), key=lambda plan: _rank(plan, now))
    plan = looking_anywhere(plans[0])
    where = f"pod {plan.pod.metadata.name} in namespace {asked.namespace}"
    note = ""
    if asked.kind != "Pod":
        ready = "Ready" if condition_status(plan.pod, "Ready") == "True" else "not Ready"
        note = (
            f"pod {plan.pod.metadata.name}, {ready}, of {len(plans)} of {asked.kind} {asked.name}"
        )
    spec = plan.pod.spec
    names = [c.name for c in (*spec.containers, *spec.init_containers)]
    if asked.container and asked.container not in names:
        raise NotReachedError(
            f"{where} has no container {asked.container}: it has {', '.join(names)}"
        )
    if asked.again_seconds is not None:
        # The cap is on containers that are added.
        uncapped = looking_anywhere(next(each for each in made if each.pod is plan.pod))
        again = find_again(
            uncapped, asked.policy, asked.run_id, now, needed_seconds=asked.again_seconds
        )
        if again is not None:
            return uncapped, note, again
    why = plan.skip or plan.held_back
    if why is not None:
        raise NotReachedError(f"{where}: {why.message} ({why.reason})")
    return plan, note, None


def _rank(plan: PodPlan, now: datetime) -> tuple[bool, bool, float]:
    """The least is taken."""
    begun = plan.pod.metadata.creation_timestamp or now
    return (
        plan.skip is not None or plan.held_back is not None,
        condition_status(plan.pod, "Ready") == "True",
        (now - begun).total_seconds(),
    )


def _must_reach(pod: Pod, plan: InjectionPlan) -> None:
    if not plan.steps:
        raise NotReachedError(
            f"pod {pod.metadata.name} cannot be reached: {plan.choice.message} "
            f"({plan.choice.reason})"
        )


async def _must_be_untampered(ctx: Context, pod: Pod, injection: Injection) -> None:
    status = pod.ephemeral_container_status(injection.container)
    ran = msgspec.structs.replace(injection, image_id=status.image_id if status is not None else "")
    if why := await first_tampered(ctx.cluster, pod.spec.node_name, (ran,)):
        raise NotReachedError(f"{why} ({TAMPERED})", container=injection.container)


async def _inject(
    ctx: Context, asked: Asked, pod_plan: PodPlan
) -> tuple[InjectionPlan, Injection, Mapping[str, Any]]:
    """Send the container and wait until it runs; where it cannot, by the next strategy."""
    uid = pod_plan.pod.metadata.uid
    plan = pod_plan.injections[0]
    attempt = 0
    program = terminal if asked.terminal else holder
    while True:
        attempt += 1
        _must_reach(pod_plan.pod, plan)
        name = name_of(plan, asked.run_id, uid, attempt)
        built = container_for(
            pod_plan, plan, name=name, run_id=asked.run_id, program=program(name, asked.ttl_seconds)
        )
        if asked.terminal:
            # It outlives who sits at it: stdinOnce stays false.
            built.body.update(stdin=True, tty=True)
        sent = await send(ctx, pod_plan, plan, built)
        if isinstance(sent, Injected):
            how = _ANOTHER_PROFILE if sent.reason == ErrorReason.POD_SECURITY.value else ""
            raise NotReachedError(f"{sent.message} ({sent.reason}){how}")
        verdict = await wait_for(ctx, uid, name, sent.generation, deadline_seconds=None)
        if verdict.stage is Stage.RUNNING:
            return plan, sent.injection, built.body
        if not (unreached(plan.choice.strategy, verdict.message) and plan.fallback):
            message = ctx.redact.redact_text(verdict.message)[0]
            if verdict.stage is Stage.ENDED:
                code = verdict.terminated.exit_code if verdict.terminated else "unknown"
                message = f"it ended at once with exit code {code}"
            late = verdict.stage is Stage.WAITING
            said = message or f"it did not start within {asked.start_seconds:g} s"
            raise NotReachedError(
                f"container {name} does not run: {said} ({verdict.reason})",
                container=name, may_start=late,
            )  # fmt: skip
        latest = ctx.hub.latest(uid)
        plan = plan_injection(
            latest, pod_plan.target, plan.group, plan.fallback, ctx.now(), plan.bounds
        )


async def _no_journal(event: str, **fields: object) -> None:
    """Nothing is resumed: the next command is another one."""


@asynccontextmanager
async def reach(
    cluster: Cluster, redact: Redact, now: Callable[[], datetime], asked: Asked
) -> AsyncIterator[Reached]:
    """Raises NotReachedError and ClusterError. The pod is watched until the context is left; the
    container stays."""
    one = f"metadata.name={asked.name}" if asked.kind == "Pod" else ""
    selection = Selection(namespaces=(asked.namespace,), field_selector=one)
    gathered = await gather(cluster, [asked.playbook], selection, now())
    if not gathered.selected:
        what = f"pod {asked.name}" if asked.kind == "Pod" else f"pod of {asked.kind} {asked.name}"
        near = await meant_in(cluster, asked.namespace, asked.kind, asked.name)
        raise NotReachedError(no_pod(what, asked.namespace, gathered.absent) + near)
    pod_plan, pod_note, again = _the_plan(asked, gathered, now())
    _must_reach(pod_plan.pod, pod_plan.injections[0])
    needs = [n for n in asked.needs if again is None or n.resource != "pods/ephemeralcontainers"]
    _, events, use = await asyncio.gather(
        require(cluster, needs, [asked.namespace], command="podmedic rbac --shell"),
        list_events(cluster, [asked.namespace]),
        list_usage(cluster, [pod_plan]),
    )
    # An exec costs as much: the runtime begins it in the pod's cgroup, too.
    if why := too_tight(pod_plan.pod, use.of(pod_plan), now()):
        raise NotReachedError(f"pod {pod_plan.pod.metadata.name}: {why} (MemoryHeadroom)")
    pod, uid = pod_plan.pod, pod_plan.pod.metadata.uid
    hub = PodHub(cluster)
    hub.track(pod, events.by_uid.get(uid, ()))
    ctx = Context(
        cluster=cluster,
        hub=hub,
        redact=redact,
        record=_no_journal,
        store=lambda _: None,
        stage=lambda _: None,
        now=now,
        run_id=asked.run_id,
        limits=Limits(start_seconds=asked.start_seconds),
        over_cap=lambda pod: over_cap(pod, asked.debt),
        forbidden=lambda pod, body, strategy: str(
            of_injection(asked.policy, pod, body, strategy) or ""
        ),
    )
    hub.start(gathered.scopes)
    hub.start_events(events.versions)
    try:
        if again is None:
            plan, injection, body = await _inject(ctx, asked, pod_plan)
        else:
            plan, injection, body = pod_plan.injections[0], again.injection, again.body
        await _must_be_untampered(ctx, hub.latest(uid), injection)
        yield Reached(
            place=Place(
                namespace=asked.namespace, pod=pod.metadata.name, container=injection.container
            ),
            target=pod_plan.target,
            injection=injection,
            body=body,
            pod_note=pod_note,
            strategy_note=plan.choice.message,
            ends_at=_ends_at(hub.latest(uid), injection.container, asked, again, now()),
            latest=lambda: hub.latest(uid),
            end=partial(end_of, hub, uid, injection.container),
        )
    finally:
        await hub.stop()


async def end_of(
    hub: PodHub, uid: str, container: str, within_seconds: float
) -> StateTerminated | None:
    """How the container ended, if it does in time and the API server can be reached."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + within_seconds
    while True:
        status = hub.latest(uid).ephemeral_container_status(container)
        if status is not None and status.state.terminated is not None:
            return status.state.terminated
        left = deadline - clock()
        try:
            if left <= 0 or hub.gone(uid) or not await hub.changed(uid, left):
                return None
        except ClusterError:
            return None  # what ended the session has ended the watch


def _ends_at(
    pod: Pod, container: str, asked: Asked, again: Again | None, now: datetime
) -> datetime:
    """When what runs there ends by itself: with its container, or so long from now."""
    status = pod.ephemeral_container_status(container)
    running = status.state.running if status is not None else None
    started_at = (running.started_at if running is not None else None) or now
    ttl = timedelta(seconds=asked.ttl_seconds)
    if again is None:
        return started_at + ttl
    return min(now + ttl, started_at + timedelta(seconds=again.ttl_seconds))
