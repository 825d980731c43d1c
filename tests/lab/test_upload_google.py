"""Bundles on their way to gs://, on the wire. Google's XML API is a dialect of S3's and no emulator of
Google's has it whole, so the server is versitygw behind a door that takes Google's tokens. It says
nothing of how a token is got, nor of Google's own answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import google, s3
from tests.unit.bundles import noise, run_directory

RUN = "20261123-031240-k3f9"
KEY = f"runs/{RUN}.tar.zst"
URL = f"gs://{s3.BUCKET}/runs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[google.Google]:
    with google.running(tmp_path_factory.mktemp("google")) as found:
        yield found


@pytest.fixture
def gcs(server: google.Google) -> google.Google:
    server.faults.calm()
    server.may_read = True
    for name in server.store.objects():
        (server.store.folder / s3.BUCKET / name).unlink()
    return server


def send(
    gcs: google.Google, cwd: Path, *words: str, token: str = google.TOKEN
) -> tuple[int, list[str]]:
    """Exit code and the lines on stderr."""
    return s3.podmedic(
        cwd, gcs.environment | {"GOOGLE_BEARER_TOKEN": token}, "bundle", "run", "--upload", *words
    )


def unfinished(gcs: google.Google) -> bool:
    """Whether parts lie there that nobody sees and somebody pays for."""
    status, _, said = gcs.store.ask("GET", f"/{s3.BUCKET}", "uploads=")
    assert status == 200, said
    return "<Upload>" in said


def test_a_bundle_arrives_as_it_is(gcs: google.Google, tmp_path: Path) -> None:
    """In one piece, although the store is busy at first, and in several where it is large."""
    run = run_directory(tmp_path / "run")
    gcs.faults.answer, gcs.faults.times = s3.answer("503 Slow Down", "SlowDown"), 2
    code, said = send(gcs, tmp_path, URL)
    size = (tmp_path / "run.tar.zst").stat().st_size
    told = f"Uploaded: {URL}/{RUN}.tar.zst ({size} bytes, read back and compared)"
    assert (code, said[1:], gcs.faults.times) == (0, [told], 0)
    assert gcs.store.objects() == {KEY: (tmp_path / "run.tar.zst").read_bytes()}
    (run / "blobs" / "0f").write_bytes(noise(20 << 20))
    assert send(gcs, tmp_path, f"{URL}/large.tar.gz", "-q", "-o", "x.tar.gz") == (0, [])
    assert gcs.store.objects()["runs/large.tar.gz"] == (tmp_path / "x.tar.gz").read_bytes()
    assert not unfinished(gcs)


def test_one_that_dies_half_way_leaves_what_was_there(gcs: google.Google, tmp_path: Path) -> None:
    run_directory(tmp_path / "run", files={"blobs/0f": noise(20 << 20)})
    there = gcs.store.folder / s3.BUCKET / KEY
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(b"an older one")
    gcs.faults.cut_after = 5 << 20
    code, (line,) = send(gcs, tmp_path, URL, "-q")
    assert code == 6
    assert line.startswith(f"podmedic: cannot upload to {URL}/{RUN}.tar.zst: ")
    assert line.endswith("; the bundle is kept in run.tar.zst")
    assert gcs.store.objects() == {KEY: b"an older one"}
    assert not unfinished(gcs)


def test_what_is_something_else_there_is_found_and_removed(
    gcs: google.Google, tmp_path: Path
) -> None:
    """A bit that turns over on the way: the client sends no checksum, so it is read back."""
    run_directory(tmp_path / "run", files={"blobs/0f": noise(200_000)})
    gcs.faults.flip = 100_000
    code, (line,) = send(gcs, tmp_path, URL, "-q")
    assert (code, gcs.store.objects()) == (6, {})
    assert line.startswith(f"podmedic: {URL}/{RUN}.tar.zst is not what was sent (")
    assert line.endswith(" and was removed; the bundle is kept in run.tar.zst")


def test_who_may_not_read_and_who_may_nothing(gcs: google.Google, tmp_path: Path) -> None:
    run_directory(tmp_path / "run")
    gcs.may_read = False
    code, said = send(gcs, tmp_path, URL)
    assert (code, said[1].endswith(" bytes, may not be read back here)")) == (0, True), said
    assert list(gcs.store.objects()) == [KEY]
    code, (line,) = send(gcs, tmp_path, f"{URL}/b.tar.gz", "-q", token="somebody-elses")
    assert (code, list(gcs.store.objects())) == (6, [KEY])
    assert f"cannot upload to {URL}/b.tar.gz: the store says AuthenticationRequired: " in line
    assert "somebody" not in line
