"""Why a container of ours ended without all of its word arriving: its target's end, most of all."""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from runner.examine.classify import Verdict
from runner.examine.context import Context
from runner.model.pod import ContainerStatus, Pod
from runner.model.report import Injection
from runner.program import ProgramResult
from runner.select import app_status

# Ours was killed because the first process of its PID namespace, the target's, ended.
TARGET_DIED = "TargetDied"
# The API counts in seconds.
_SAME_END = timedelta(seconds=2)
_TARGET_END_SECONDS = 5.0


class TargetEnd(NamedTuple):
    """`exit_code` None where the API has forgotten it: it keeps the last two lives."""

    exit_code: int | None = None
    reason: str = ""


async def target_end(ctx: Context, uid: str, injection: Injection) -> TargetEnd | None:
    """How the target ended, if that is what ended ours: the two ends come in the same second, and
    the status may show ours first."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _TARGET_END_SECONDS
    while injection.target_container_name and injection.finished_at is not None:
        status = app_status(ctx.hub.latest(uid), injection.target_container_name)
        if status is not None and (found := shared_end(status, injection.finished_at)):
            return found
        left = deadline - clock()
        if ctx.hub.gone(uid) or left <= 0 or not await ctx.hub.changed(uid, left):
            break
    return None


def life_of(pod: Pod, target: str) -> str:
    """The id of the container that runs; empty where none does."""
    status = app_status(pod, target)
    return status.container_id if status is not None and status.state.running else ""


async def life_over(ctx: Context, uid: str, target: str, life: str) -> None:
    """Until the API says that this life of the target is over, for some seconds at most."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _TARGET_END_SECONDS
    while life and not ctx.hub.gone(uid) and life_of(ctx.hub.latest(uid), target) == life:
        left = deadline - clock()
        if left <= 0 or not await ctx.hub.changed(uid, left):
            return


def shared_end(status: ContainerStatus, ours: datetime) -> TargetEnd | None:
    """The end of the target that came with ours. A run that goes on may come so late that the
    target has had further lives: the one that we shared is over then, however it ended."""
    state, last = status.state, status.last_state
    for ended in (state.terminated, last.terminated):
        at = ended.finished_at if ended is not None else None
        if ended is not None and at is not None and abs(at - ours) <= _SAME_END:
            return TargetEnd(ended.exit_code, ended.reason)
    lives = (state.running, state.terminated, last.terminated)
    if any(life and life.started_at and life.started_at > ours for life in lives):
        return TargetEnd()
    return None


def why_incomplete(
    verdict: Verdict,
    program: ProgramResult,
    problem: str,
    target: str,
    shared: TargetEnd | None,
) -> tuple[str, str]:
    """Reason and sentence for a container that ended without all of its word arriving."""
    ended = verdict.terminated
    if problem:
        return "LogUnreadable", problem
    if ended is not None and ended.exit_code == 137:
        if shared is not None and "OOMKilled" not in (ended.reason, shared.reason):
            code = f" with exit code {shared.exit_code}" if shared.exit_code is not None else ""
            return TARGET_DIED, f"container {target} ended{code} and took ours with it"
        if shared is not None and ended.reason != "OOMKilled":
            return "OOMKilled", (
                f"our container ended with exit code 137: container {target} ran out of memory "
                "and took ours with it"
            )
        killer = "it ran out of memory" if ended.reason == "OOMKilled" else "it was killed"
        return ended.reason or "Killed", f"our container ended with exit code 137: {killer}"
    if program.problems:
        return "LogIncomplete", "; ".join(program.problems)
    return "LogIncomplete", "the program's last word is missing from the log"
