"""What kubelet, runtime and registry do beneath a sweep, and what becomes of the pods then."""

import http.client
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import SLEEP, wait_injected
from tests.lab.test_resume import resume
from tests.lab.waiting import until

_PULL_SECONDS = 8.0
_HEADERS = ("Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version")


@contextmanager
def slow_registry(lab: Lab, host: str) -> Iterator[None]:
    """The lab's registry by another name, each answer about a manifest late."""

    class Slow(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            if "/manifests/" in self.path:
                time.sleep(_PULL_SECONDS)
            with closing(http.client.HTTPConnection(lab.registry)) as upstream:
                accept = {"Accept": self.headers["Accept"]}
                upstream.request(self.command, self.path, headers=accept)
                answer = upstream.getresponse()
                body = answer.read()
            self.send_response(answer.status)
            for name in _HEADERS:
                if value := answer.headers.get(name):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.headers["Content-Length"])
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = _forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((lab.machine_address, 0), Slow)
    folder = lab.layout.state / "certs.d" / host
    folder.mkdir()
    url = f"http://{lab.machine_address}:{server.server_port}"
    capabilities = 'capabilities = ["pull", "resolve"]'
    (folder / "hosts.toml").write_text(f'server = "{url}"\n[host."{url}"]\n{capabilities}\n')
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        shutil.rmtree(folder)
        server.shutdown()
        server.server_close()


def _restarted_at(lab: Lab, namespace: str, pod: str) -> datetime | None:
    (status,) = next(
        p.status.container_statuses for p in pm.pods(lab, namespace) if p.metadata.name == pod
    )
    ended = status.last_state.terminated or status.state.terminated
    return ended.finished_at if ended is not None else None


def test_s28_a_slow_registry_holds_up_one_pod_and_no_other(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """The kubelet pulls within the pod's own worker: what fails its liveness probe meanwhile is
    restarted after the pull, not before. The canary keeps that to one pod."""
    lab.images("busybox")
    host = f"{namespace}.example"
    probe = {
        "exec": {"command": ["test", "!", "-e", "/tmp/ill"]}, "periodSeconds": 1,
        "failureThreshold": 1,
    }  # fmt: skip
    pm.apply(
        lab, namespace, pm.deployment("web", SLEEP, replicas=2, container={"livenessProbe": probe})
    )
    pm.wait_ready(lab, namespace, "web")
    path = pm.playbook(
        tmp_path, [{"name": "say", "run": ["true"]}],
        debugger={"image": f"{host}/library/busybox:1.36", "strategy": ["shared"]},
        expectsChange=True,
    )  # fmt: skip
    out = tmp_path / "out"
    with slow_registry(lab, host):
        process = pm.start_run(
            lab, namespace, path, "--max-per-workload=0", "-o", "json", directory=out
        )
        wait_injected(lab, namespace, process, out, 1)
        carriers = pm.ephemeral_containers(lab, namespace)
        for pod in carriers:
            lab.kubectl("exec", pod, "-n", namespace, "-c", "app", "--", "touch", "/tmp/ill")
        (canary,) = [pod for pod, names in carriers.items() if names]
        (other,) = [pod for pod, names in carriers.items() if not names]
        told = until(lambda: _restarted_at(lab, namespace, other), f"{other} is not restarted")
        (now,) = [p for p in pm.pods(lab, namespace) if p.metadata.name == canary]
        assert not now.status.ephemeral_container_statuses[0].image_id
        assert not pm.ephemeral_containers(lab, namespace)[other]
        late = until(lambda: _restarted_at(lab, namespace, canary), f"{canary} is not restarted")
        process.communicate(timeout=60)
    report = json.loads((out / "report.json").read_bytes())
    started = {p["name"]: p["injections"][0]["startedAt"] for p in report["pods"]}
    pulled = datetime.fromisoformat(started[canary])
    print(told, late, pulled)
    assert (late - pulled).total_seconds() <= 5
    assert datetime.fromisoformat(started[other]) >= pulled


def _remove(lab: Lab, container_id: str) -> None:
    """As `crictl rm` does: RemoveContainer of the CRI, one protobuf string in a gRPC frame."""
    name = container_id.removeprefix("containerd://").encode()
    message = b"\x0a" + bytes([len(name)]) + name
    done = subprocess.run(
        [
            "curl", "-sS", "--http2-prior-knowledge", "--unix-socket", lab.layout.containerd_socket,
            "-H", "Content-Type: application/grpc", "-H", "TE: trailers", "--data-binary", "@-",
            "-o", "/dev/null", "-D", "-",
            "http://localhost/runtime.v1.RuntimeService/RemoveContainer",
        ],
        input=b"\0" + len(message).to_bytes(4, "big") + message,
        capture_output=True, check=True,
    )  # fmt: skip
    assert b"grpc-status: 0" in done.stdout, done.stdout


def test_s33_what_the_runtime_forgot_and_the_kubelet_ran_again_is_read_as_one(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """An ephemeral container is not restarted, unless its record is lost. The result is that of
    one execution, and no other container is injected."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    steps = [{"name": name, "script": f"echo {name}"} for name in ("first", "second")]
    path, out = pm.playbook(tmp_path, steps), tmp_path / "out"
    run = pm.run(lab, namespace, path, directory=out, kill_at="log-read")
    assert run.code == -signal.SIGKILL

    def executed() -> tuple[str, str] | None:
        (pod,) = pm.pods(lab, namespace)
        (status,) = pod.status.ephemeral_container_statuses
        return (status.container_id, status.name) if status.state.terminated else None

    before, name = executed() or ("", "")
    _remove(lab, before)
    (pod,) = pm.pods(lab, namespace)
    # Any change makes the kubelet look at the pod.
    lab.kubectl("annotate", "pod", pod.metadata.name, "-n", namespace, "looked=at")
    until(lambda: (executed() or (before,))[0] != before, "the kubelet does not run it again")

    done = resume(lab, out)
    assert done.code == 0, done.stderr
    (result,) = done.report["pods"]
    told = [(s["outcome"], s["stdout"], len(s["attempts"])) for s in result["steps"]]
    assert told == [("passed", "first\n", 1), ("passed", "second\n", 1)]
    assert [i["container"] for i in result["injections"]] == [name]
    assert pm.ephemeral_containers(lab, namespace) == {pod.metadata.name: [name]}
