"""Places in object stores, what their answers come to, uploads into a folder, and what is kept."""

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from runner import journal, record
from runner.bundle.retention import prune
from runner.storage import Place, PlaceError, Retention, UploadError, upload
from runner.storage.retain import retention_of
from runner.storage.upload import told
from tests.unit.bundles import bundle, run_directory
from tests.unit.report_samples import report_of
from tests.unit.test_verify import command

NAME = "r1.tar.zst"
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "base", "key"),
    [
        ("s3://evidence", "s3://evidence", NAME),
        ("s3://evidence/", "s3://evidence", NAME),
        ("s3://evidence/a//b/", "s3://evidence", f"a/b/{NAME}"),
        ("s3://evidence/a/monday.tar.gz", "s3://evidence", "a/monday.tar.gz"),
        ("gs://evidence/a", "gs://evidence", f"a/{NAME}"),
        ("az://account/box", "az://account/box", NAME),
        ("az://account/box/a", "az://account/box", f"a/{NAME}"),
        ("file:///srv/evidence", "file:///srv/evidence", NAME),
        ("file:///srv/x.tar.zst", "file:///srv", "x.tar.zst"),
    ],
)
def test_a_url_says_a_place(url: str, base: str, key: str) -> None:
    place = Place.of(url, NAME)
    assert (place.base, place.key, place.url) == (base, key, f"{base}/{key}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://evidence/a", "http://evidence/a: a place looks like s3://"),
        ("s3:evidence", "s3:evidence: names no bucket; a place looks like s3://"),
        ("s3:///a", "s3:///a: names no bucket"),
        ("az://account", "az://account: names no container: az://ACCOUNT/CONTAINER/PREFIX"),
        ("file://srv/a", "file://srv/a: a folder of this machine has three slashes: file:///srv"),
        ("s3://b/../c", "s3://b/../c: has a path that object stores do not take"),
        ("s3://b/a%0Ab", "s3://b/a%0Ab: has a path that object stores do not take"),
        ("s3://key:hunter2@b/a", "s3://b/a: credentials and options come from the environment"),
        ("s3://b/a?sig=hunter2", "s3://b/a: credentials and options come from the environment"),
    ],
)
def test_what_is_no_place(url: str, said: str) -> None:
    with pytest.raises(PlaceError) as error:
        Place.of(url, NAME)
    assert str(error.value).startswith(said)
    assert "hunter2" not in str(error.value)


# What obstore 0.12 raises, shortened.
ANSWERS = {
    "Object at location a not found: Error performing PUT http://s3/b/a in 1ms - Server returned "
    "non-2xx status code: 404 Not Found: <Error><Code>NoSuchBucket</Code><Message>The specified "
    "bucket does not exist.</Message></Error>\n\nDebug source:\nNotFound {}": (
        "the store says NoSuchBucket: The specified bucket does not exist"
    ),
    "Generic S3 error: Error performing PUT http://s3/b/a in 1ms, after 5 retries - Server returned "
    "non-2xx status code: 400 Bad Request: <Error><Code>ExpiredToken</Code></Error>": (
        "the store says ExpiredToken"
    ),
    "Generic S3 error: Error performing PUT http://s3/b/a in 9s, after 5 retries, max_retries: 5, "
    "retry_timeout: 120s - Server returned non-2xx status code: 503 Service Unavailable: ": (
        "the store answers 503 Service Unavailable"
    ),
    "Generic S3 error: Error performing PUT http://s3:9000/b/a in 1.2s, after 5 retries, max_retries"
    ': 5 - HTTP error: error sending request\n\nDebug source:\nGeneric { Os { code: 111, kind: '
    'ConnectionRefused, message: "Connection refused" } }': (
        "no answer from http://s3:9000: Connection refused"
    ),
    "Object at location a not found: Error performing PUT http://az/b/a in 1ms - Server returned "
    "non-2xx status code: 404 Not Found: <Error><Code>ContainerNotFound</Code><Message>The specified "
    "container does not exist.\nRequestId:ee66\nTime:2026-11-29T00:09:48.415Z</Message></Error>": (
        "the store says ContainerNotFound: The specified container does not exist"
    ),
    "": "ValueError",
}  # fmt: skip


@pytest.mark.parametrize("text", ANSWERS)
def test_one_line_of_what_a_store_says(text: str) -> None:
    assert told(ValueError(text)) == ANSWERS[text]


def test_credentials_are_those_of_the_store() -> None:
    missing = ValueError("Generic error: Error performing GET http://169.254.169.254/x in 9s")
    assert "(GOOGLE_APPLICATION_CREDENTIALS, a web identity" in told(missing, "gs")
    assert "(AZURE_STORAGE_ACCOUNT_KEY, or" in told(missing, "az")


def test_a_folder_is_a_store_as_well(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    folder = tmp_path / "far" / "away"
    code, _, said = command("bundle", run, "--upload", folder.as_uri())
    there = folder / "20261123-031240-k3f9.tar.zst"
    size = (tmp_path / "run.tar.zst").stat().st_size
    assert (code, said.splitlines()[1:]) == (
        0, [f"Uploaded: {there.as_uri()} ({size} bytes, read back and compared)"]
    )  # fmt: skip
    assert there.read_bytes() == (tmp_path / "run.tar.zst").read_bytes()
    assert [path.name for path in folder.iterdir()] == [there.name]


def test_what_cannot_be_sent_is_kept(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (tmp_path / "full").write_bytes(b"")
    code, _, said = command("bundle", run, "--upload", (tmp_path / "full" / "x").as_uri(), "-q")
    assert code == 6
    assert said.startswith(f"podmedic: cannot upload to {(tmp_path / 'full' / 'x').as_uri()}/")
    assert said.endswith(f"; the bundle is kept in {tmp_path / 'run.tar.zst'}\n")
    assert (tmp_path / "run.tar.zst").exists()


def test_a_place_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    assert command("bundle", run, "--upload", "ftp://x")[0] == 4
    for words in (("--upload", "ftp://x"), ("-o", "s3://a", "--upload", "s3://b")):
        code, _, said = command("run", *words, "--kubeconfig", "none", "-n", "shop")
        assert code == 4
        assert "s3://" in said or "-o and --upload" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.cli.upload.find_spec", lambda _: None)
    run = run_directory(tmp_path / "run")
    assert command("bundle", run, "--upload", "s3://b") == (
        4, "", "podmedic: s3://b: takes obstore: pip install 'podmedic[cloud]'\n"
    )  # fmt: skip


REFUSED = "podmedic sets a retention for objects of s3:// alone"
UNRETAINED = {
    "": "--retain is for what is sent: name a place by --upload s3://…",
    "gs://b/a.tar.zst": f"{REFUSED}; of gs:// the bucket's own retention policy does that",
    "az://b/c/a.tar.zst": f"{REFUSED}; of az:// the container's own immutability policy does that",
    "file:///srv/a.tar.zst": f"{REFUSED}; a folder has none",
}


@pytest.mark.parametrize("url", UNRETAINED)
def test_a_retention_that_cannot_be_set_is_refused_before_anything_is_done(
    tmp_path: Path, url: str
) -> None:
    run = run_directory(tmp_path / "run")
    words = ("--upload", url) if url else ()
    said = f"--retain: {url}: {UNRETAINED[url]}" if url else UNRETAINED[url]
    answer = (4, "", f"podmedic: {said}\n")
    assert command("bundle", run, "--retain", "90d", *words) == answer
    nowhere = ("--kubeconfig", "none", "-n", "shop")
    assert command("run", *nowhere, "--retain", "90d", *words) == answer
    assert names(tmp_path) == ["run"]


def test_a_retention_is_met_by_what_keeps_for_as_long_and_as_strictly() -> None:
    wanted = Retention("governance", NOW.replace(microsecond=5))
    strict = Retention("compliance", NOW)
    assert wanted.is_met_by(Retention("governance", NOW))
    assert wanted.is_met_by(strict)
    assert not wanted.is_met_by(Retention("governance", NOW - timedelta(seconds=1)))
    assert not strict.is_met_by(Retention("governance", NOW + timedelta(days=9)))


def test_what_a_store_says_of_a_retention() -> None:
    for wanted in (Retention("governance", NOW), Retention("compliance", NOW)):
        assert retention_of(wanted.document.decode()) == wanted
    for text in ("", "<Mode>GOVERNANCE</Mode>", "<html>", NOTHING.replace("2026", "x"), OTHER):
        assert retention_of(text) is None
    # Of one that heard nothing of time zones.
    assert retention_of(NOTHING) == Retention("governance", NOW)


NOTHING = "<Mode>GOVERNANCE</Mode><RetainUntilDate>2026-11-30T00:00:00</RetainUntilDate>"
OTHER = NOTHING.replace("GOVERNANCE", "NONE")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UploadError, match="no: cannot be read: No such file or directory"):
        upload(tmp_path / "no", Place.of(tmp_path.as_uri(), NAME))


def a_run(base: Path, name: str, day: int, *, ended: bool = True) -> Path:
    report = report_of()
    report = msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, id=name))
    run = run_directory(base / name, report)
    found = record.read(run)
    found = msgspec.structs.replace(found, started_at=datetime(2026, 11, day, tzinfo=UTC))
    (run / record.FILE_NAME).write_bytes(record.encode(found))
    if not ended:
        path = run / journal.FILE_NAME
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    return run


def names(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir())


def test_the_newest_runs_stay(tmp_path: Path) -> None:
    """With what is no run, what is not certainly one, and what is still under way."""
    for day in (21, 22, 23, 24, 25):
        a_run(tmp_path, f"r{day}", day)
    killed = a_run(tmp_path, "k20", 20, ended=False)
    recent = a_run(tmp_path, "k26", 26, ended=False)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "run.json").write_text("{}")
    (tmp_path / "r1").write_text("a file")
    (tmp_path / "link").symlink_to(tmp_path / "r21")
    bundle(tmp_path / "r21", tmp_path / "r21.tar.zst")
    bundle(tmp_path / "r25", tmp_path / "r22.tar.zst")
    (tmp_path / "r22.tar.gz").write_text("somebody's")
    with (tmp_path / "r23" / journal.FILE_NAME).open("rb") as under_way:
        fcntl.flock(under_way, fcntl.LOCK_EX)
        removed, failures = prune(tmp_path, 2, NOW)
    assert failures == []
    assert {path.name for path in removed} == {"k20", "r21", "r21.tar.zst", "r22", "r24"}
    assert names(tmp_path) == [
        "k26", "link", "notes", "r1", "r22.tar.gz", "r22.tar.zst", "r23", "r25"
    ]  # fmt: skip
    assert not killed.exists()
    assert recent.exists()
    assert prune(tmp_path, 2, NOW - timedelta(days=3)) == ([tmp_path / "r23"], [])
    assert prune(tmp_path / "no", 2, NOW) == ([], [])
