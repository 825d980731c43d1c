"""What a bundle may not hold, after a whole run and by another program."""

import re
from pathlib import Path

import pytest

from runner.bundle.manifest import File
from runner.bundle.scan import SecretScan
from runner.redact import Redactor
from tests.programs.test_full_disk import PLAYBOOK, Place
from tests.unit.test_bundle_scan import SECRET
from tests.unit.test_verify import command


def test_a_collected_file_with_a_secret_costs_a_run_that_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod without a volume would lose all of it otherwise."""
    place = Place(tmp_path, monkeypatch)
    (tmp_path / "wanted").write_text(f"a dump\nwith {SECRET} in it\n")
    ran = place.run("--upload", (tmp_path / "far").as_uri())
    artifact = "artifacts/shop/web-1/probe.files.tar"
    bundle = place.folder / "run.tar.zst"
    (found, said) = ran.said
    assert (ran.code, ran.printed) == (7, "")
    assert re.fullmatch(
        rf"podmedic: {artifact}:\d+: looks like a secret of 20 bytes \(rule aws-access\)", found
    )
    assert said == (
        f"podmedic: {bundle} was written without {artifact}, as secrets would leave in it; "
        f"`podmedic bundle {place.directory} --unchecked-artifacts` takes it along"
    )
    assert SECRET.encode() in (place.directory / artifact).read_bytes()
    (uploaded,) = (tmp_path / "far").iterdir()
    assert uploaded.read_bytes() == bundle.read_bytes()
    code, told, _ = command("verify", bundle)
    assert (code, f"Left out when it was sealed: {artifact}" in told) == (0, True)
    # Where the report itself holds one, there is none.
    monkeypatch.setattr(
        "runner.cli.redaction.LazyRedactor.redact_bytes", lambda _, data: (data, ())
    )
    bundle.unlink()
    place.run_id = "2"
    assert place.run().code == 7
    assert not bundle.exists()


def test_rules_may_be_called_as_secrets_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents list them with hashes, as settings stand with their values."""
    rules = """
  findings:
  - {id: wrong-password, severity: warning, when: 'true', title: Its password is wrong, message: m}
  - {id: api-token, severity: warning, when: 'false', title: t, message: m}
"""
    monkeypatch.setattr("tests.programs.test_full_disk.PLAYBOOK", PLAYBOOK.rstrip() + rules)
    ran = Place(tmp_path, monkeypatch).run("-o", "yaml,ndjson,csv,markdown,sarif,junit")
    assert (ran.code, ran.said) == (1, [])
    for known, leak in (("ed471124", "ed471125"), ("ed471125", "ed471124")):
        scan = SecretScan(Redactor(b"k"), [("wrong-password", known)])
        file = File(path="report.json", sha256="", bytes=0)
        scan(file, f'{{"wrong-password":"{leak}"}}'.encode())
        scan(file, b"")
        assert [found.length for found in scan.found] == [8]
