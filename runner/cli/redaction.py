"""What a run redacts with: the built-in rules, one's own, and the account of it all."""

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from runner.append import append
from runner.cli.main import complain
from runner.examine.context import subject
from runner.model.seen import Seen
from runner.playbook.load import read_text

if TYPE_CHECKING:
    from runner.redact import Redaction, Redactor, Rule

T = TypeVar("T")

FILE_NAME = "redactions.jsonl"
_MAX_ENTRIES = 100_000

rules_option = click.option(
    "--redact-rules",
    "redact_rules",
    multiple=True,
    metavar="FILE",
    help="Rules of your own beside the built-in ones: YAML as in docs/redaction.md, or the TOML of "
    "gitleaks. Repeatable.",
)
no_redact_option = click.option(
    "--no-redact",
    is_flag=True,
    help="Keep secrets in what is stored, and say so on everything. Only with a policy that has "
    "`unredacted: true`.",
)


def own_rules(paths: Iterable[str], *, tell: bool = False) -> "tuple[Rule, ...] | None":
    """With the built-in ones; None for those alone. Raises UsageError; PlaybookErrors for a file
    that cannot be read."""
    paths = tuple(paths)
    if not paths:
        return None
    from runner.redact import RuleError  # noqa: PLC0415
    from runner.redact.own import read_own, with_builtin  # noqa: PLC0415

    owns = []
    for path in paths:
        text = read_text(path)
        try:
            owns.append(read_own(text, path))
        except RuleError as error:
            from runner.cli.rule_packs import said  # noqa: PLC0415  most packs are right

            raise click.UsageError(f"--redact-rules: {said(error, text, path)}") from error
    try:
        rules = with_builtin(owns)
    except RuleError as error:
        raise click.UsageError(f"--redact-rules: {error}") from error
    if tell:
        for note in (note for own in owns for note in own.notes):
            complain(note)
    return rules


class Account:
    """The file with each redaction: whose text, which rule, where, how long; never what. Ours from
    the first redaction on, on disk from `open` on."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._file: int | None = None
        self._seen: set[bytes] = set()
        self._more: Counter[str] = Counter()
        self._entries = 0
        self.failure: OSError | None = None

    def open(self, path: Path, *, afresh: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags | (os.O_TRUNC if afresh else 0), 0o600)
        except OSError as error:
            self.failure = error
            return
        self._write()

    def add(self, text: bytes, redactions: "Sequence[Redaction]") -> None:
        """What is looked at twice counts once."""
        if not redactions:
            return
        about = dict(subject.get())
        key = hashlib.sha256(json.dumps(about).encode() + b"\0" + text).digest()
        if key in self._seen:
            return
        self._seen.add(key)
        for one in redactions:
            self._entries += 1
            if self._entries > _MAX_ENTRIES:
                self._more[one.rule] += 1
                continue
            found = {**about, "rule": one.rule, "line": one.line, "length": one.length}
            line = json.dumps(found, ensure_ascii=True).encode() + b"\n"
            self._waiting.append(line)
        if self._file is not None:
            self._write()

    def _write(self) -> None:
        """What there is no room for waits until there is some."""
        assert self._file is not None
        try:
            append(self._file, b"".join(self._waiting))
        except OSError as error:
            self.failure = error
            return
        self.failure = None
        self._waiting.clear()

    def finish(self) -> None:
        """Before the run is sealed. Of what was too much to be listed the number is kept."""
        if self._file is None:
            return
        if self._more:
            more = {"more": dict(sorted(self._more.items()))}
            self._waiting.append(json.dumps(more).encode() + b"\n")
        if self._waiting:
            self._write()
        os.close(self._file)
        self._file = None


class LazyRedactor:
    """Its rules are compiled while the first containers start, not before; what replicas have in
    common is looked at once."""

    def __init__(self, rules: "Sequence[Rule] | None" = None) -> None:
        self._rules = rules
        # Replaced secrets by rule; of equal texts one counts.
        self.counts: Counter[str] = Counter()
        self.account = Account()
        self._clean_text = lru_cache(maxsize=4096)(self._redact_text)
        self._clean_argv = lru_cache(maxsize=1024)(self._redact_words)

    @cached_property
    def _redactor(self) -> "Redactor":
        from runner.redact import Redactor  # noqa: PLC0415

        return Redactor(secrets.token_bytes(32), self._rules)

    def redact_bytes(self, data: bytes) -> "tuple[bytes, Sequence[Redaction]]":
        found = self._counted(self._redactor.redact_bytes(data))
        self.account.add(data, found[1])
        return found

    def redact_text(self, text: str) -> "tuple[str, Sequence[Redaction]]":
        found = self._clean_text(text)
        self.account.add(text.encode("utf-8", "surrogatepass"), found[1])
        return found

    def redact_argv(self, words: Sequence[str]) -> "tuple[tuple[str, ...], Sequence[Redaction]]":
        if not words:
            return (), ()
        found = self._clean_argv(tuple(words))
        self.account.add("\0".join(words).encode("utf-8", "surrogatepass"), found[1])
        return found

    def _redact_text(self, text: str) -> "tuple[str, Sequence[Redaction]]":
        return self._counted(self._redactor.redact_text(text))

    def _redact_words(
        self, words: tuple[str, ...]
    ) -> "tuple[tuple[str, ...], Sequence[Redaction]]":
        return self._counted(self._redactor.redact_argv(words))

    def _counted(self, found: "tuple[T, Sequence[Redaction]]") -> "tuple[T, Sequence[Redaction]]":
        self.counts.update(each.rule for each in found[1])
        return found


class NoRedactor:
    """Everything as it came: `--no-redact`, where the policy allows it."""

    def redact_bytes(self, data: bytes) -> tuple[bytes, Sequence[object]]:
        return data, ()

    def redact_text(self, text: str) -> tuple[str, Sequence[object]]:
        return text, ()

    def redact_argv(self, words: Sequence[str]) -> tuple[tuple[str, ...], Sequence[object]]:
        return tuple(words), ()


def unredacted(seen: Seen) -> Seen:
    """Stamped, so that every document that is made of it says so."""
    return msgspec.structs.replace(seen, run=msgspec.structs.replace(seen.run, redacted=False))
