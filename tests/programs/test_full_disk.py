"""A disk that has no room for the n-th write of a run, for every n: one line, the right exit code,
nothing torn, nothing lost, and with room again the rest of the work."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from runner import journal
from runner.report.document import from_json
from tests.programs.full_disk import Disk
from tests.unit.one_pod import OnePod
from tests.unit.pods import NOW
from tests.unit.test_verify import command

PLAYBOOK = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: probe}
spec:
  debugger: {image: debug:1, lifetime: resident}
  steps:
  - name: long
    script: |
      i=0; while [ $i -lt 900 ]; do printf '%030d %060d\\n' $i $i; i=$((i+1)); done
      echo API_TOKEN=hunter2xZ9abc
  - {name: files, script: echo there, collect: {paths: [FILE]}}
"""
FULL = "No space left on device"
# Acts that may fail alone: what waits for room and finds it, what a killed run alone would need,
# and metrics, whose failure is said and changes no exit code.
SPARED = re.compile(r"write run/(redactions|results)\.jsonl|\w+ metrics\S*")
# Nothing is done that is not in the journal.
ANNOUNCED = re.compile(r"(write|sync) run/journal\.jsonl")


class Run(NamedTuple):
    code: int
    printed: str
    said: list[str]
    injected: bool


class Place:
    """A disk, a cluster, and a run of which everything is kept: long output, a file, redactions,
    formats, metrics, a bundle."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.run_id = folder / "disk", "1"
        self.directory = self.folder / "run"
        (folder / "wanted").write_text("what the app wrote\n")
        self._playbook = folder / "probe.yaml"
        self._playbook.write_text(PLAYBOOK.replace("FILE", str(folder / "wanted")))
        self._cluster = OnePod()
        monkeypatch.setattr("runner.cli.execute.connected", self._connected)
        monkeypatch.setattr("runner.cli.execute._now", lambda: NOW)
        monkeypatch.setattr("secrets.token_hex", lambda _: self.run_id)
        monkeypatch.setattr("secrets.token_bytes", bytes)
        (self.folder / "metrics").mkdir(parents=True)
        self.disk = Disk(self.folder, monkeypatch)

    @asynccontextmanager
    async def _connected(self, _: object) -> AsyncIterator[OnePod]:
        yield self._cluster

    def run(self, *more: object) -> Run:
        self._cluster = OnePod()
        return self.called(
            "run", self._playbook, "-n", "shop", "-q", "-o", self.directory, "-o", "json,junit",
            "--bundle", "--metrics-textfile", self.folder / "metrics" / "run.prom", *more,
        )  # fmt: skip

    def called(self, *words: object) -> Run:
        code, printed, said = command(*words)
        injected = bool(self._cluster.pod.spec.ephemeral_containers)
        return Run(int(code), printed, said.splitlines(), injected)

    def files(self) -> dict[str, bytes]:
        """The run's, but for the journal and the documents that hash it."""
        return {
            path.relative_to(self.directory).as_posix(): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file() and path.name not in ("journal.jsonl", "manifest.json", "SHA256SUMS")
        }

    def full_at_each(self, begin: Path, *, stays_full: bool) -> Iterator[tuple[str, Run]]:
        """What could not be done, and what became of the run."""
        number = 0
        while True:
            number += 1
            self.disk.empty()
            shutil.rmtree(self.folder)
            shutil.copytree(begin, self.folder)
            self.disk.empty(number, stays_full=stays_full)
            ran = self.run()
            acts = self.disk.acts
            self.disk.empty()
            if len(acts) < number:
                return
            yield acts[number - 1], ran


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def check(place: Place, ran: Run, whole: dict[str, bytes], older: dict[str, bytes]) -> None:
    """What holds whatever could not be written."""
    assert len(set(ran.said)) == len(ran.said)
    assert all(line.startswith("podmedic: ") for line in ran.said)
    assert "bug" not in " ".join(ran.said)
    assert list(place.folder.rglob("*.tmp")) == []
    for name, data in place.files().items():
        if name.endswith(".jsonl"):
            assert all(json.loads(line or "{}") is not None for line in data.split(b"\n"))
        elif name == "report.json":
            from_json(data)
        elif name not in ("evidence.json.gz", "report.html", "junit.xml"):
            assert data in (whole.get(name), older.get(name)), name
    assert older.keys() <= place.files().keys() | {"results.jsonl"}
    events = {
        line["event"]
        for line in journal.read(place.directory / journal.FILE_NAME)
        if line["run"].endswith(place.run_id)
    }
    assert not ran.injected or "injecting" in events


def finish(place: Place, whole: dict[str, bytes]) -> None:
    """With room again, by the command that was named."""
    assert place.called("resume", place.directory, "-q").code == 0
    now = place.files()
    assert now.keys() == whole.keys()
    for name in now.keys() - {"report.json", "report.html", "evidence.json.gz", "redactions.jsonl"}:
        assert now[name] == whole[name], name
    steps = [
        [(step.name, step.outcome, step.artifact) for pod in report.pods for step in pod.steps]
        for report in (from_json(now["report.json"]), from_json(whole["report.json"]))
    ]
    assert steps[0] == steps[1]
    assert b"hunter2" not in b"".join(now.values())
    if not (place.folder / "run.tar.zst").exists():
        assert place.called("bundle", place.directory, "-q").code == 0


def test_a_disk_that_fills_up_at_any_write(place: Place, tmp_path: Path) -> None:
    """In a directory with the report of an older run, which stays until the new one is there."""
    assert place.run() == Run(0, "", [], injected=True)
    (place.folder / "run.tar.zst").unlink()
    older = place.files()
    shutil.copytree(place.folder, tmp_path / "older")
    place.run_id = "2"
    assert place.run() == Run(0, "", [], injected=True)
    whole, tried = place.files(), 0
    for act, ran in place.full_at_each(tmp_path / "older", stays_full=True):
        tried += 1
        assert ran.code == 6, act
        assert FULL in ran.said[0], act
        check(place, ran, whole, older)
        record = json.loads((place.directory / "run.json").read_bytes())
        if record["run"].endswith("-2"):
            finish(place, whole)
    assert tried > 50


def test_a_disk_without_room_for_one_write(place: Place, tmp_path: Path) -> None:
    (tmp_path / "empty" / "metrics").mkdir(parents=True)
    assert place.run() == Run(0, "", [], injected=True)
    whole, tried = place.files(), 0
    for act, ran in place.full_at_each(tmp_path / "empty", stays_full=False):
        tried += 1
        check(place, ran, whole, {})
        lines = [line for line in ran.said if FULL in line]
        if SPARED.fullmatch(act):
            assert ran.code == 0, act
            assert len(lines) == ("metrics" in act), act
            assert place.files() == whole, act
        elif ANNOUNCED.fullmatch(act) and ran.code == 3:
            assert not ran.injected
            assert lines == [
                f"podmedic: the sweep was aborted: the journal cannot be written: {FULL}"
            ]
        else:
            assert (ran.code, len(lines)) == (6, 1), act
            if (place.directory / "run.json").exists():
                finish(place, whole)
    assert tried > 60


def test_half_a_pair_of_keys_is_none(place: Place) -> None:
    """What was left of it would be in the way of the next try."""
    name = place.folder / "shop"
    for number in range(1, 7):
        place.disk.empty(number)
        ran = place.called("keygen", "-o", name)
        assert (ran.code, len(ran.said)) == (6, 1)
        assert ran.said[0].endswith(f": {FULL}")
        assert list(place.folder.glob("shop*")) == []
    place.disk.empty()
    assert place.called("keygen", "-o", name).code == 0
    assert len(place.disk.acts) == 6
