"""From a run on the cluster to a bundle that is verified without one."""

import base64
import contextlib
import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handle import Lab
from runner.bundle.signing import generate
from tests.lab import podmedic as pm
from tests.lab.test_planted import unpacked
from tests.lab.test_rbac import kubeconfig_of
from tests.lab.waiting import wait_crashing
from tests.unit.bundles import noise, run_directory

PASSWORD = "Tr0ub4dor"
NOT_REDACTED = {
    "report.json": '"redacted":false',
    "evidence.json.gz": '"redacted":false',
    "manifest.json": '"redacted": false',
    "report.html": "Not redacted: secrets may stand in this report",
    "report.md": "Not redacted: secrets may stand in this report",
    "junit.xml": "Not redacted: secrets may stand in this report",
    "report.sarif": "Not redacted: secrets may stand in this report",
    "findings.csv": "Not redacted: secrets may stand in this report",
}


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("room_kib", [64, 160])
def test_a_disk_that_fills_up_while_it_is_bundled(tmp_path: Path, room_kib: int) -> None:
    """However far it gets: whole or not there at all, and the run as it was."""
    run = run_directory(tmp_path / "run", files={"blobs/0f": noise(100_000)})
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with small_disk(tmp_path / "small", f"{room_kib}k") as small:
        target = small / "run.tar.zst"
        done = pm.podmedic(None, "bundle", run, "-o", target, directory=run)
        left = [path.name for path in small.iterdir()]
        if done.code == 0:
            verified = pm.podmedic(None, "verify", target, directory=run).code
            assert (room_kib >= 128, left, verified) == (True, ["run.tar.zst"], 0)
        else:
            said = f"podmedic: cannot write {target}: No space left on device\n"
            assert (done.code, done.stderr, left) == (6, said, [])
            assert room_kib < 128
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_full_disk_costs_the_bundle_alone(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Said in one line, by the exit code, and by the metrics; `podmedic bundle` does it later."""
    out, metrics = tmp_path / "out", tmp_path / "podmedic.prom"
    with small_disk(tmp_path / "small", "4k") as small:
        target = small / "run.tar.zst"
        done = pm.run(
            lab, namespace, "crashloop", "--allow-empty", "-q", f"--bundle={target}",
            f"--metrics-textfile={metrics}", directory=out,
        )  # fmt: skip
        assert list(small.iterdir()) == []
    said = (
        f"podmedic: the run is not sealed: cannot write {target}: No space left on device; "
        f"`podmedic bundle {out}` does that later"
    )
    assert (done.code, done.stderr.splitlines()[1:]) == (6, [said]), done.stderr
    failed = [line for line in metrics.read_text().splitlines() if "sink_failures{" in line]
    assert 'podmedic_sink_failures{sink="bundle"} 1.0' in failed
    assert sum(line.endswith(" 1.0") for line in failed) == 1
    assert pm.podmedic(None, "verify", out, directory=out).code == 0
    assert pm.podmedic(None, "bundle", out, directory=out).code == 0


def test_a_signed_run_and_its_bundle(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, pm.deployment("ledger", f"echo DB_PASSWORD={PASSWORD}; exit 1"))
    wait_crashing(lab, namespace, "ledger", 1)
    out, bundle = tmp_path / "out", tmp_path / "out.tar.zst"
    assert pm.podmedic(None, "keygen", "-o", tmp_path / "k", directory=out).code == 0

    run = pm.run(
        lab, namespace, "crashloop", "--bundle", "--key", tmp_path / "k.key", directory=out
    )

    assert run.code == 1, run.stderr
    assert f"Bundle: {bundle} (6 files, signed)" in run.stderr
    key = ("--key", tmp_path / "k.pub")
    for what in (bundle, out):
        said = pm.podmedic(None, "verify", what, *key, directory=out)
        assert (said.code, said.stderr) == (0, "")
        assert "\nWho: lab-admin, on " in said.stdout
        assert "\nChanged: 1 ephemeral container in 1 pod\n" in said.stdout
    manifest = json.loads((out / "manifest.json").read_bytes())
    uid = lab.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    assert manifest["where"]["clusterUid"] == uid
    (pod,) = pm.pods(lab, namespace)
    (changed,) = manifest["changedPods"]
    assert (changed["name"], changed["uid"]) == (pod.metadata.name, pod.metadata.uid)
    names = pm.ephemeral_containers(lab, namespace)[pod.metadata.name]
    assert [one["container"] for one in changed["added"]] == names

    account = [json.loads(line) for line in (out / "redactions.jsonl").read_text().splitlines()]
    assert {
        "pod": f"{namespace}/{pod.metadata.name}",
        "source": "log of container app",
        "rule": "env-line",
        "line": 1,
        "length": len(PASSWORD),
    } in account
    # The command line of the container, in its spec.
    assert {one.get("source") for one in account} == {"log of container app", "pod"}
    assert all(PASSWORD.encode() not in path.read_bytes() for path in out.iterdir())

    again = tmp_path / "again.tar.zst"
    pm.podmedic(None, "bundle", out, "-o", again, "--key", tmp_path / "k.key", directory=out)
    assert again.read_bytes() == bundle.read_bytes()

    subprocess.run(["tar", "-xf", bundle, "--one-top-level=x"], cwd=tmp_path, check=True)
    report = tmp_path / "x" / "report.html"
    report.write_bytes(report.read_bytes().replace(b"ledger", b"orders", 1))
    said = pm.podmedic(None, "verify", tmp_path / "x", *key, directory=out)
    assert said.code == 1
    assert f"{tmp_path}/x: report.html: was changed: sha256 is " in said.stderr

    # The policy allows it: the secret is in it, and every file for people or programs says so.
    policy, bare = tmp_path / "policy.yaml", tmp_path / "bare"
    policy.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nmetadata: {name: ops}\n"
        "spec: {unredacted: true}\n"
    )
    words = ("--no-redact", "--policy", policy, "--bundle", "-o", "csv,junit,sarif,markdown")
    run = pm.run(lab, namespace, "crashloop", *words, directory=bare)
    assert run.code == 1, run.stderr
    assert "Not redacted: secrets may stand in this report" in run.stdout
    subprocess.run(["tar", "-xf", f"{bare}.tar.zst", "--one-top-level=y"], cwd=tmp_path, check=True)
    for folder, name, stamp in (
        (folder, *each) for folder in (bare, tmp_path / "y") for each in NOT_REDACTED.items()
    ):
        raw = (folder / name).read_bytes()
        text = gzip.decompress(raw) if name.endswith(".gz") else raw
        assert stamp in text.decode(), (folder, name)
    assert PASSWORD in (bare / "report.json").read_text()
    said = pm.podmedic(None, "verify", f"{bare}.tar.zst", directory=out)
    assert "NOT REDACTED: the policy allowed --no-redact; secrets may be in it" in said.stdout


def secret(name: str, **entries: bytes) -> dict[str, object]:
    data = {
        entry.replace("_", "."): base64.b64encode(value).decode()
        for entry, value in entries.items()
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


@pytest.fixture(scope="module")
def safe(lab: Lab) -> Iterator[tuple[str, bytes, bytes]]:
    """A namespace with a key in a Secret and one Secret full of what is none; both halves."""
    private, public = generate("ed25519")
    encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nQUJD\n-----END ENCRYPTED PRIVATE KEY-----"
    with lab.namespace() as namespace:
        pm.apply(
            lab, namespace,
            secret("podmedic-key", shop_key=private, note=b"n0body-reads-this"),
            secret("odd", a_key=encrypted, b_key=b"n0body-reads-this", c=public),
        )  # fmt: skip
        yield namespace, private, public


def test_a_key_in_a_secret_signs_and_is_nowhere(
    lab: Lab, safe: tuple[str, bytes, bytes], tmp_path: Path
) -> None:
    """Under exactly the role that `podmedic rbac --key` prints, by one GET of that Secret."""
    namespace, private, public = safe
    out, key = tmp_path / "out", f"k8s://{namespace}/podmedic-key"
    role = ("rbac", "crashloop", "--namespaced", "-n", namespace, "--key", key)
    lab.kubectl("apply", "-f", "-", input=pm.podmedic(None, *role, directory=out).stdout)
    account = ("--kubeconfig", kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig"))
    offset = lab.audit_offset()
    run = pm.run(
        lab, namespace, "crashloop", "--allow-empty", "--bundle", "--key", key, *account,
        "--log-format", "json", "--metrics-textfile", tmp_path / "podmedic.prom", directory=out,
    )  # fmt: skip
    again = pm.podmedic(
        None, "bundle", out, "-o", tmp_path / "again.tar.gz", "--key", key, *account, directory=out
    )
    assert (run.code, again.code) == (0, 0), run.stderr + again.stderr
    asked = [
        (event["verb"], event["objectRef"]["name"], event["responseStatus"]["code"])
        for event in lab.requests(offset, user_agent="podmedic/")
        if event["objectRef"]["resource"] == "secrets"
    ]
    assert asked == [("get", "podmedic-key", 200)] * 2

    (tmp_path / "shop.pub").write_bytes(public)
    for what in (out, tmp_path / "out.tar.zst", tmp_path / "again.tar.gz"):
        said = pm.podmedic(None, "verify", what, "--key", tmp_path / "shop.pub", directory=out)
        assert (said.code, "\nSignature: by the key " in said.stdout) == (0, True), said.stderr

    body = private.splitlines()[1]
    planted = (body, base64.b64encode(private)[40:80], b"n0body-reads-this")
    packed = ("out.tar.zst", "kubeconfig")
    seen = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in packed]
    told = f"{run.stdout}{run.stderr}{again.stdout}{again.stderr}".encode()
    for bytes_ in (told, *(each for path in seen for each in unpacked(path))):
        assert [one for one in planted if one in bytes_] == []
    assert {"again.tar.gz", "run.json", "journal.jsonl", "manifest.json", "podmedic.prom"} <= {
        path.name for path in seen
    }

    # No other one, and not all of them.
    refused = ("bundle", out, "-o", tmp_path / "x.tar.gz", *account, "--key")
    said = pm.podmedic(None, *refused, f"k8s://{namespace}/odd", directory=out)
    assert (said.code, said.stderr.count("\n"), (tmp_path / "x.tar.gz").exists()) == (3, 1, False)
    assert said.stderr.startswith(
        f"podmedic: --key k8s://{namespace}/odd: not allowed to get secrets in namespace "
        f'{namespace}: secrets "odd" is forbidden: '
    )
    assert said.stderr.endswith(
        f"; `podmedic rbac --key k8s://{namespace}/odd` prints the Role for it\n"
    )


NO_KEYS = {
    "nothing": '{key}: cannot get secrets in namespace {namespace}: secrets "nothing" not found',
    "odd": "{told}: it has 2 entries that end in .key; name one: {key}/a.key",
    "odd/a.key": "{told}: entry a.key is encrypted; podmedic asks for no passwords",
    "odd/b.key": "{told}: entry b.key is not a private key in PEM",
    "odd/c": "{told}: entry c is a public key; to sign takes the private one (NAME.key)",
    "odd/d": "{told}: it has no entry d",
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_a_secret_without_a_key_to_sign_by(
    lab: Lab, safe: tuple[str, bytes, bytes], tmp_path: Path, name: str
) -> None:
    """One line, and nothing is written; before a sweep begins."""
    namespace = safe[0]
    run = run_directory(tmp_path / "run")
    key = f"k8s://{namespace}/{name}"
    told = f"{key}: get secrets {name.partition('/')[0]} in namespace {namespace}"
    line = NO_KEYS[name].format(key=key, told=told, namespace=namespace)
    said = pm.podmedic(lab, "bundle", run, "--key", key, directory=run)
    assert (said.code, said.stdout, said.stderr) == (4, "", f"podmedic: --key {line}\n")
    if name == "odd":
        out = tmp_path / "out"
        swept = pm.run(lab, namespace, "--allow-empty", "-q", "--key", key, directory=out)
        assert (swept.code, swept.stderr.splitlines()[1:]) == (4, [f"podmedic: --key {line}"])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
