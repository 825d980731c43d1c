"""Copies that a killed run left behind: the next run removes them."""

import logging
from collections.abc import Sequence
from datetime import datetime

from runner.cluster import ClusterError
from runner.examine import PODS
from runner.injection import EXPIRES_ANNOTATION, run_label
from runner.model.pod import Pod
from runner.playbook import Playbook
from runner.select import COPY_LABEL
from runner.sweep.outside import Outside

log = logging.getLogger(__name__)


def expired(copy: Pod, now: datetime) -> bool:
    """What does not say when it expires is none of ours, whatever its label says."""
    try:
        at = datetime.fromisoformat(copy.metadata.annotations.get(EXPIRES_ANNOTATION, ""))
    except ValueError:
        return False
    return at.tzinfo is not None and at <= now


def makes_copies(playbooks: Sequence[Playbook]) -> bool:
    return any(p.spec.steps and "copy" in p.spec.debugger.strategy for p in playbooks)


async def reap(
    outside: Outside, playbooks: Sequence[Playbook], namespaces: Sequence[str], over: str = ""
) -> None:
    """Delete copies that have expired, and all of the run `over`. That it could not be done is
    said and stops nothing: a copy ends by itself."""
    objects, now = outside.cluster.objects, outside.now()
    for namespace in namespaces if makes_copies(playbooks) else ():
        try:
            copies = await objects.list(PODS, namespace, Pod, label_selector=COPY_LABEL)
            for copy in copies:
                ours = over and copy.metadata.labels.get(COPY_LABEL) == run_label(over)
                marked = EXPIRES_ANNOTATION in copy.metadata.annotations
                if not (expired(copy, now) or (ours and marked)):
                    continue
                await objects.delete(
                    PODS, copy.metadata.name, namespace,
                    uid=copy.metadata.uid, grace_period_seconds=1,
                )  # fmt: skip
        except ClusterError as error:
            log.error(  # noqa: TRY400  # one line for people
                "copies in namespace %s were not looked for: %s", namespace, error.message
            )
