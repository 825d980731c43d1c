"""From a run on the cluster to a bundle that is verified without one."""

import json
import subprocess
from pathlib import Path

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import wait_crashing

PASSWORD = "Tr0ub4dor"


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
