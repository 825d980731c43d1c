"""Results that are done, kept beside the journal until the report is written: a run that goes on
after a kill does not ask a pod twice, and needs no pod that went away after its turn."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from runner.append import append
from runner.examine.pod import Examined
from runner.killpoints import reach, tear
from runner.model.base import Value
from runner.model.examination import Examination
from runner.model.report import PodResult

FILE_NAME = "results.jsonl"


class Kept(Value, frozen=True, kw_only=True):
    """A line of the file. Everything in it has passed the choke point."""

    run: str
    examination: Examination
    result: PodResult


def read_kept(path: Path, run_id: str) -> Mapping[str, Kept]:
    """The results of that run by the uid of their pod. A torn line costs one result, which is
    collected from the pod again."""
    found: dict[str, Kept] = {}
    decode = msgspec.json.Decoder(Kept).decode
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    kept = decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if kept.run == run_id:
                    found[kept.result.uid] = kept
    except OSError:
        return {}
    return found


class KeptResults:
    """Appends without fsync: a kill of the process loses nothing, and what a power cut takes is
    still in the pods."""

    def __init__(self, path: Path, run_id: str, *, afresh: bool) -> None:
        self._path = path
        self._run_id = run_id
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags | (os.O_TRUNC if afresh else 0), 0o600)
        if os.fstat(self._file).st_size:
            # A line that a killed process left torn must not swallow ours.
            os.write(self._file, b"\n")

    def keep(self, examined: Examined) -> None:
        """What cannot be kept (a full disk) is still in the pod, and in the report of this run."""
        kept = Kept(run=self._run_id, examination=examined.examination, result=examined.result)
        reach("examined")
        try:
            data = msgspec.json.encode(kept) + b"\n"
            tear("result-torn", data, lambda part: os.write(self._file, part))
            append(self._file, data)
        except (OSError, UnicodeEncodeError):
            return
        reach("result-kept")

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        """The report has it all."""
        self._path.unlink(missing_ok=True)
