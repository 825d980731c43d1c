"""Where the lab's image registry answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Registry:
    """`address` is host:port, plain HTTP; `netns` the network namespace it answers in, or None
    for the machine's own."""

    address: str
    netns: str | None = None
