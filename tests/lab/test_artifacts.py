"""`collect`: files of a pod in the run directory, whole and as they are, or not at all."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, service_account_token
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_enterable

MAKE = (
    "head -c 3000000 /dev/urandom >/data/heap; mkdir -p /data/d; printf 'a\\0\\r\\n' >/data/d/odd"
)
DEBUGGER: dict[str, Any] = {
    "image": "busybox:1.36",
    "lifetime": "resident",
    # Root's files, as the app is root's.
    "profile": "auto",
}


def _step(name: str, *paths: str, **collect: Any) -> dict[str, Any]:
    return {"name": name, "script": "echo done", "needs": {"target": True},
            "collect": {"paths": list(paths), **collect}}  # fmt: skip


def _app(lab: Lab, namespace: str) -> None:
    lab.images("busybox")
    app = pm.deployment("web", f"{MAKE}; {SLEEP}")
    pod = app["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "data", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    pm.apply(lab, namespace, app)
    pm.wait_ready(lab, namespace, "web")
    wait_enterable(lab, namespace, "web")


def test_what_is_collected_is_what_was_there(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """From a volume and from the target's own files; too much, and what is not there, leave
    nothing behind but a reason."""
    _app(lab, namespace)
    steps = [
        _step("data", "/data"),
        _step("own", "$PODMEDIC_ROOT/etc/passwd"),
        _step("much", "/data", limitBytes=2_000_000),
        _step("none", "/no/such"),
        _step("part", "/data/d", "/no/such"),
        _step("both", "/no/such", "$PODMEDIC_ROOT/etc/passwd/no"),
    ]
    path = pm.playbook(tmp_path, steps, debugger=DEBUGGER)
    run = pm.run(lab, namespace, path, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert pod["outcome"] == "passed", pod
    artifacts = {step["name"]: step["artifact"] for step in pod["steps"]}
    folder = f"artifacts/{namespace}/{pod['name']}"
    assert {n: (a["path"], a["reason"]) for n, a in artifacts.items()} == {
        "data": (f"{folder}/probe.data.tar", ""),
        "own": (f"{folder}/probe.own.tar", ""),
        "much": ("", "TooLarge"),
        "none": ("", "NotFound"),
        "part": (f"{folder}/probe.part.tar", "NotFound"),
        "both": ("", "NotFound"),
    }
    assert {n: a["message"] for n, a in artifacts.items() if a["reason"] == "NotFound"} == {
        "none": "/no/such is not there",
        "part": "/no/such is not there",
        "both": "/no/such, $PODMEDIC_ROOT/etc/passwd/no are not there",
    }
    stored = {path.name for path in (run.directory / folder).iterdir()}
    assert stored == {f"probe.{name}.tar" for name in ("data", "own", "part")}
    for artifact in artifacts.values():
        if artifact["path"]:
            data = (run.directory / artifact["path"]).read_bytes()
            assert artifact["bytes"] == len(data)
            assert artifact["sha256"] == hashlib.sha256(data).hexdigest()
    whole = (run.directory / folder / "probe.data.tar").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        odd, heap = tar.extractfile("data/d/odd"), tar.extractfile("data/heap")
        assert odd is not None
        assert heap is not None
        assert odd.read() == b"a\0\r\n"
        digest = hashlib.sha256(heap.read()).hexdigest()
    theirs = lab.kubectl("exec", pod["name"], "-n", namespace, "--", "sha256sum", "/data/heap")
    assert theirs.split()[0] == digest


def test_a_stream_that_is_cut_leaves_no_file(lab: Lab, namespace: str, tmp_path: Path) -> None:
    _app(lab, namespace)
    path = pm.playbook(tmp_path, [_step("data", "/data")], debugger=DEBUGGER)
    first = pm.run(lab, namespace, path, directory=tmp_path / "first")
    assert first.report["pods"][0]["steps"][0]["artifact"]["reason"] == ""
    token = service_account_token(lab, namespace)
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=namespace)
        proxy.add(Fault.cut(after_bytes=1_000_000, path=r".*/exec", times=None))
        run = pm.run(lab, namespace, path, "--kubeconfig", kubeconfig, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert (pod["outcome"], pod["steps"][0]["stdout"]) == ("passed", "done\n"), pod
    artifact = pod["steps"][0]["artifact"]
    assert (artifact["path"], artifact["sha256"]) == ("", "")
    assert artifact["reason"] != ""
    assert list((run.directory / "artifacts").rglob("*.*")) == []


def test_a_playbook_that_collects_must_keep_its_container(tmp_path: Path) -> None:
    path = pm.playbook(tmp_path, [_step("data", "/data")])
    done = pm.podmedic(None, "validate", path, directory=tmp_path / "out")
    assert done.code == 4
    assert done.stderr.endswith(
        "spec.steps[0].collect: needs a container that stays: debugger: {lifetime: resident}\n"
    )
