"""The log endpoint of simulated nodes: `python -m bench.kubelet LOG CERTIFICATE KEY ADDRESS`.

kwok moves the pods but has one log for all of them. This answers what the API server asks a
kubelet for, `/containerLogs/NAMESPACE/POD/CONTAINER`, from one recording with the container's
name put in. Prints its port when it listens, and ends with its stdin.
"""

import asyncio
import ssl
import sys
from pathlib import Path

from aiohttp import web

from bench.recording import PLACEHOLDER

_MARK = b"@podmedic "


def _application(log: bytes) -> web.Application:
    before, after = _MARK + PLACEHOLDER.encode() + b" ", b" "

    async def answer(request: web.Request) -> web.Response:
        name = request.match_info["container"].encode()
        own = log.replace(before, _MARK + name + after)
        limit = int(request.query.get("limitBytes", len(own)))
        return web.Response(body=own[:limit], content_type="text/plain")

    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    return application


async def _serve(log: bytes, certificate: str, key: str, address: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(_application(log), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, address, 0, ssl_context=context)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    # Whoever started us holds the other end; when they are gone, so are we.
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    log, certificate, key, address = sys.argv[1:]
    asyncio.run(_serve(Path(log).read_bytes(), certificate, key, address))


if __name__ == "__main__":
    main()
