"""The ephemeral container, built field by field from a pod and the debugger's settings. Pure."""

from runner.injection.capabilities import missing_capabilities
from runner.injection.container import (
    Built,
    build_container,
    container_name,
    start_of,
)
from runner.injection.copy import (
    EXPIRES_ANNOTATION,
    copy_body,
    run_label,
)
from runner.injection.endpoints import Endpoint, endpoints_of, shown_address
from runner.injection.profile import ProfileBounds, ProfileChoice, choose_profile
from runner.injection.resident import find_resident, resident_digest
from runner.injection.services import SERVICES_VARIABLE, ServiceMap
from runner.injection.settings import security_for
from runner.injection.strategy import Choice, Refused, choose_strategy, expanded

__all__ = [
    "EXPIRES_ANNOTATION",
    "SERVICES_VARIABLE",
    "Built",
    "Choice",
    "Endpoint",
    "ProfileBounds",
    "ProfileChoice",
    "Refused",
    "ServiceMap",
    "build_container",
    "choose_profile",
    "choose_strategy",
    "container_name",
    "copy_body",
    "endpoints_of",
    "expanded",
    "find_resident",
    "missing_capabilities",
    "resident_digest",
    "run_label",
    "security_for",
    "shown_address",
    "start_of",
]
