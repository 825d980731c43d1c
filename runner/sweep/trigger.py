"""What somebody wrote into an alert passes the choke point like what comes from a pod; and what
became of the alert while the run waited and worked."""

import asyncio
import re

import msgspec

from runner.cluster import ClusterError, Objects, Resource
from runner.examine.context import Redact
from runner.model.seen import Seen
from runner.model.trigger import Alert, Trigger

_JOBS = Resource(plural="jobs", group="batch")
_JOB_NAME = re.compile(r"[a-z0-9-]{1,63}")
_ASK_SECONDS = 5.0


def clean_trigger(trigger: Trigger | None, redact: Redact) -> Trigger | None:
    """What names pods stays: those are words that the API server takes for names."""
    if trigger is None:
        return None

    def clean(text: str) -> str:
        return redact.redact_text(text)[0]

    def clean_alert(alert: Alert) -> Alert:
        return msgspec.structs.replace(
            alert,
            name=clean(alert.name),
            labels=_clean_pairs(alert.labels),
            annotations=_clean_pairs(alert.annotations),
            generator_url=clean(alert.generator_url),
            reason=clean(alert.reason),
        )

    def _clean_pairs(pairs: dict[str, str]) -> dict[str, str]:
        # Together: what a rule takes for a secret may hang on the name before it.
        found = {}
        for key, value in pairs.items():
            whole = clean(f"{key}={value}")
            same = whole.startswith(f"{key}=")
            found[key if same else clean(key)] = whole[len(key) + 1 :] if same else clean(value)
        return found

    asked = trigger.asked
    return msgspec.structs.replace(
        trigger,
        receiver=clean(trigger.receiver),
        group_key=clean(trigger.group_key),
        external_url=clean(trigger.external_url),
        alerts=tuple(map(clean_alert, trigger.alerts)),
        asked=asked and msgspec.structs.replace(asked, reason=clean(asked.reason)),
    )


async def with_ends(seen: Seen, objects: Objects, namespace: str) -> Seen:
    """With the ends of alerts that serve wrote on the run's Job since it was stored. Where that may
    not be asked, or nobody answers, nothing is said of them: it keeps no report from being
    written."""
    trigger = seen.run.trigger
    if trigger is None or not _JOB_NAME.fullmatch(trigger.id):
        return seen
    # Imported here: most sweeps have no alert.
    from runner.triggers.jobs import Job  # noqa: PLC0415
    from runner.triggers.resolved import by_fingerprint, with_resolved  # noqa: PLC0415

    try:
        async with asyncio.timeout(_ASK_SECONDS):
            # A list, which playbooks that judge Jobs are allowed already.
            found = await objects.list(
                _JOBS, namespace, Job, field_selector=f"metadata.name={trigger.id}",
                metadata_only=True,
            )  # fmt: skip
    except (ClusterError, TimeoutError):
        return seen
    for job in found:
        trigger = with_resolved(trigger, by_fingerprint(job.resolved))
    run = msgspec.structs.replace(seen.run, trigger=trigger)
    return msgspec.structs.replace(seen, run=run)
