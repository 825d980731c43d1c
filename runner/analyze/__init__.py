"""From what was seen of each pod to findings that name the cause. Pure."""

from runner.analyze.configuration import configuration_changes, used_config_maps
from runner.analyze.facts import facts
from runner.analyze.judge import Judgement, judge, ranked
from runner.analyze.object_facts import missing_pods
from runner.analyze.objects import failed_jobs, judge_objects
from runner.analyze.policies import Policies
from runner.analyze.revisions import (
    Generation,
    of_controller_revision,
    of_replica_set,
    revision_changes,
)
from runner.analyze.timeline import timeline
from runner.playbook.exit_codes import explain_exit_code

__all__ = [
    "Generation",
    "Judgement",
    "Policies",
    "configuration_changes",
    "explain_exit_code",
    "facts",
    "failed_jobs",
    "judge",
    "judge_objects",
    "missing_pods",
    "of_controller_revision",
    "of_replica_set",
    "ranked",
    "revision_changes",
    "timeline",
    "used_config_maps",
]
