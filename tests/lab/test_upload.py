"""Bundles on their way to a real S3 server: whole there or not there, and one line if not."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.handle import Lab
from runner.storage import Retention
from runner.storage.credentials import AwsCredentials
from runner.storage.retain import RetainError
from runner.storage.retain import retain as retained
from tests.lab import podmedic as pm
from tests.lab import s3
from tests.unit.bundles import noise, run_directory

RUN = "20261123-031240-k3f9"
KEY = f"runs/{RUN}.tar.zst"
URL = f"s3://{s3.BUCKET}/runs"
UPLOADED = f"Uploaded: {URL}/{RUN}.tar.zst ({{size}} bytes, read back and compared)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    with s3.running(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def store(server: s3.S3) -> s3.S3:
    server.faults.calm()
    for name in server.objects():
        (server.folder / s3.BUCKET / name).unlink()
    return server


def podmedic(
    store: s3.S3,
    cwd: Path,
    *words: str,
    lab: Lab | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Exit code and the lines on stderr."""
    return s3.podmedic(cwd, store.environment | (environment or {}), *words, lab=lab)


def test_a_bundle_arrives_as_it_is(store: s3.S3, tmp_path: Path) -> None:
    """In one piece, and in several where it is large."""
    run = run_directory(tmp_path / "run")
    assert podmedic(store, tmp_path, "bundle", "run", "--upload", URL) == (
        0,
        [
            "Bundle: run.tar.zst (7 files, not signed: see --key)",
            UPLOADED.format(size=(tmp_path / "run.tar.zst").stat().st_size),
        ],
    )
    assert store.objects() == {KEY: (tmp_path / "run.tar.zst").read_bytes()}
    (run / "blobs" / "0f").write_bytes(noise(20 << 20))
    large = ("bundle", "run", "-q", "--upload", f"{URL}/large.tar.gz", "-o", "x.tar.gz")
    assert podmedic(store, tmp_path, *large) == (0, [])
    assert store.objects()["runs/large.tar.gz"] == (tmp_path / "x.tar.gz").read_bytes()


@pytest.mark.parametrize("size", [1000, 20 << 20], ids=["small", "multipart"])
def test_one_that_dies_half_way_leaves_what_was_there(
    store: s3.S3, tmp_path: Path, size: int
) -> None:
    run = run_directory(tmp_path / "run", files={"blobs/0f": noise(size)})
    there = store.folder / s3.BUCKET / KEY
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(b"an older one")
    store.faults.cut_after = 900 if size == 1000 else 5 << 20
    code, said = podmedic(store, tmp_path, "bundle", "run", "-q", "--upload", URL)
    assert code == 6
    (line,) = said
    assert line.startswith(f"podmedic: cannot upload to {URL}/{RUN}.tar.zst: ")
    assert line.endswith("; the bundle is kept in run.tar.zst")
    assert store.objects() == {KEY: b"an older one"}
    assert 2 <= store.faults.seen <= 80
    assert (tmp_path / "run.tar.zst").stat().st_size > size * 3 // 4
    assert run.exists()


def test_a_store_that_has_a_bad_minute_is_asked_again(store: s3.S3, tmp_path: Path) -> None:
    run_directory(tmp_path / "run")
    store.faults.answer, store.faults.times = s3.answer("503 Slow Down", "SlowDown"), 3
    assert podmedic(store, tmp_path, "bundle", "run", "-q", "--upload", URL) == (0, [])
    assert store.objects() == {KEY: (tmp_path / "run.tar.zst").read_bytes()}
    assert store.faults.times == 0


REFUSED = {
    "500": (s3.answer("500 Internal Server Error"), 99, "the store answers 500 Internal Server Error"),
    "expired": (s3.answer("400 Bad Request", "ExpiredToken"), 9, "the store says ExpiredToken: So it is"),
    "forbidden": (s3.answer("403 Forbidden", "AccessDenied"), 9, "the store says AccessDenied: So it is"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_store_that_says_no(store: s3.S3, tmp_path: Path, kind: str) -> None:
    """Tried again only where that may help."""
    run_directory(tmp_path / "run")
    store.faults.answer, store.faults.times, why = REFUSED[kind]
    code, (line,) = podmedic(store, tmp_path, "bundle", "run", "-q", "--upload", URL)
    assert code == 6
    assert line == (
        f"podmedic: cannot upload to {URL}/{RUN}.tar.zst: {why}; the bundle is kept in run.tar.zst"
    )
    assert store.faults.seen == (6 if kind == "500" else 1)
    assert store.objects() == {}


def test_what_the_user_got_wrong(store: s3.S3, tmp_path: Path) -> None:
    run_directory(tmp_path / "run")
    for url, environment, why in (
        ("s3://nowhere/a", {}, "the store says NoSuchBucket: "),
        (URL, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the store says SignatureDoesNotMatch: "),
        (URL, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "no answer from http://127.0.0.1:9: "),
    ):
        words = ("bundle", "run", "-q", "--upload", url)
        code, (line,) = podmedic(store, tmp_path, *words, environment=environment)
        assert (code, why in line) == (6, True), line
        assert "wrong" not in line


def test_a_bit_that_turns_over_on_the_way_is_found(store: s3.S3, tmp_path: Path) -> None:
    """By the store, which checks each request against its SHA-256."""
    run_directory(tmp_path / "run", files={"blobs/0f": noise(200_000)})
    store.faults.flip = 100_000
    code, (line,) = podmedic(store, tmp_path, "bundle", "run", "-q", "--upload", URL)
    assert (code, store.objects()) == (6, {})
    assert "the store says " in line


LOCK = b"""<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>
<DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>
</ObjectLockConfiguration>"""


def test_a_bucket_with_a_default_retention_keeps_what_it_got(store: s3.S3, tmp_path: Path) -> None:
    """Nobody can remove it, who may do everything else; a second one is another version."""
    run_directory(tmp_path / "run")
    made = store.ask("PUT", "/locked", x_amz_bucket_object_lock_enabled="true")
    locked = store.ask("PUT", "/locked", "object-lock=", LOCK)
    assert (made[0], locked[0]) == (200, 200), (made, locked)
    sent = ("bundle", "run", "-q", "--upload", "s3://locked/runs")
    assert [podmedic(store, tmp_path, *sent) for _ in range(2)] == [(0, [])] * 2
    path = f"/locked/{KEY}"
    version = store.ask("HEAD", path)[1]["x-amz-version-id"]
    status, _, said = store.ask("DELETE", path, f"versionId={version}")
    assert (status, "object protected by object lock" in said) == (403, True), said


@pytest.fixture(scope="module")
def lockable(server: s3.S3) -> str:
    """A bucket where objects can be locked, and are not by default."""
    status, _, said = server.ask("PUT", "/lockable", x_amz_bucket_object_lock_enabled="true")
    assert status == 200, said
    return "lockable"


def retention(store: s3.S3, bucket: str, key: str = KEY) -> tuple[str, str, datetime]:
    """Version, mode and end of what was sent last."""
    version = store.ask("HEAD", f"/{bucket}/{key}")[1]["x-amz-version-id"]
    status, _, said = store.ask("GET", f"/{bucket}/{key}", f"retention=&versionId={version}")
    mode, until = re.search("<Mode>(.*?)</Mode>", said), re.search("Date>(.*?)</R", said)
    assert status == 200, said
    assert mode is not None
    assert until is not None
    return version, mode[1], datetime.fromisoformat(until[1])


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_what_was_sent_is_locked_for_as_long_as_was_asked(
    store: s3.S3, lockable: str, tmp_path: Path, mode: str
) -> None:
    """Nobody deletes that version or shortens its time; sent again it is another version."""
    run_directory(tmp_path / "run")
    sent = ("bundle", "run", "--upload", f"s3://{lockable}/runs", "--retain", "90d")
    words = () if mode == "governance" else ("--retain-mode", mode)
    before = datetime.now(UTC) + timedelta(days=90, seconds=-1)
    store.faults.answer, store.faults.times = s3.answer("503 Slow Down", "SlowDown"), 1
    code, said = podmedic(store, tmp_path, *sent, *words)
    first, kept_as, until = retention(store, lockable)
    assert (code, kept_as) == (0, mode.upper())
    assert before <= until <= datetime.now(UTC) + timedelta(days=90)
    assert said[2:] == [f"Retained: {mode}, until {until:%Y-%m-%dT%H:%M:%SZ}"]
    assert podmedic(store, tmp_path, *sent, *words)[0] == 0
    assert retention(store, lockable)[0] != first
    path, version = f"/{lockable}/{KEY}", f"versionId={first}"
    status, _, told = store.ask("DELETE", path, version)
    assert (status, "object protected by object lock" in told) == (403, True), told
    sooner = Retention("compliance", until - timedelta(days=1)).document
    status, _, told = store.ask("PUT", path, f"retention=&{version}", sooner)
    assert (status, "AccessDenied" in told) == (403, True), told
    assert store.ask("GET", path, version)[0] == 200


def test_a_profile_writes_and_locks(store: s3.S3, lockable: str, tmp_path: Path) -> None:
    """One identity for both, also where it stands in a file alone; a variable goes before it."""
    run_directory(tmp_path / "run")
    sent = ("bundle", "run", "-q", "--upload", f"s3://{lockable}/runs", "--retain", "1d")
    profiles = tmp_path / "credentials"
    profiles.write_text(
        "[default]\naws_access_key_id = stranger\naws_secret_access_key = wrong\n"
        f"[evidence]\naws_access_key_id = {s3.KEY}\naws_secret_access_key = {s3.SECRET}\n"
    )
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(profiles), "AWS_EC2_METADATA_DISABLED": "true"}
    bare = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    profile = {**files, **bare, "AWS_PROFILE": "evidence"}
    before = datetime.now(UTC) + timedelta(days=1, seconds=-1)
    assert podmedic(store, tmp_path, *sent, environment=profile) == (0, [])
    assert retention(store, lockable)[2] >= before
    assert podmedic(store, tmp_path, *sent, environment=files) == (0, [])
    seen = store.faults.seen
    code, (line,) = podmedic(store, tmp_path, *sent, environment={**files, **bare})
    assert (code, "No user exists with the provided access key ID" in line) == (6, True), line
    profiles.unlink()
    code, (line,) = podmedic(store, tmp_path, *sent, environment={**files, **bare})
    assert code == 6
    assert line == (
        f"podmedic: cannot upload to s3://{lockable}/runs/{RUN}.tar.zst: no credentials were "
        "found: they come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
        "profile of ~/.aws, a web identity, or the instance), as for other tools; the bundle is "
        "kept in run.tar.zst"
    )
    assert store.faults.seen == seen + 1


def test_what_could_not_be_locked_is_told(store: s3.S3, tmp_path: Path) -> None:
    """The object is there and anybody may delete it: never silently."""
    run_directory(tmp_path / "run")
    sent = ("bundle", "run", "-q", "--upload", URL, "--retain", "1d")
    code, (line,) = podmedic(store, tmp_path, *sent)
    assert code == 6
    assert line.startswith(
        f"podmedic: {URL}/{RUN}.tar.zst was written and is NOT LOCKED as --retain asks: the "
        "store says "
    )
    assert line.endswith("; the bundle is kept in run.tar.zst")
    assert store.objects() == {KEY: (tmp_path / "run.tar.zst").read_bytes()}


def test_what_is_kept_for_longer_is_well(
    store: s3.S3, lockable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a bucket's default: what is asked for would shorten it, and is met."""
    path, now = f"/{lockable}/{KEY}", datetime.now(UTC).replace(microsecond=0)
    assert store.ask("PUT", path, body=b"a bundle")[0] == 200
    version = store.ask("HEAD", path)[1]["x-amz-version-id"]
    longer = Retention("compliance", now + timedelta(days=2))
    assert store.ask("PUT", path, f"retention=&versionId={version}", longer.document)[0] == 200
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    where = f"{store.environment['AWS_ENDPOINT_URL']}{path}?X-Amz-Credential=w/1/{s3.REGION}/s3/x"

    def retain(where: str, version: str, wanted: Retention) -> bool:
        return retained(where, version, wanted, AwsCredentials())

    assert retain(where, version, Retention("governance", now + timedelta(days=1)))
    assert retention(store, lockable) == (version, "COMPLIANCE", longer.until)
    assert retain(where, version, Retention("compliance", now + timedelta(days=3)))
    assert retention(store, lockable) == (version, "COMPLIANCE", now + timedelta(days=3))
    # One that has never heard of it would take the next request for another object.
    store.faults.answer, store.faults.times = s3.answer("200 OK"), 1
    with pytest.raises(RetainError, match=r"^the store knows no retention of objects: "):
        retain(where, version, longer)
    store.faults.answer, store.faults.times = s3.answer("503 Slow Down", "SlowDown"), 2
    assert retain(where, version, longer)
    assert store.faults.times == 0
    with pytest.raises(RetainError, match=r"^the store says NoSuchVersion: "):
        retain(where, "01KBKMEQV9QXVZ0000000000Z0", longer)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(RetainError, match=r"^the store says SignatureDoesNotMatch: ") as error:
        retain(where, version, longer)
    assert "wrong" not in str(error.value)


def test_a_sweep_without_a_volume(
    lab: Lab, namespace: str, store: s3.S3, lockable: str, tmp_path: Path
) -> None:
    """`run -o s3://…`: the bundle is in the store, locked, and nothing is left here; where it cannot
    be sent, everything is."""
    run = ("run", "crashloop", "-n", namespace, "--allow-empty", "-q", "-o")
    here = {"TMPDIR": str(tmp_path)}
    sent = (*run, f"s3://{lockable}/nightly", "--retain", "1d")
    code, (said,) = podmedic(store, tmp_path, *sent, lab=lab, environment=here)
    assert (code, "no pod" in said) == (0, True)
    (there,) = (store.folder / lockable / "nightly").iterdir()
    name, data = there.name, there.read_bytes()
    assert retention(store, lockable, f"nightly/{name}")[1] == "GOVERNANCE"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "got.tar.zst").write_bytes(data)
    told = pm.podmedic(None, "verify", tmp_path / "got.tar.zst", directory=tmp_path / "x")
    assert told.code == 0
    assert f"\nRun: {name.removesuffix('.tar.zst')}, " in told.stdout
    (tmp_path / "got.tar.zst").unlink()

    desk = tmp_path.with_name("desk")
    desk.mkdir()
    textfile = desk / "podmedic.prom"
    words = (*run, "s3://nowhere", "--metrics-textfile", str(textfile))
    code, said_now = podmedic(store, tmp_path, *words, lab=lab, environment=here)
    assert code == 6
    metrics = textfile.read_text()
    assert 'podmedic_sink_failures{sink="bundle"} 0.0\n' in metrics
    assert 'podmedic_sink_failures{sink="upload"} 1.0\n' in metrics
    bundle, directory = sorted(tmp_path.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert said_now[-1].endswith(
        f"NoSuchBucket: The specified bucket does not exist; the bundle is kept in {bundle}"
    )
    assert (directory / "report.json").exists()


def test_runs_of_their_own_directories_and_the_newest_stay(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """`run -o DIR --keep N`."""
    reports = tmp_path / "reports"
    (reports / "lost+found").mkdir(parents=True)
    for _ in range(3):
        done = pm.run(
            lab,
            namespace,
            "crashloop",
            "--keep",
            "2",
            "--allow-empty",
            "--bundle",
            directory=reports,
        )
        assert done.code == 0, done.stderr
    # Two of them may begin in one second: their names do not say which was the last.
    written = sorted(reports.glob("*/report.json"), key=lambda path: path.stat().st_mtime_ns)
    runs = [path.parent.name for path in written]
    assert len(runs) == 2
    assert sorted(path.name for path in reports.iterdir()) == sorted(
        [*runs, *(f"{run}.tar.zst" for run in runs), "lost+found"]
    )
    assert f"Bundle: {reports / runs[-1]}.tar.zst" in done.stderr
