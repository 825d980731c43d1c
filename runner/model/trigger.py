"""Why a run was started: the alerts, or the request, and which pods each of them is about."""

from datetime import datetime

from runner.model.base import Record

API_VERSION = "podmedic.io/v1alpha1"


class PodTarget(Record, frozen=True, kw_only=True):
    """The pods that an alert is about: those of `namespace` that meet every line which is not
    empty. `workload` is KIND/NAME, `selector` a label selector, `container` the one to look into
    where a pod has it."""

    namespace: str
    pod: str = ""
    container: str = ""
    workload: str = ""
    selector: str = ""


class Aim(Record, frozen=True, kw_only=True):
    """Playbooks, by name, and the pods that they are to look at."""

    target: PodTarget
    playbooks: tuple[str, ...]


class Alert(Record, frozen=True, kw_only=True):
    """One alert as it came, shortened, and what the routes made of it: without `aim` nothing is
    started for it, `reason` says why. `firing` and `endsAt` are as it came, `endsAt` null while it
    fires; `resolvedAt` is when it ended afterwards, null where the run did not hear of that before
    its report."""

    name: str
    fingerprint: str
    firing: bool
    starts_at: datetime
    ends_at: datetime | None
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str
    route: str
    aim: Aim | None
    reason: str
    resolved_at: datetime | None = None


class Asked(Record, frozen=True, kw_only=True):
    """A request of somebody who is no alert: what for, in the requester's words."""

    aim: Aim
    reason: str


class Trigger(Record, frozen=True, kw_only=True):
    """What started the run. `source` is `alertmanager`, `grafana` or `request`; `receivedAt` is
    when it came to podmedic, `groupKey` what the sender calls the group of alerts. `notShown`
    counts the alerts of the group that this run is not about."""

    api_version: str = API_VERSION
    kind: str = "Trigger"
    id: str = ""
    source: str
    received_at: datetime
    receiver: str = ""
    group_key: str = ""
    external_url: str = ""
    alerts: tuple[Alert, ...] = ()
    asked: Asked | None = None
    not_shown: int = 0

    def aims(self) -> tuple[Aim, ...]:
        """Each once, in the order of the alerts."""
        found = [alert.aim for alert in self.alerts if alert.aim is not None and alert.firing]
        if self.asked is not None:
            found.append(self.asked.aim)
        unique: list[Aim] = []
        for aim in found:
            if aim not in unique:
                unique.append(aim)
        return tuple(unique)
