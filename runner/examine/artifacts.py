"""`collect`: files of the pod, kept as they came and never unpacked."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from runner.cluster import Chunk, ClusterError, Ended, Place, StreamOutcome
from runner.examine.context import Context
from runner.examine.exec import listen
from runner.model.names import portable
from runner.model.report import Artifact, StepOutcome, StepResult
from runner.plan import InjectionPlan
from runner.playbook.spec import Collect
from runner.program import Told, collector, told

_STDERR_LIMIT_BYTES = 16 * 1024
_RAN = (StepOutcome.PASSED, StepOutcome.FAILED)


async def with_artifacts(
    ctx: Context, plan: InjectionPlan, place: Place, steps: Sequence[StepResult]
) -> tuple[StepResult, ...]:
    """The same results, with what was collected after those that ran; one after the other."""
    wanted: Mapping[tuple[str, str], Collect] = {
        (playbook.metadata.name, step.name): step.collect
        for playbook in plan.group.playbooks
        for step in playbook.spec.steps
        if step.collect is not None
    }
    found = []
    for step in steps:
        collect = wanted.get((step.playbook, step.name))
        if collect is not None and step.outcome in _RAN:
            artifact = await _collected(ctx, place, step, collect)
            found.append(msgspec.structs.replace(step, artifact=artifact))
        else:
            found.append(step)
    return tuple(found)


async def _collected(ctx: Context, place: Place, step: StepResult, collect: Collect) -> Artifact:
    # A namespace may be called `con`, a pod have 253 characters.
    pod = f"{portable(place.namespace, 40)}/{portable(place.pod, 60)}"
    name = f"artifacts/{pod}/{portable(f'{step.playbook}.{step.name}', 76)}.tar"
    identity = f"podmedic-{hashlib.sha256(f'{ctx.run_id} {name}'.encode()).hexdigest()[:16]}"
    argv = collector(collect.paths, identity=identity, limit_bytes=collect.limit_bytes)
    digest, stderr = hashlib.sha256(), bytearray()
    total, is_blank = 0, True
    try:
        with ctx.artifact(name) as file:

            def hear(chunk: Chunk) -> bool:
                nonlocal total, is_blank
                if chunk.is_error:
                    stderr.extend(chunk.data[: _STDERR_LIMIT_BYTES - len(stderr)])
                    return True
                total += len(chunk.data)
                is_blank = is_blank and not chunk.data.strip(b"\0")
                digest.update(chunk.data)
                file.write(chunk.data)
                return total <= collect.limit_bytes

            ended = await listen(ctx, place, argv, hear, timeout_seconds=collect.timeout_seconds)
            # The end of a tar is all zeros.
            size = 0 if is_blank and total <= collect.limit_bytes else total
            problem = _problem(collect, size, digest.hexdigest(), bytes(stderr), ended)
            if problem is None:
                file.keep()
    except ClusterError as error:
        problem = (error.reason.value, error.message)
    except OSError as error:
        problem = ("NotStored", f"{name}: {error.strerror or error}")
    if problem is not None:
        reason, message = problem
        return Artifact(reason=reason, message=ctx.redact.redact_text(message)[0])
    said = told(bytes(stderr))
    assert said is not None
    reason, message = _left_out(collect, said)
    return Artifact(
        path=name,
        bytes=total,
        sha256=digest.hexdigest(),
        reason=reason,
        message=ctx.redact.redact_text(message)[0] if message else "",
    )


def _left_out(collect: Collect, said: Told) -> tuple[str, str]:
    """Reason and words for what the tar does not hold; both empty where it holds everything."""
    absent = [path for n, path in enumerate(collect.paths) if n in said.missing]
    words = [_not_there(absent)] if absent else []
    if said.exit_code != 0:
        words.append(f"tar ended with {said.exit_code}: {said.words}")
        return "Incomplete", "; ".join(words)
    return ("NotFound" if absent else ""), "; ".join(words)


def _not_there(paths: Sequence[str]) -> str:
    return f"{', '.join(paths)} {'are' if len(paths) > 1 else 'is'} not there"


def _problem(
    collect: Collect, total: int, sha256: str, stderr: bytes, ended: Ended
) -> tuple[str, str] | None:
    """Why nothing of it is kept; half a file would be taken for a whole one."""
    if total > collect.limit_bytes:
        return "TooLarge", f"more than {collect.limit_bytes} bytes (limitBytes)"
    if ended.outcome is not StreamOutcome.EXITED:
        return ended.reason or "ExecIncomplete", ended.message
    if ended.exit_code == 97:
        return "ToolMissing", f"{stderr.decode(errors='replace').strip()} in the debugger's image"
    if ended.exit_code == 98:
        return "NotFound", _not_there(collect.paths)
    said = told(stderr)
    if said is None:
        words = stderr.decode(errors="replace").strip()
        return "ExecIncomplete", words or f"it ended with exit code {ended.exit_code}"
    if said.sha256 != sha256:
        return "Damaged", "what arrived is not what was sent: the hashes differ"
    if total == 0:
        return "NothingThere", said.words or "tar wrote nothing"
    return None
