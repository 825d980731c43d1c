"""The floor: `python -m bench.bare_loop NAMESPACE IMAGE SCRIPT`: a PATCH for each pod, one watch.

No plan, no evidence, no log, no report, no retry: nothing that examines pods can be quicker. It
prints how many containers have ended.
"""

import asyncio
import base64
import json
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pycurl
import yaml

_CONTAINER = "bare-loop"
_PATCH = "application/strategic-merge-patch+json"


class _Server:
    """Server and credentials of the kubeconfig, in which the lab embeds them."""

    def __init__(self) -> None:
        config = yaml.load(Path(os.environ["KUBECONFIG"]).read_bytes(), Loader=yaml.CSafeLoader)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = cluster["server"]
        self._pem = {
            pycurl.CAINFO_BLOB: base64.b64decode(cluster["certificate-authority-data"]),
            pycurl.SSLCERT_BLOB: base64.b64decode(user["client-certificate-data"]),
            pycurl.SSLKEY_BLOB: base64.b64decode(user["client-key-data"]),
        }

    def handle(self, path: str, write: Any) -> pycurl.Curl:
        handle = pycurl.Curl()
        for option, pem in self._pem.items():
            handle.setopt(option, pem)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.URL, self.address + path)
        handle.setopt(pycurl.WRITEFUNCTION, write)
        return handle


def _ended(pod: dict[str, Any]) -> bool:
    return any(
        status["name"] == _CONTAINER and "terminated" in status["state"]
        for status in pod["status"].get("ephemeralContainerStatuses", ())
    )


async def _loop(namespace: str, image: str, script: str) -> int:
    server = _Server()
    path = f"/api/v1/namespaces/{namespace}/pods"
    container = {"name": _CONTAINER, "image": image, "command": ["/bin/sh", "-c", script]}
    body = json.dumps({"spec": {"ephemeralContainers": [container]}}).encode()
    async with pycurl.AsyncCurlMulti() as multi:

        async def answer(handle: pycurl.Curl, into: BytesIO) -> bytes:
            await multi.perform(handle)
            if handle.getinfo(pycurl.RESPONSE_CODE) != 200:
                raise OSError(into.getvalue())
            return into.getvalue()

        into = BytesIO()
        listed = json.loads(await answer(server.handle(path, into.write), into))
        names = [pod["metadata"]["name"] for pod in listed["items"]]

        async def patch(name: str) -> None:
            into = BytesIO()
            handle = server.handle(f"{path}/{name}/ephemeralcontainers", into.write)
            handle.setopt(pycurl.CUSTOMREQUEST, "PATCH")
            handle.setopt(pycurl.POSTFIELDS, body)
            handle.setopt(pycurl.HTTPHEADER, [f"Content-Type: {_PATCH}"])
            await answer(handle, into)

        patches = asyncio.gather(*map(patch, names))
        left, rest, done = set(names), bytearray(), asyncio.Event()

        def watched(data: bytes) -> None:
            rest.extend(data)
            *lines, end = rest.split(b"\n")
            rest[:] = end
            for line in lines:
                pod = json.loads(line)["object"]
                if _ended(pod):
                    left.discard(pod["metadata"]["name"])
            if not left:
                done.set()

        version = listed["metadata"]["resourceVersion"]
        multi.add_handle(server.handle(f"{path}?watch=true&resourceVersion={version}", watched))
        await patches
        await done.wait()
    return len(names)


def main() -> None:
    namespace, image, script = sys.argv[1:]
    print(asyncio.run(_loop(namespace, image, script)))


if __name__ == "__main__":
    main()
