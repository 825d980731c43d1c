"""The ephemeral container, built field by field from a pod and the debugger's settings. Pure."""

from runner.injection.container import (
    Built,
    build_container,
    container_name,
)
from runner.injection.endpoints import Endpoint, endpoints_of
from runner.injection.profile import ProfileChoice, choose_profile
from runner.injection.resident import find_resident, resident_digest
from runner.injection.strategy import Choice, Refused, choose_strategy, expanded

__all__ = [
    "Built",
    "Choice",
    "Endpoint",
    "ProfileChoice",
    "Refused",
    "build_container",
    "choose_profile",
    "choose_strategy",
    "container_name",
    "endpoints_of",
    "expanded",
    "find_resident",
    "resident_digest",
]
