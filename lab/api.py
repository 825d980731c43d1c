"""As much of a Kubernetes client as starting a lab takes; stdlib only."""

import atexit
import contextlib
import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.layout import LabError

_TIMEOUT_SECONDS = 60.0
_HEADERS = {"User-Agent": "podmedic-lab"}


class UnreachableError(LabError):
    """No answer from the API server: not up yet, or gone."""


@dataclass(frozen=True)
class Api:
    """The lab's API server as its administrator; `pki` holds ca.crt, admin.crt and admin.key."""

    server: str
    pki: Path

    def get(self, path: str) -> dict[str, Any]:
        """Raises `LabError` for any status but 200."""
        status, body = self._request("GET", path)
        if status != http.client.OK:
            raise LabError(f"GET {path}: {status} {_message(body)}")
        value: dict[str, Any] = json.loads(body)
        return value

    def exists(self, path: str) -> bool:
        """Raises `UnreachableError`."""
        return self._request("GET", path)[0] == http.client.OK

    def delete(self, path: str) -> None:
        """Asks for deletion and does not wait; what is gone already is fine.

        Raises `UnreachableError`, and `LabError` where the API server refuses.
        """
        status, body = self._request("DELETE", path)
        if status not in (http.client.OK, http.client.ACCEPTED, http.client.NOT_FOUND):
            raise LabError(f"DELETE {path}: {status} {_message(body)}")

    def ready(self) -> bool:
        try:
            return self._request("GET", "/readyz")[0] == http.client.OK
        except UnreachableError:
            return False

    def apply(self, path: str, manifest: str) -> None:
        """Server-side apply of one object, YAML or JSON, at its own path.

        Raises `UnreachableError`, and `LabError` where the API server refuses.
        """
        query = "fieldManager=podmedic-lab&force=true&fieldValidation=Strict"
        status, body = self._request("PATCH", f"{path}?{query}", manifest.encode())
        if status not in (http.client.OK, http.client.CREATED):
            raise LabError(f"apply {path}: {status} {_message(body)}")

    def token(self, namespace: str, account: str) -> str:
        """An hour's of a ServiceAccount. Raises `UnreachableError`, `LabError`."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        status, body = self._request("POST", path, json.dumps(request).encode(), "application/json")
        if status != http.client.CREATED:
            raise LabError(f"POST {path}: {status} {_message(body)}")
        return str(json.loads(body)["status"]["token"])

    def await_object(
        self,
        collection: str,
        name: str,
        wanted: Callable[[dict[str, Any]], bool],
        timeout_seconds: float = 180.0,
    ) -> dict[str, Any]:
        """The object as soon as it is there and as wanted, on one watch. Raises `LabError`."""
        deadline = time.monotonic() + timeout_seconds
        latest: dict[str, Any] | None = None
        while (left := deadline - time.monotonic()) > 0:
            for latest in self._states(collection, name, left):
                if wanted(latest):
                    return latest
        status = "not there" if latest is None else json.dumps(latest.get("status"))
        raise LabError(f"{collection}/{name}: not as wanted for {timeout_seconds:.0f} s: {status}")

    def _states(self, collection: str, name: str, seconds: float) -> Iterator[dict[str, Any]]:
        """What the object is now, and each change, until the API server ends the watch."""
        connection = self._new_connection()
        try:
            connection.timeout = seconds + _TIMEOUT_SECONDS
            query = f"fieldSelector=metadata.name={name}&timeoutSeconds={seconds + 1:.0f}"
            connection.request("GET", f"{collection}?watch=true&{query}", headers=_HEADERS)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise LabError(f"watch {collection}: {answer.status} {_message(answer.read())}")
            for line in answer:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]
                elif event["type"] == "ERROR":
                    return
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.server} does not answer: {error}") from error
        finally:
            connection.close()

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/apply-patch+yaml",
    ) -> tuple[int, bytes]:
        content = {} if body is None else {"Content-Type": content_type}
        # Every request of ours can be sent twice; a connection left open may be gone by now.
        while True:
            connection = self._connection()
            was_open = connection.sock is not None
            try:
                connection.request(method, path, body, _HEADERS | content)
                answer = connection.getresponse()
                found = answer.status, answer.read()
            except BaseException as error:
                connection.close()
                if not isinstance(error, (OSError, http.client.HTTPException)):
                    raise
                if not was_open or isinstance(error, TimeoutError):
                    raise UnreachableError(f"{self.server} does not answer: {error}") from error
            else:
                self._idle().append(connection)
                return found

    def _connection(self) -> http.client.HTTPSConnection:
        """One that nobody uses, or a new one: a handshake costs both sides more than a request."""
        with contextlib.suppress(IndexError):
            return self._idle().pop()
        return self._new_connection()

    def _new_connection(self) -> http.client.HTTPSConnection:
        where = urlsplit(self.server)
        return http.client.HTTPSConnection(
            where.hostname or "",
            where.port,
            context=_context(self.pki, self._made_at),
            timeout=_TIMEOUT_SECONDS,
        )

    def _idle(self) -> list[http.client.HTTPSConnection]:
        # A child that was forked does not speak on its parent's.
        return _idle.setdefault((self.server, self._made_at, os.getpid()), [])

    @property
    def _made_at(self) -> int:
        """A new lab has new keys."""
        return (self.pki / "admin.crt").stat().st_mtime_ns


_idle: dict[tuple[str, int, int], list[http.client.HTTPSConnection]] = {}


@atexit.register
def _close() -> None:
    for connections in _idle.values():
        for connection in connections:
            connection.close()


@lru_cache(maxsize=8)
def _context(pki: Path, made_at: int) -> ssl.SSLContext:  # noqa: ARG001  of those keys
    """To read the keys takes longer than most requests."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return context


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:300].decode(errors="replace")
