"""What a Python process can hang in; the first argument says which."""

import asyncio
import sys
import threading
import time

lock = threading.Lock()


def wait_for_lock() -> None:
    with lock:
        pass


def spin() -> None:
    count = 0
    while True:
        count += 1


def slow() -> None:
    time.sleep(3600)


async def handle() -> None:
    await asyncio.sleep(0.1)
    slow()


async def idle() -> None:
    await asyncio.Event().wait()


def main(what: str) -> None:
    if what == "locked":
        lock.acquire()
        for _ in range(8):
            threading.Thread(target=wait_for_lock, daemon=True).start()
    elif what == "busy":
        threading.Thread(target=spin, daemon=True).start()
    elif what == "blocked":
        asyncio.run(handle())
    elif what == "quiet":
        asyncio.run(idle())
    while True:
        time.sleep(1)


main(sys.argv[1])
