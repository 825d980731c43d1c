"""`podmedic verify`: was anything changed since it was sealed?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.exit_codes import ExitCode
from runner.cli.keyless import identity_for, verify_options
from runner.cli.main import complain
from runner.report.plain import one_line
from runner.report.view import plural

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from runner.bundle.manifest import Manifest
    from runner.bundle.signing import Identity
    from runner.bundle.verify import Verdict

_MAX_KEY_BYTES = 64 * 1024


@click.command(short_help="Say whether a bundle or run directory is what was sealed.")
@click.argument("path", metavar="BUNDLE|RUN", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="NAME.pub",
    help="The public key of whoever is said to have sealed it. Without it nobody's word is "
    "checked, only that all parts belong together.",
)
@verify_options
@click.option("-q", "--quiet", is_flag=True, help="Only what is wrong.")
def verify(
    path: Path,
    key_file: Path | None,
    identity: str | None,
    issuer: str | None,
    trust_config: Path | None,
    quiet: bool,
) -> int:
    """Read a bundle, or the directory of a run, and name every file that was changed, added,
    removed, renamed or moved since it was sealed. Needs no cluster, unpacks nothing, and believes
    nothing that the bundle says of itself.

    Exit codes: 0 all is as it was sealed (and signed by the key or identity, if one
    was given); 1 something is
    not; 4 the file or the key cannot be read.
    """
    from runner.bundle.directory import open_plain, verify_directory  # noqa: PLC0415
    from runner.bundle.verify import verify_bundle  # noqa: PLC0415

    whose: Key | Identity | None = identity_for(identity, issuer, trust_config, key=key_file)
    if key_file is not None:
        from runner.bundle.signing import KeyFileError, public_key_of  # noqa: PLC0415

        try:
            whose = public_key_of(read_key(key_file))
        except KeyFileError as error:
            raise click.UsageError(f"--key {key_file} {error}") from error
    try:
        if path.is_dir():
            verdict = verify_directory(path, whose)
        else:
            with open_plain(path) as file:
                verdict = verify_bundle(file, path.stat().st_size, whose)
    except OSError as error:
        raise click.UsageError(
            f"{error.filename or path}: cannot be read: {error.strerror or error}"
        ) from error
    for problem in verdict.problems:
        complain(f"{path}: {problem}")
    if verdict.problems:
        complain(f"{path} is NOT what was sealed")
        return ExitCode.FINDINGS
    if not quiet:
        by = f"the key {key_file}" if key_file else f"{identity} (issuer {issuer})"
        for line in _told(path, verdict, by):
            click.echo(one_line(line))
    elif whose is None:
        option = "--sigstore-identity" if verdict.is_keyless else "--key"
        complain(f"{path}: the signature was not checked: no {option} was given")
    return ExitCode.OK


def read_key(path: Path) -> bytes:
    """Raises UsageError."""
    if str(path).startswith("k8s:/"):
        raise click.UsageError(f"--key {path}: to verify takes a file (NAME.pub) and no cluster")
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise click.UsageError(f"--key {path}: cannot be read: {error.strerror}") from error


def _told(path: Path, verdict: "Verdict", by: str) -> Iterator[str]:
    manifest = verdict.manifest
    assert manifest is not None
    size = sum(file.bytes for file in manifest.files)
    yield f"{path}: every byte is as it was sealed ({len(manifest.files)} files, {size} bytes)"
    if verdict.is_checked:
        yield f"Signature: by {by}"
    elif verdict.is_signed:
        yield (
            f"Signature: NOT CHECKED. There is one; {_name_it(verdict)}. Without that anybody "
            "could have made all of this."
        )
    else:
        yield "Signature: NONE. All parts belong together, but anybody could have made all of this."
    yield from _about(manifest)


def _name_it(verdict: "Verdict") -> str:
    if verdict.is_keyless:
        return (
            "name who should have made it, with sigstore, by --sigstore-identity and "
            "--sigstore-issuer"
        )
    return "name the public key of whoever should have made it by --key"


def _about(manifest: "Manifest") -> Iterator[str]:
    who, where, when = manifest.who, manifest.where, manifest.when
    yield (
        f"Run: {manifest.run}, {when.started_at:%Y-%m-%d %H:%M:%S} to "
        f"{when.finished_at:%H:%M:%S} UTC, podmedic {who.runner_version}"
    )
    yield f"Who: {who.user or 'not known'}, on {who.host or 'a machine not known'}"
    yield f"Where: {where.cluster}, cluster uid {where.cluster_uid or 'not known'}"
    added = sum(len(pod.added) for pod in manifest.changed_pods)
    pods = plural(len(manifest.changed_pods), "pod")
    yield f"Changed: {plural(added, 'ephemeral container')} in {pods}"
    if manifest.journal.unchained:
        yield (
            f"Journal: {manifest.journal.unchained} lines of an older podmedic, which did not "
            "chain them"
        )
    if not manifest.redacted:
        yield "NOT REDACTED: the policy allowed --no-redact; secrets may be in it"
    for path in manifest.not_redacted:
        yield f"Not redacted, as it was collected: {path}"
    for file in manifest.left_out:
        yield f"Left out when it was sealed: {file.path} (sha256 {file.sha256})"
    for name in manifest.foreign:
        yield f"Not of the run, beside it when it was sealed: {name}"
    for path in manifest.changed_since_run:
        yield f"Changed between the end of the run and the sealing: {path}"
