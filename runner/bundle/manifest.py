"""`manifest.json`: what a run left, file by file, and who did what where. A pure function of the
run's record, its report and the hashes of its files."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from runner.journal import Chain
from runner.model.base import Record
from runner.model.names import why_not_portable
from runner.model.report import PlaybookRef, PolicyRef, Report
from runner.record import RunRecord
from runner.report.document import line_of

API_VERSION = "podmedic.io/v1alpha1"
KIND = "Bundle"
FILE_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.dsse.json"
SIGSTORE_NAME = "manifest.sigstore.json"
SUMS_NAME = "SHA256SUMS"
OWN_NAMES = (FILE_NAME, SIGNATURE_NAME, SIGSTORE_NAME, SUMS_NAME)
MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 200_000
MAX_FILE_BYTES = (8 << 30) - 1  # what the header of a tar can say
MAX_TOTAL_BYTES = 64 << 30
_HEX = frozenset("0123456789abcdef")


class ManifestError(Exception):
    """What was read is no manifest that can be trusted to describe anything; one line."""


class File(Record, frozen=True, kw_only=True):
    """`path` is relative to the run directory."""

    path: str
    sha256: str
    bytes: int


class Who(Record, frozen=True, kw_only=True):
    """`user` is what the API server took us for, a service account in a cluster; empty where it
    did not say. `runner_image` is what the environment said of the runner's own image."""

    user: str
    host: str
    runner_version: str
    runner_image: str


class Where(Record, frozen=True, kw_only=True):
    """`cluster_uid` is the uid of namespace kube-system, empty where that may not be read."""

    cluster: str
    server: str
    cluster_uid: str
    namespaces: tuple[str, ...]
    selector: str


class When(Record, frozen=True, kw_only=True):
    """In UTC, by the runner's clock."""

    started_at: datetime
    finished_at: datetime
    interrupted: bool
    resumed: bool
    aborted: str


class AddedContainer(Record, frozen=True, kw_only=True):
    """An ephemeral container that the run put into a pod's spec, where it stays; `reused`: it was
    there already."""

    container: str
    image: str
    image_id: str
    strategy: str
    profile: str
    target_container_name: str
    injected_at: datetime | None
    reused: bool


class ChangedPod(Record, frozen=True, kw_only=True):
    """What the run changed in one pod, and what the proof of no harm says."""

    namespace: str
    name: str
    uid: str
    node: str
    outcome: str
    added: tuple[AddedContainer, ...]
    harm: str


class JournalChain(Record, frozen=True, kw_only=True):
    """Lines of journal.jsonl that name the hash of the line before them, and those of an older
    podmedic that do not."""

    chained: int
    unchained: int


class Manifest(Record, frozen=True, kw_only=True):
    """`not_redacted` are files that a playbook collected, as they came; `left_out` are files of
    the run that whoever made the bundle did not want in it; `changed_since_run` are those that
    were not any more what the run wrote; `foreign` is what else lay at the top of the directory and
    is none of the run's (`*`: very much)."""

    api_version: str
    kind: str
    run: str
    who: Who
    where: Where
    when: When
    playbooks: tuple[PlaybookRef, ...]
    policy: PolicyRef | None
    redacted: bool
    not_redacted: tuple[str, ...]
    outcomes: dict[str, int]
    changed_pods: tuple[ChangedPod, ...]
    journal: JournalChain
    changed_since_run: tuple[str, ...]
    foreign: tuple[str, ...]
    left_out: tuple[File, ...]
    files: tuple[File, ...]


def make(
    record: RunRecord,
    report: Report,
    chain: Chain,
    files: Iterable[File],
    *,
    left_out: Sequence[File] = (),
    changed_since_run: Sequence[str] = (),
    foreign: Sequence[str] = (),
) -> Manifest:
    run = report.run
    kept = tuple(sorted(files, key=lambda file: file.path))
    return Manifest(
        api_version=API_VERSION,
        kind=KIND,
        run=run.id,
        who=Who(
            user=record.actor.user,
            host=record.actor.host,
            runner_version=run.runner_version,
            runner_image=record.actor.image,
        ),
        where=Where(
            cluster=record.cluster.description,
            server=record.cluster.server,
            cluster_uid=record.cluster.kube_system_uid,
            namespaces=run.namespaces,
            selector=run.selector,
        ),
        when=When(
            started_at=run.started_at,
            finished_at=run.finished_at,
            interrupted=run.interrupted,
            resumed=run.resumed,
            aborted=run.aborted,
        ),
        playbooks=run.playbooks,
        policy=run.policy,
        redacted=run.redacted,
        not_redacted=tuple(file.path for file in kept if file.path.startswith("artifacts/")),
        outcomes=dict(sorted(report.summary.outcomes.items())),
        changed_pods=tuple(_changed(report)),
        journal=JournalChain(chained=chain.chained, unchained=chain.unchained),
        changed_since_run=tuple(sorted(changed_since_run)),
        foreign=tuple(foreign),
        left_out=tuple(sorted(left_out, key=lambda file: file.path)),
        files=kept,
    )


def _changed(report: Report) -> Iterable[ChangedPod]:
    for pod in report.pods:
        if pod.injections:
            yield ChangedPod(
                namespace=pod.namespace,
                name=pod.name,
                uid=pod.uid,
                node=pod.node,
                outcome=pod.outcome.value,
                harm="" if pod.harm is None else pod.harm.verdict.value,
                added=tuple(
                    AddedContainer(
                        container=one.container,
                        image=one.image,
                        image_id=one.image_id,
                        strategy=one.strategy,
                        profile=one.profile,
                        target_container_name=one.target_container_name,
                        injected_at=one.injected_at,
                        reused=one.reused,
                    )
                    for one in pod.injections
                ),
            )


def encode(manifest: Manifest) -> bytes:
    """The one spelling of it."""
    return line_of(manifest, indent=2)


def decode(data: bytes) -> Manifest:
    """Raises ManifestError, also for another spelling of the same and for names and sizes that
    no bundle of ours has."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"is not a manifest: {error}") from error
    if (manifest.api_version, manifest.kind) != (API_VERSION, KIND):
        found = f"{manifest.api_version} {manifest.kind}"
        raise ManifestError(f"this podmedic reads {API_VERSION} {KIND}, found {found}")
    if encode(manifest) != data:
        raise ManifestError("is not as podmedic writes it: something was added or changed")
    _check(manifest.files)
    return manifest


def _check(files: Sequence[File]) -> None:
    if len(files) > MAX_FILES:
        raise ManifestError(f"names more than {MAX_FILES} files")
    seen = {name.casefold() for name in OWN_NAMES}
    folders: set[str] = set()
    before = ""
    total = 0
    for file in files:
        if why := why_not_portable(file.path):
            raise ManifestError(f"names a file {file.path!r}, whose name {why}")
        if file.path <= before:
            raise ManifestError(f"names {file.path} twice or out of order")
        if file.path.casefold() in seen:
            raise ManifestError(f"names {file.path}, which another name is but for its case")
        above = file.path.casefold().split("/")[:-1]
        folders.update("/".join(above[: n + 1]) for n in range(len(above)))
        if not 0 <= file.bytes <= MAX_FILE_BYTES:
            raise ManifestError(f"says that {file.path} has {file.bytes} bytes")
        if len(file.sha256) != 64 or not _HEX.issuperset(file.sha256):
            raise ManifestError(f"has no sha256 of {file.path}")
        before = file.path
        seen.add(file.path.casefold())
        total += file.bytes
    if both := sorted(folders & seen):
        raise ManifestError(f"names {both[0]} as a file and as a folder")
    if total > MAX_TOTAL_BYTES:
        raise ManifestError(f"names {total} bytes of files, more than {MAX_TOTAL_BYTES}")


def sums(manifest: Manifest, beside: Sequence[tuple[str, str]]) -> bytes:
    """`SHA256SUMS`, for `sha256sum -c`: the manifest and its signature, then all files."""
    lines = [*beside, *((file.path, file.sha256) for file in manifest.files)]
    return "".join(f"{digest}  {path}\n" for path, digest in lines).encode()
