"""No bundle leaves with a secret in it, wherever it stands; what was replaced is accounted for."""

import gzip
import io
import json
import random
import tarfile
from pathlib import Path

import msgspec
import pytest

from runner.bundle.manifest import File
from runner.bundle.scan import Found, SecretScan
from runner.cli.redaction import Account, LazyRedactor
from runner.examine.context import about
from runner.model.report import PodOutcome
from runner.notify.message import WhatFor, message_of
from runner.redact import Redactor
from runner.report import render, to_html
from runner.report.document import to_json
from runner.report.output import FILES
from runner.report.plain import cut as cut_off
from runner.report.plain import squeezed
from runner.sweep.owner_events import note_of
from runner.traces import spans_of
from tests.unit.bombs import zeros
from tests.unit.bundles import run_directory, verified
from tests.unit.planted import ANYWHERE, BASE62, NAMED, SHAPED, URLS, drawn, password
from tests.unit.report_samples import pod, report_of, rich_report, step, workload
from tests.unit.test_verify import command

SECRET = "AKIA" + "IOSFODNN7ABCDEFG"


def scanned(path: str, data: bytes, *, chunk_bytes: int = 1 << 20) -> list[Found]:
    scan = SecretScan(Redactor(b"k"))
    file = File(path=path, sha256="", bytes=len(data))
    for at in range(0, len(data), chunk_bytes):
        scan(file, data[at : at + chunk_bytes])
    scan(file, b"")
    assert scan.unread == []
    return scan.found


def test_our_own_documents_hold_nothing_that_looks_like_a_secret() -> None:
    for report in (report_of(), rich_report()):
        assert scanned("report.json", to_json(report)) == []
        assert scanned("report.html", to_html(report).encode()) == []


@pytest.mark.parametrize("kind", SHAPED)
def test_every_kind_of_secret_is_found_in_every_file(kind: str) -> None:
    """In a blob, and in what is packed."""
    secret = SHAPED[kind](random.Random(kind))
    text = f"one\ntwo\nsaid {secret} and went\n".encode()
    (found,) = {(f.path, f.line) for f in scanned("blobs/0a", text, chunk_bytes=7)}
    assert found == ("blobs/0a", 3)
    assert scanned("evidence.json.gz", gzip.compress(text), chunk_bytes=5)
    assert scanned("evidence.json.gz", gzip.compress(b"") + gzip.compress(text))
    assert scanned("evidence.json.gz", gzip.compress(b"x") + text)


def test_a_page_is_searched_as_its_reader_sees_it() -> None:
    """Also what its script unpacks, and what HTML spells in another way."""
    said = {kind: f"said {draw(random.Random(kind))} and went" for kind, draw in SHAPED.items()}
    steps = tuple(step(f"s{n}", text, exit_code=1) for n, text in enumerate(said.values()))
    page = to_html(report_of(pod("web-0", workload("web"), PodOutcome.FAILED, steps=steps)))
    assert "and went" not in page
    rules = {found.rule for text in said.values() for found in scanned("blobs/0a", text.encode())}
    assert len(rules) >= 40
    assert rules <= {found.rule for found in scanned("report.html", page.encode(), chunk_bytes=999)}
    odd = "<p title='x'>DB_PASSWORD=<b>a&amp;b9Xy&#122;9&lt;</b></p>"
    assert [found.rule for found in scanned("report.html", odd.encode())] == ["env-line"]
    link = "<p>logs: <a title='x' href='https://ann:hunter2xZ9&#64;logs.example/?a=1'>here</a></p>"
    assert [found.rule for found in scanned("report.html", link.encode())] == ["url-userinfo"]


def test_a_secret_between_two_parts_is_found_at_its_line() -> None:
    line = b"2026-11-23T04:36:47Z INFO nothing to see here, move along please\n"
    before = line * ((16 << 20) // len(line) + 3)
    for cut in (3, 10, 18):
        filler = before[: (16 << 20) - cut - 1] + b"\n"
        data = filler + SECRET.encode() + b"\n" + line * 2000
        assert scanned("blobs/0a", data) == [
            Found("blobs/0a", filler.count(b"\n") + 1, "aws-access", 20)
        ]


@pytest.mark.parametrize("chunk_bytes", [1 << 20, 1000, 3])
def test_what_is_packed_in_a_file_is_searched_to_its_end(chunk_bytes: int) -> None:
    """A dump that was packed before it was collected; what stands behind it; what is damaged."""
    line = b"2026-11-23T04:36:47Z INFO nothing to see here\n"
    size = 3 if chunk_bytes > 3 else 1
    dump = line * (size * (1 << 20) // len(line)) + b"DB_PASSWORD=hunter2xZ9\n" + line
    at = dump.count(b"\n") - 1
    packed, other = gzip.compress(dump), gzip.compress(line * 9)
    header = b"heap.hprof.gz" + bytes(499)
    for before in (header, header + b"\x1f\x8b\x08" + header, header + other + header):
        found = scanned("artifacts/x.tar", before + packed, chunk_bytes=chunk_bytes)
        assert Found("artifacts/x.tar", at, "env-line", 10) in found
        found = scanned("artifacts/x.tar", before + packed[:-9], chunk_bytes=chunk_bytes)
        assert Found("artifacts/x.tar", at, "env-line", 10) in found
    last = f"the key is {SECRET}\n".encode()
    behind = scanned("artifacts/x.tar", header + other + last, chunk_bytes=chunk_bytes)
    whole = scanned("evidence.json.gz", other + last, chunk_bytes=chunk_bytes)
    assert [one.rule for one in (*behind, *whole)] == ["aws-access", "aws-access"]


def test_what_never_ends_when_it_is_unpacked_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.bundle.scan._MAX_UNPACKED_BYTES", 10 << 20)
    bomb = zeros(20)
    for path, data in (("evidence.json.gz", bomb), ("artifacts/x.tar", bytes(512) + bomb)):
        scan = SecretScan(Redactor(b"k"))
        file = File(path=path, sha256="", bytes=0)
        scan(file, data)
        scan(file, b"")
        assert scan.unread == [path]


def test_what_cannot_be_looked_through_is_said() -> None:
    scan = SecretScan(Redactor(b"k"))
    file = File(path="evidence.json.gz", sha256="", bytes=0)
    scan(file, b"\x1f\x8b\x08" + b"nonsense" * 20)
    scan(file, b"")
    assert scan.unread == ["evidence.json.gz"]


def test_a_bundle_with_a_secret_is_not_written(tmp_path: Path) -> None:
    leak = f"a\nkey {SECRET}\n".encode()
    run = run_directory(tmp_path / "run", files={"blobs/0a": leak})
    code, told, said = command("bundle", run)
    assert (code, told) == (7, "")
    assert said == (
        "podmedic: blobs/0a:2: looks like a secret of 20 bytes (rule aws-access)\n"
        f"podmedic: {run}.tar.zst was not written, because secrets would leave in it; what is none "
        "can be allowed by --redact-rules\n"
    )
    assert SECRET not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    (tmp_path / "own.yaml").write_text(f"allow: ['{SECRET}']\nrules: []\n")
    assert command("bundle", run, "--redact-rules", tmp_path / "own.yaml")[0] == 0


def test_what_playbooks_collected_is_searched_too(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo("etc/app.conf")
        member.size = len(SECRET)
        tar.addfile(member, io.BytesIO(SECRET.encode()))
    run = run_directory(tmp_path / "run", files={"artifacts/shop/web-0/p.s.tar": raw.getvalue()})
    code, _, said = command("bundle", run)
    assert code == 7
    assert said.splitlines()[-1].endswith("--without-artifacts leaves out what playbooks collected")
    assert command("bundle", run, "--without-artifacts")[0] == 0
    assert (
        "Left out when it was sealed: artifacts/shop/web-0/p.s.tar"
        in (command("verify", f"{run}.tar.zst")[1])
    )
    assert command("bundle", run, "--unchecked-artifacts")[0] == 0
    assert (
        "Not redacted, as it was collected: artifacts/shop/web-0/p.s.tar"
        in (command("verify", f"{run}.tar.zst")[1])
    )


def test_a_run_that_was_not_redacted_says_so_everywhere(tmp_path: Path) -> None:
    report = report_of(
        pod("web-0", workload("web"), PodOutcome.FAILED, steps=(step("say", SECRET, exit_code=1),))
    )
    bare = msgspec.structs.replace(report.run, redacted=False)
    report = msgspec.structs.replace(report, run=bare)
    run = run_directory(tmp_path / "run", report)
    assert command("bundle", run)[0] == 0
    told = command("verify", f"{run}.tar.zst")[1]
    assert "NOT REDACTED: the policy allowed --no-redact; secrets may be in it" in told
    assert "Not redacted: secrets may stand in this report" in (run / "report.html").read_text()
    assert json.loads((run / "report.json").read_bytes())["run"]["redacted"] is False
    manifest = verified((tmp_path / "run.tar.zst").read_bytes()).manifest
    assert manifest is not None
    assert not manifest.redacted


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_so(name: str) -> None:
    made = rich_report()
    bare = msgspec.structs.replace(made, run=msgspec.structs.replace(made.run, redacted=False))
    stamp = {
        "json": '"redacted":false', "ndjson": '"redacted":false', "yaml": "redacted: false",
    }.get(name, "Not redacted: secrets may stand in this report")  # fmt: skip
    assert stamp in render(bare, name)
    assert stamp not in render(made, name)


def test_what_is_told_elsewhere_says_so() -> None:
    made = rich_report()
    bare = msgspec.structs.replace(made, run=msgspec.structs.replace(made.run, redacted=False))
    message = message_of(bare, None, WhatFor.ALWAYS, "")
    assert message is not None
    assert message.body.startswith("Not redacted: secrets may stand in this report")
    [*_, whole] = [span for span in spans_of(bare) if span.name == "podmedic run"]
    assert whole.attributes is not None
    assert whole.attributes["podmedic.redacted"] is False
    finding = made.findings[0]
    note = note_of(finding, "", redacted=False)
    assert note == f"Not redacted (--no-redact): {note_of(finding, '')}"


@pytest.mark.parametrize("allowed", [True, False])
def test_only_a_policy_allows_it(tmp_path: Path, *, allowed: bool) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nmetadata: {name: ops}\n"
        f"spec: {{unredacted: {str(allowed).lower()}}}\n"
    )
    words = ("run", "--no-redact", "-n", "shop", "-o", tmp_path / "out", "--kubeconfig", "none")
    refused = (
        "podmedic: --no-redact is not allowed: policy {} does not have `unredacted: true` "
        "(policy/unredacted)\n"
    )
    assert command(*words) == (4, "", refused.format("default"))
    code, _, said = command(*words, "--policy", policy)
    assert (code, said == refused.format("ops")) == (4, not allowed)


def test_the_account_says_whose_text_which_rule_and_where(tmp_path: Path) -> None:
    redactor = LazyRedactor()
    path = tmp_path / "redactions.jsonl"
    with about(pod="shop/web-0"):
        with about(source="log of container app"):
            redactor.redact_bytes(b"x\npassword=hunter2x\n")
        redactor.account.open(path, afresh=True)
        for _ in range(2):
            redactor.redact_text("token: abcdef0123456789")
    with about(pod="shop/web-1"):
        redactor.redact_text("token: abcdef0123456789")
        redactor.redact_argv(("app", "--password", "hunter2x"))
    redactor.account.finish()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"pod": "shop/web-0", "source": "log of container app", "rule": "pw-assigned", "line": 2,
         "length": 8},
        {"pod": "shop/web-0", "rule": "yaml-line", "line": 1, "length": 16},
        {"pod": "shop/web-1", "rule": "yaml-line", "line": 1, "length": 16},
        {"pod": "shop/web-1", "rule": "flag", "line": 1, "length": 8},
    ]  # fmt: skip
    assert path.stat().st_mode & 0o777 == 0o600
    assert redactor.counts == {"pw-assigned": 1, "yaml-line": 1, "flag": 1}


def test_an_endless_account_ends_with_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.cli.redaction._MAX_ENTRIES", 3)
    account = Account()
    account.open(tmp_path / "r", afresh=True)
    redact = Redactor(b"k")
    for number in range(5):
        text = f"password=hunter2x{number}"
        account.add(text.encode(), redact.redact_text(text)[1])
    account.finish()
    lines = (tmp_path / "r").read_text().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[-1]) == {"more": {"pw-assigned": 2}}


def test_a_full_disk_costs_the_account_alone(tmp_path: Path) -> None:
    account = Account()
    account.open(tmp_path / "no" / "r", afresh=True)
    account.add(b"password=hunter2x", Redactor(b"k").redact_text("password=hunter2x")[1])
    account.finish()
    assert isinstance(account.failure, OSError)


def test_what_was_redacted_keeps_no_bundle_from_being_sealed() -> None:
    """In no format: a rule that sees a document and not the text in it would take the end of a
    line, written out, for the rest of a password."""
    rng = random.Random("redacted")
    redact = Redactor(b"another key")
    said = [ANYWHERE[n % len(ANYWHERE)].format(draw(rng)) for n, draw in enumerate(SHAPED.values())]
    said += [form.format(password(rng)) for form in NAMED.values()]
    said += [form.format(drawn(rng, BASE62, 20)) for form in URLS.values()]
    clean = [redact.redact_text(text)[0] for text in said]
    steps = [step(f"s{n}", f"{text}\nnext line\n", exit_code=1) for n, text in enumerate(clean)]
    together = step("all", "\n".join(clean), exit_code=1)
    for each in (tuple(steps), (together,)):
        report = report_of(pod("web-0", workload("web"), PodOutcome.FAILED, steps=each))
        for name, file in FILES.items():
            assert scanned(file, render(report, name).encode()) == [], name
    # Nor where a line was cut.
    marker = redact.redact_text("the new password is hunter2xZ9")[0].rpartition(" ")[2]
    for width in range(24, 60):
        for shorten in (cut_off, squeezed):
            text = shorten(f"the new password is {marker} and so on, and on, and on", width)
            assert scanned("findings.csv", f'{text},"{text}"\n'.encode()) == [], text
    # And what is behind it still does.
    text = f'{{"log": "PASSWORD=\\"{clean[0]}\\"\\n{"x" * 99}\\nkey {SECRET}\\n"}}'
    assert [found.rule for found in scanned("report.json", text.encode())] == ["aws-access"]
