"""All that a run saw, before anybody judged it: kept in the run directory."""

from datetime import datetime

from runner.model.base import Value
from runner.model.changes import ConfigurationChange, RevisionChange
from runner.model.examination import Examination
from runner.model.objects import Objects
from runner.model.report import PodResult, Run
from runner.model.trigger import Aim


class SeenPod(Value, frozen=True, kw_only=True):
    """A selected pod: what is known of it and how looking at it went, before anybody judged.
    `playbooks` are the names of those that mean it, `control_of` of those for which it is a healthy
    one to compare with; `skipped` ones are not judged."""

    examination: Examination
    result: PodResult
    playbooks: tuple[str, ...] = ()
    control_of: tuple[str, ...] = ()
    skipped: bool = False


class Seen(Value, frozen=True, kw_only=True):
    """Everything in it has passed the choke point. `at` is when the rules were asked, `run` what
    the report says of the run but for what the playbooks make of it. `events_unknown`,
    `changes_unknown` and `configuration_unknown` say why those could not be had; `objects_meant`
    is false for a selection that means pods alone. No pod was found in `namespaces_missing`, which
    do not exist, nor in `namespaces_unknown`, of which that is not known. `aims` are what the
    alerts that started the run are about."""

    api_version: str
    run: Run
    at: datetime
    label_selector: str = ""
    objects_meant: bool = True
    aims: tuple[Aim, ...] = ()
    events_unknown: str = ""
    pods: tuple[SeenPod, ...] = ()
    objects: Objects = Objects()
    changes: tuple[RevisionChange, ...] = ()
    changes_unknown: str = ""
    configuration_changes: tuple[ConfigurationChange, ...] = ()
    configuration_unknown: str = ""
    namespaces_missing: tuple[str, ...] = ()
    namespaces_unknown: tuple[str, ...] = ()
