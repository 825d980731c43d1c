"""Strategy `copy`: run the steps in a copy of the pod, and delete it whatever happens.

The copy is followed by a watch of its own: the shared one follows the pods that were selected, and
would take the copy for one of them that is missing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any

import msgspec

from runner.cluster import ClusterError, ErrorReason, PodEvent, Resource, Scope
from runner.examine.classify import Stage, Verdict, classify
from runner.examine.context import Context
from runner.examine.inject import HOPELESS, Injected, not_allowed, refused, result_of
from runner.injection import (
    copy_body,
    run_label,
)
from runner.killpoints import reach
from runner.model.pod import Pod
from runner.model.report import Injection
from runner.plan import InjectionPlan, PodPlan, container_for, name_of, program_of
from runner.select import COPY_LABEL, Skip

log = logging.getLogger(__name__)

PODS = Resource(plural="pods")
# Between the copy's own end and the day when anybody may delete it.
_EXPIRY_SECONDS = 120
_DELETE_SECONDS = 30.0


def _view(pod: Pod) -> Pod:
    """The copy's container where that of an injection is looked for."""
    status = pod.status
    moved = msgspec.structs.replace(status, ephemeral_container_statuses=status.container_statuses)
    return msgspec.structs.replace(pod, status=moved)


def _why_waiting(pod: Pod, name: str) -> Verdict:
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return Verdict(Stage.WAITING, condition.reason, condition.message)
    status = pod.ephemeral_container_status(name)
    waiting = status.state.waiting if status is not None else None
    if waiting is not None and waiting.message:
        return Verdict(Stage.WAITING, waiting.reason, waiting.message)
    return Verdict(Stage.WAITING, "StartTimeout", "the copy of the pod did not start in time")


async def _changes(ctx: Context, pod: Pod) -> AsyncGenerator[PodEvent]:
    """What is known, which may be all there is to know of a copy that a killed run made; then
    what the API server says."""
    yield PodEvent(type="modified", pod=pod)
    name = pod.metadata.name
    scope = Scope(namespace=pod.metadata.namespace, field_selector=f"metadata.name={name}")
    async for event in ctx.cluster.watch_pods(scope, pod.metadata.resource_version):
        yield event


async def _follow(ctx: Context, pod: Pod, deadline_seconds: float) -> tuple[Pod, Verdict]:
    """Until the copy ended or a deadline passed, with the copy as it was seen last."""
    clock = asyncio.get_running_loop().time
    name, running = pod.metadata.name, False
    try:
        async with asyncio.timeout(ctx.limits.start_seconds) as limit:
            async with aclosing(_changes(ctx, pod)) as following:
                async for event in following:
                    gone = event.type == "deleted" or (event.type == "sync" and not event.uids)
                    if event.pod is not None:
                        pod = _view(event.pod)
                    verdict = classify(pod, name)
                    if gone and verdict.stage is not Stage.ENDED:
                        verdict = Verdict(Stage.POD_ENDED, "PodGone", "the copy was deleted")
                    if verdict.stage is Stage.RUNNING and not running:
                        running = True
                        ctx.stage("running")
                        limit.reschedule(clock() + deadline_seconds + ctx.limits.grace_seconds)
                    if verdict.stage not in (Stage.WAITING, Stage.RUNNING):
                        break
    except TimeoutError:
        late = f"the steps were still running after {deadline_seconds:.0f} s"
        verdict = (
            Verdict(Stage.RUNNING, "DeadlineExceeded", late) if running else _why_waiting(pod, name)
        )
    if running:
        ctx.stage("stopped")
    return pod, verdict


async def _made(ctx: Context, body: dict[str, Any]) -> tuple[Pod, bool]:
    """The copy, and whether a killed run of ours had made it. Raises ClusterError."""
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    objects = ctx.cluster.objects
    try:
        return await objects.create(PODS, namespace, body, Pod), False
    except ClusterError as error:
        if error.reason is not ErrorReason.CONFLICT:
            raise
        found = await objects.get(PODS, name, namespace, Pod)
        if found.metadata.labels.get(COPY_LABEL) != run_label(ctx.run_id):
            raise
        if found.metadata.deletion_timestamp is None:
            return found, True
    # Its log goes with it at any moment; there are never two.
    await _gone(ctx, found)
    return await objects.create(PODS, namespace, body, Pod), False


async def _gone(ctx: Context, pod: Pod) -> None:
    """Until the copy is no more, or for so long as a deletion may take."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DELETE_SECONDS), aclosing(_changes(ctx, pod)) as following:
            async for event in following:
                if event.type == "deleted" or (event.type == "sync" and not event.uids):
                    return


async def _delete(ctx: Context, namespace: str, name: str) -> None:
    """Bounded, and never in the way of what is already happening: the copy ends by itself, and the
    next run removes what is left."""
    try:
        async with asyncio.timeout(_DELETE_SECONDS):
            await ctx.cluster.objects.delete(PODS, name, namespace, grace_period_seconds=1)
    except (ClusterError, TimeoutError) as error:
        log.error(  # noqa: TRY400  # one line for people
            "copy %s/%s was not deleted, it ends by itself: %s", namespace, name, error
        )


async def run_copy(
    ctx: Context, pod_plan: PodPlan, plan: InjectionPlan, attempt: int
) -> Injected:  # fmt: skip
    """Never raises for what happens to the copy: that is the result."""
    pod = ctx.hub.latest(pod_plan.pod.metadata.uid)
    uid, namespace = pod.metadata.uid, pod.metadata.namespace
    name = name_of(plan, ctx.run_id, uid, attempt)
    program = program_of(plan, name)
    container = container_for(
        pod_plan, plan, name=name, run_id=ctx.run_id, program=program, strategy="copy"
    )
    if (stopped := ctx.stopped()) is not None:
        return not_allowed(plan, stopped)
    forbidden = ctx.forbidden(pod_plan.pod, container.body, "copy")
    if forbidden:
        return not_allowed(plan, Skip("Policy", forbidden))
    limits = ctx.limits
    lifetime = int(limits.start_seconds + plan.deadline_seconds + limits.grace_seconds)
    sent = False
    try:
        original = await ctx.cluster.objects.get(PODS, pod.metadata.name, namespace, dict[str, Any])
        body = copy_body(
            original, pod_plan.target_container, container.body, run_id=ctx.run_id,
            expires=ctx.now() + timedelta(seconds=lifetime + _EXPIRY_SECONDS),
            lifetime_seconds=lifetime,
        )  # fmt: skip
        await ctx.record(
            "injecting", container=name, strategy="copy",
            namespace=namespace, pod=pod.metadata.name, uid=uid,
        )  # fmt: skip
        # From here it goes by its name: a create whose answer was lost may have been applied.
        sent = True
        copy, reused = await _made(ctx, body)
        reach("patched")
        ctx.stage("injected")
        injection = Injection(
            container=name, image=container.body["image"], profile=plan.debugger.profile,
            profile_reason=plan.profile_reason, strategy="copy", injected_at=ctx.now(),
            reused=reused, warnings=container.warnings,
        )  # fmt: skip
        copy, verdict = await _follow(ctx, copy, plan.deadline_seconds)
        return await result_of(ctx, plan, uid, injection, verdict, copy=copy)
    except ClusterError as error:
        # A pod of that name that is none of ours, or is being deleted, stays.
        sent = sent and error.reason is not ErrorReason.CONFLICT
        if error.reason in HOPELESS:
            raise
        return refused(ctx, plan, name, error)
    finally:
        if sent:
            await _delete(ctx, namespace, name)
