"""What is to be said of a run that does not begin, or failed, from what its Job says. Pure."""

from datetime import datetime, timedelta

from runner.triggers.jobs import Job

# A node that has the image starts a pod within seconds, one that pulls it within half a minute.
_PATIENCE = timedelta(seconds=60)


def story(job: Job, namespace: str, now: datetime) -> str:
    """One sentence for people; empty where nothing is wrong."""
    if job.covered_by:
        return "its alerts are run by others: coveredBy"
    if job.state == "failed":
        return _why_failed(job, namespace)
    if job.state == "starting":
        since = job.released_at
        waited = now - since if since is not None else timedelta(0)
        if waited > _PATIENCE:
            return _why_late(job, namespace, int(waited.total_seconds()))
    return ""


def _why_failed(job: Job, namespace: str) -> str:
    said = job.end.message if job.end is not None else ""
    # Kubernetes counts the pods that it ended itself, too.
    if not job.status.failed and not job.status.active:
        return (
            f"{said}; no pod of it was ever made: a quota, a policy or a missing ServiceAccount; "
            f"kubectl describe job {job.name} -n {namespace}, within an hour, says which"
        )
    if job.end is not None and job.end.reason == "DeadlineExceeded":
        return (
            f"{said}: it worked for too long, or its pod waited for its image, a volume or a node; "
            f"kubectl get events -n {namespace}, within an hour, says which"
        )
    return f"{said}; its log says why: kubectl logs job/{job.name} -n {namespace}"


def _why_late(job: Job, namespace: str, seconds: int) -> str:
    if job.status.active:
        return (
            f"its pod does not run {seconds} s after it was released: its image, a volume or a "
            f"node is missing; kubectl describe pods -l job-name={job.name} -n {namespace} says "
            "which"
        )
    return (
        f"it has no pod {seconds} s after it was released: a quota, a policy or a missing "
        f"ServiceAccount; kubectl describe job {job.name} -n {namespace} says which"
    )
