"""The floor: `python -m bench.bare_loop NAMESPACE IMAGE SCRIPT`: a PATCH for each pod, one watch.

No plan, no evidence, no log, no report, no retry: nothing that examines pods can be quicker. It
prints how many containers have ended.
"""

import asyncio
import base64
import json
import os
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import yaml

_CONTAINER = "bare-loop"
_PATCH = "application/strategic-merge-patch+json"


def _connection() -> tuple[str, ssl.SSLContext]:
    """Server and credentials of the kubeconfig, in which the lab embeds them."""
    config = yaml.load(Path(os.environ["KUBECONFIG"]).read_bytes(), Loader=yaml.CSafeLoader)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as pair:
        for key in ("client-certificate-data", "client-key-data"):
            pair.write(base64.b64decode(user[key]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return cluster["server"], context


def _ended(pod: dict[str, Any]) -> bool:
    return any(
        status["name"] == _CONTAINER and "terminated" in status["state"]
        for status in pod["status"].get("ephemeralContainerStatuses", ())
    )


async def _loop(namespace: str, image: str, script: str) -> int:
    server, context = _connection()
    path = f"{server}/api/v1/namespaces/{namespace}/pods"
    container = {"name": _CONTAINER, "image": image, "command": ["/bin/sh", "-c", script]}
    body = json.dumps({"spec": {"ephemeralContainers": [container]}})
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    unlimited = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=unlimited, read_bufsize=2**22
    ) as session:
        async with session.get(path) as answer:
            listed = await answer.json()
        names = [pod["metadata"]["name"] for pod in listed["items"]]

        async def patch(name: str) -> None:
            async with session.patch(
                f"{path}/{name}/ephemeralcontainers", data=body, headers={"Content-Type": _PATCH}
            ) as answer:
                answer.raise_for_status()
                await answer.read()

        patches = asyncio.gather(*map(patch, names))
        version, left = listed["metadata"]["resourceVersion"], set(names)
        async with session.get(f"{path}?watch=true&resourceVersion={version}") as answer:
            while left:
                event = json.loads(await answer.content.readline())
                if _ended(event["object"]):
                    left.discard(event["object"]["metadata"]["name"])
        await patches
    return len(names)


def main() -> None:
    namespace, image, script = sys.argv[1:]
    print(asyncio.run(_loop(namespace, image, script)))


if __name__ == "__main__":
    main()
