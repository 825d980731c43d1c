"""A watch of the tests' own: which pods carry an unfinished container of ours, at every event."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lab import binaries
from lab.handle import Lab


@dataclass(frozen=True)
class Seen:
    """A pod in one event. `open` are the ephemeral containers that have not ended."""

    name: str
    node: str
    app: str
    ready: bool
    open: frozenset[str]
    all: frozenset[str]


def seen(pod: dict[str, Any]) -> Seen:
    status = pod["status"]
    names = frozenset(c["name"] for c in pod["spec"].get("ephemeralContainers", ()))
    ended = {
        s["name"]
        for s in status.get("ephemeralContainerStatuses", ())
        if "terminated" in s.get("state", {})
    }
    return Seen(
        name=pod["metadata"]["name"],
        node=pod["spec"].get("nodeName", ""),
        app=pod["metadata"].get("labels", {}).get("app", ""),
        ready=any(
            c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
        ),
        open=names - ended,
        all=names,
    )


class Onlooker:
    """Follows the pods of a namespace from a LIST on. `look` is called with all of them at every
    event, beginning with the first; what it returns is a breach, and kept."""

    def __init__(
        self, lab: Lab, namespace: str, look: Callable[[dict[str, Seen]], Iterable[str]]
    ) -> None:
        kubectl = binaries.ensure(["kubectl"], lab.layout.cache)["kubectl"]
        path = f"/api/v1/namespaces/{namespace}/pods"
        listed = json.loads(lab.kubectl("get", "--raw", path))
        self.pods = {pod["metadata"]["name"]: seen(pod) for pod in listed["items"]}
        self.events = 0
        self.breaches: list[str] = []
        self._look = look
        self._changed = threading.Condition()
        version = listed["metadata"]["resourceVersion"]
        # Raw: an event is a line.
        self._process = subprocess.Popen(
            [kubectl, "get", "--raw", f"{path}?watch=1&resourceVersion={version}"],
            env=lab.environment(), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if event["type"] == "ERROR":
                self.breaches.append(f"the watch broke: {event['object']}")
                return
            one = seen(event["object"])
            with self._changed:
                self.pods[one.name] = one
                if event["type"] == "DELETED":
                    del self.pods[one.name]
                self.events += 1
                self.breaches += self._look(self.pods)
                self._changed.notify_all()

    def wait(
        self, holds: Callable[[dict[str, Seen]], bool], *, timeout_seconds: float = 60.0
    ) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: holds(self.pods), timeout_seconds)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
