"""What a sweep was asked to do, and the bounds it keeps."""

from dataclasses import dataclass, field

from runner.examine import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the command line says on top of the playbooks.

    `namespaces` None means all of them; empty, those of the playbook or else `default_namespace`.
    """

    namespaces: tuple[str, ...] | None = ()
    default_namespace: str = "default"
    label_selector: str = ""
    field_selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At every instant at most this many pods are being examined; 0 lifts a limit."""

    max_in_flight: int = 32
    max_per_node: int = 10
    timeout_seconds: float = 900.0
    limits: Limits = field(default_factory=Limits)
