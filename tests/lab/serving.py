"""`podmedic serve` as a process of this machine, against the lab, and what posts to it."""

import asyncio
import contextlib
import json
import queue
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from lab.handle import Lab
from runner import killpoints
from tests.lab import podmedic as pm

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "serve" / "serve.yaml"
TOKEN = "a-token-of-the-tests-0123456789"
READY_SECONDS = 30


def manifest(kind: str) -> dict[str, Any]:
    """The object of that kind in deploy/serve/serve.yaml."""
    found: list[dict[str, Any]] = [
        each for each in yaml.safe_load_all(MANIFESTS.read_text()) if each["kind"] == kind
    ]
    return found[0]


def job_template(**pod: Any) -> dict[str, Any]:
    """The deployed one; `pod` changes its pod, and a volume of its own takes the claim's place."""
    template: dict[str, Any] = yaml.safe_load(manifest("ConfigMap")["data"]["job.yaml"])
    spec = template["spec"]["template"]["spec"]
    spec["volumes"][0] = {"name": "reports", "emptyDir": {}}
    spec.update(pod)
    return template


def never_scheduled() -> dict[str, Any]:
    """For tests of the queue: Jobs whose pods no node takes."""
    return job_template(nodeSelector={"no-such": "node"})


@dataclass
class Served:
    """A running `podmedic serve`."""

    process: subprocess.Popen[str]
    port: int = 0
    scheme: str = "http"
    context: ssl.SSLContext | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: bytes | None = None, *, token: str | None = TOKEN, **headers: str
    ) -> tuple[int, Any]:
        """Status and answer of one request."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        asked = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=30, context=self.context) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _read(error.read())

    def metric(self, name: str) -> float:
        """Of one sample, spelt as in the text."""
        for line in str(self.ask("/metrics", token=None)[1]).splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no {name}")

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


@contextlib.contextmanager
def serve(
    folder: Path, kubeconfig: Path, namespace: str, *options: str, template: dict[str, Any],
    kill_at: str = "", ca: Path | None = None,
) -> Iterator[Served]:  # fmt: skip
    """Ends with the context; raises AssertionError where it did not begin to listen."""
    (folder / "job.yaml").write_text(json.dumps(template))
    (folder / "token").write_text(TOKEN)
    process = subprocess.Popen(
        [pm.COMMAND, "serve", "--listen=127.0.0.1:0", "-n", namespace,
         f"--job-template={folder / 'job.yaml'}", f"--bearer-token-file={folder / 'token'}",
         *options],
        env=pm.environment(None)
        | {"KUBECONFIG": str(kubeconfig)}
        | ({killpoints.VARIABLE: kill_at} if kill_at else {}),
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    served = Served(process)
    if ca is not None:
        served.scheme, served.context = "https", ssl.create_default_context(cafile=str(ca))
    heard: queue.Queue[int] = queue.Queue()
    reader = threading.Thread(target=_follow, args=(served, heard), daemon=True)
    reader.start()
    try:
        try:
            served.port = heard.get(timeout=READY_SECONDS)
        except queue.Empty:
            raise AssertionError("it does not listen") from None
        assert served.port, served.lines
        until(lambda: served.ask("/readyz", token=None)[0] == 200)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        reader.join(10)
        assert process.stderr
        process.stderr.close()


def _follow(served: Served, heard: "queue.Queue[int]") -> None:
    assert served.process.stderr
    for line in served.process.stderr:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"event": "text", "message": line.rstrip()}
        served.lines.append(said)
        if said.get("event") == "listening":
            heard.put(said["port"])
    heard.put(0)


async def post_all(url: str, bodies: Mapping[int, bytes], at_once: int = 16) -> dict[int, int]:
    """The status of the answer to each webhook."""
    codes: dict[int, int] = {}
    waiting = iter(bodies.items())

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, sent in waiting:
            async with session.post(f"{url}/v1/alerts", data=sent) as answer:
                await answer.read()
                codes[number] = answer.status

    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(at_once)))
    return codes


def until(true: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    """Asks again and again; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)


def jobs(lab: Lab, namespace: str) -> list[dict[str, Any]]:
    """Of triggered runs, the oldest first."""
    # Asked many times a second: not by a process each.
    items: list[dict[str, Any]] = lab.client().get(
        f"/apis/batch/v1/namespaces/{namespace}/jobs?labelSelector=podmedic.io/trigger"
    )["items"]
    return sorted(
        items, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"])
    )


def account(lab: Lab, namespace: str, folder: Path) -> Path:
    """A kubeconfig of the ServiceAccount podmedic-serve, with the Role that is shipped."""
    from tests.lab.test_rbac import kubeconfig_of  # noqa: PLC0415

    documents = [manifest(kind) for kind in ("ServiceAccount", "Role", "RoleBinding")]
    for each in documents:
        each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects", ()):
            subject["namespace"] = namespace
    lab.put(*documents)
    return kubeconfig_of(lab, namespace, "podmedic-serve", folder / "kubeconfig")
