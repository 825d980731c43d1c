"""A sweep: gather, ask, examine, judge. The program reads as that list."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from runner import __version__
from runner.examine import Examined, clean_pod
from runner.examine.context import Redact
from runner.killpoints import reach
from runner.model.report import API_VERSION, PolicyRef, Run
from runner.model.seen import Seen, SeenPod
from runner.plan import PodPlan, looked_after
from runner.playbook import Playbook
from runner.record import PodRecord
from runner.sweep.configuration import list_configuration_changes
from runner.sweep.copies import reap
from runner.sweep.events import list_events
from runner.sweep.gather import Gathered, gather
from runner.sweep.memory import list_usage, with_headroom
from runner.sweep.nodes import list_nodes, with_nodes
from runner.sweep.objects import clean_objects, with_backends, with_failed_pods
from runner.sweep.outside import Outside
from runner.sweep.permissions import require_permissions
from runner.sweep.plans import make_plans, will_inject, with_debt, with_policy
from runner.sweep.preflight import with_predictions
from runner.sweep.resume import Earlier, in_order, split
from runner.sweep.revisions import list_changes
from runner.sweep.settings import Selection
from runner.sweep.together import examine_all
from runner.sweep.work import Asked, Listed


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
    outside: Outside, asked: Asked, listed: Listed, earlier: Earlier | None = None
) -> Seen:
    """Raises ClusterError while nothing has been changed yet; afterwards there is a result."""
    run_id, playbooks, gathered = asked.run_id, asked.playbooks, listed.gathered
    plans: Sequence[PodPlan]
    plans, done = split(earlier, listed.plans, playbooks)
    if earlier is not None:
        plans = [looked_after(plan, run_id) for plan in plans]
    namespaces = sorted({plan.pod.metadata.namespace for plan in plans})
    plans = with_debt(
        with_policy(plans, asked.budget.policy), asked.budget.debt, outside.now(), run_id
    )
    plans = with_backends(with_failed_pods(plans, listed.objects, outside.now()), listed.objects)
    to_inject = sorted({p.pod.metadata.namespace for p in plans if will_inject(p)})
    wanted = any(p.spec.evidence.events for p in playbooks)
    on_nodes = {p.pod.spec.node_name for p in plans if will_inject(p)}
    events, (nodes, _), (changes, changes_unknown), configuration, use, _ = await asyncio.gather(
        list_events(
            outside.cluster, namespaces if wanted else (), [p.pod for p in plans], listed.events
        ),
        list_nodes(outside.cluster, on_nodes),
        list_changes(outside.cluster, plans, gathered.ready.values(), outside.redact),
        list_configuration_changes(outside.cluster, plans),
        list_usage(outside.cluster, plans),
        require_permissions(outside.cluster, playbooks, to_inject),
    )
    plans = with_headroom(plans, use, outside.now(), run_id)
    plans = with_predictions(plans, nodes, run_id)
    await reap(outside, playbooks, to_inject)
    listed = replace(listed, plans=tuple(plans), events=events)
    examined, cut = await examine_all(outside, asked, listed, nodes, earlier, done)
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
            started_at=asked.started_at if earlier is None else earlier.started_at,
            finished_at=now,
            playbooks=(),
            runner_version=__version__,
            cluster=outside.cluster.description,
            selector=asked.selection.label_selector,
            objects_meant=asked.selection.means_objects,
            interrupted=cut is not None and cut.reason == "Interrupted",
            resumed=earlier is not None,
            aborted=cut.message if cut is not None and cut.reason != "Interrupted" else "",
            api_requests=sum(outside.cluster.requests_sent.values()),
            trigger=asked.trigger,
            policy=PolicyRef(
                name=asked.budget.policy.metadata.name, sha256=asked.budget.policy.sha256
            ),
        ),
        at=now,
        label_selector=asked.selection.label_selector,
        objects_meant=asked.selection.means_objects,
        aims=asked.selection.aims,
        events_unknown=events.unknown,
        pods=seen_all,
        objects=clean_objects(listed.objects, outside.redact),
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
