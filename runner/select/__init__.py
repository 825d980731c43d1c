"""Which pods a playbook means, what state they are in, and which container is the sick one.

Pure: functions of a pod as the API server shows it and of the time.
"""

from runner.select.aims import aimed_at, container_meant, target_means, workload_aimed_at
from runner.select.condition import (
    app_status,
    app_statuses,
    condition_status,
    conditions_of,
    container_crash_loops,
    is_healthy,
    restarted_within,
)
from runner.select.labels import selector_may_mean, selector_means, selector_must_mean
from runner.select.node import node_pool
from runner.select.sample import Replica, controls, revision_hash, sample
from runner.select.targets import (
    COPY_LABEL,
    Skip,
    matches,
    owner_matches,
    owner_matches_workload,
    skip_reason,
)
from runner.select.workload import choose_container, workload_of

__all__ = [
    "COPY_LABEL",
    "Replica",
    "Skip",
    "aimed_at",
    "app_status",
    "app_statuses",
    "choose_container",
    "condition_status",
    "conditions_of",
    "container_crash_loops",
    "container_meant",
    "controls",
    "is_healthy",
    "matches",
    "node_pool",
    "owner_matches",
    "owner_matches_workload",
    "restarted_within",
    "revision_hash",
    "sample",
    "selector_may_mean",
    "selector_means",
    "selector_must_mean",
    "skip_reason",
    "target_means",
    "workload_aimed_at",
    "workload_of",
]
