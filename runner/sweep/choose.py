"""From the pods of a cluster, as they come page by page, to those that playbooks mean. Pure."""

from collections.abc import Sequence
from datetime import datetime

from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.plan import Selected
from runner.playbook import Playbook
from runner.record import PodRecord
from runner.select import (
    Replica,
    Skip,
    conditions_of,
    controls,
    is_healthy,
    matches,
    restarted_within,
    sample,
    skip_reason,
    workload_of,
)

NOT_SAMPLED = "NotSampled"
# Of a workload's healthy pods no more are kept in mind than may be asked for.
_MAX_CONTROLS = 10


class Chosen:
    """Keeps what is meant, and of the rest only healthy pods that may be compared with."""

    def __init__(
        self, playbooks: Sequence[Playbook], now: datetime, since_seconds: float = 0.0
    ) -> None:
        self._playbooks = playbooks
        self._now = now
        self._since_seconds = since_seconds
        self._decided = False
        self._pods: dict[str, Pod] = {}
        # By name of the playbook, then uid.
        self._meant: dict[str, dict[str, None]] = {p.name: {} for p in playbooks}
        self._controls: dict[str, dict[str, None]] = {p.name: {} for p in playbooks}
        self._healthy: dict[str, dict[Workload, list[Pod]]] = {p.name: {} for p in playbooks}

    def offer(self, pod: Pod, playbooks: Sequence[Playbook]) -> None:
        """A pod that the selectors of these playbooks select."""
        since = self._since_seconds
        recent = not since or restarted_within(pod, since, self._now)
        for playbook in playbooks:
            targets = playbook.spec.targets
            if recent and matches(targets, pod, self._now):
                self._pods[pod.metadata.uid] = pod
                self._meant[playbook.name][pod.metadata.uid] = None
            elif targets.sample.control and self._may_be_control(pod, playbook):
                known = self._healthy[playbook.name].setdefault(workload_of(pod), [])
                if len(known) < _MAX_CONTROLS:
                    known.append(pod)

    def _may_be_control(self, pod: Pod, playbook: Playbook) -> bool:
        """A healthy pod that only the lines about illness leave out."""
        ill = {"conditions": (), "min_restarts": None}
        anyone = playbook.spec.targets.changed(**ill)
        well = is_healthy(conditions_of(pod, self._now)) and skip_reason(pod) is None
        return well and matches(anyone, pod, self._now)

    def take(self, pod: Pod, record: PodRecord) -> None:
        """A pod of which that was decided before."""
        uid = pod.metadata.uid
        self._pods[uid] = pod
        self._decided = True
        for name in record.playbooks:
            self._meant.setdefault(name, {})[uid] = None
        for name in record.control_of:
            self._controls.setdefault(name, {})[uid] = None

    def selected(self) -> list[Selected]:
        """By namespace and name. Replicas for which others stand are among them, with a skip."""
        left_out: dict[str, Skip] = {}
        for playbook in () if self._decided else self._playbooks:
            wanted = playbook.spec.targets.sample
            if wanted.per_owner or wanted.control:
                for workload, replicas in self._by_workload(playbook).items():
                    left_out |= self._sample(playbook, workload, replicas)
        found = [self._one(uid, pod, left_out.get(uid)) for uid, pod in self._pods.items()]
        return sorted(found, key=lambda s: (s.pod.metadata.namespace, s.pod.metadata.name))

    def _by_workload(self, playbook: Playbook) -> dict[Workload, list[Replica]]:
        """Those that can be looked at; the others are skipped for what they are."""
        found: dict[Workload, list[Replica]] = {}
        for uid in self._meant[playbook.name]:
            pod = self._pods[uid]
            if skip_reason(pod) is None:
                ill = not is_healthy(conditions_of(pod, self._now))
                found.setdefault(workload_of(pod), []).append(Replica(pod, ill))
        return found

    def _sample(
        self, playbook: Playbook, workload: Workload, replicas: Sequence[Replica]
    ) -> dict[str, Skip]:
        """Leaves out of what the playbook means all but the sample and its controls; returns those
        that are left out, by uid."""
        name, wanted = playbook.name, playbook.spec.targets.sample
        kept = sample(replicas, wanted.per_owner) if wanted.per_owner else list(replicas)
        healthy = self._healthy[name].get(workload, [])
        well = [*(r for r in replicas if not r.ill), *(Replica(pod, ill=False) for pod in healthy)]
        compared = controls([each for each in kept if each.ill], well, wanted.control)
        for each in compared:
            uid = each.pod.metadata.uid
            self._pods[uid] = each.pod
            self._meant[name][uid] = self._controls[name][uid] = None
        stay = {each.pod.metadata.uid for each in (*kept, *compared)}
        away = [r.pod.metadata.uid for r in replicas if r.pod.metadata.uid not in stay]
        for uid in away:
            del self._meant[name][uid]
        why = (
            f"playbook {name} looks at {len(kept)} of the {len(replicas)} pods of "
            f"{workload.kind} {workload.name}"
        )
        return dict.fromkeys(away, Skip(NOT_SAMPLED, why))

    def _one(self, uid: str, pod: Pod, skip: Skip | None) -> Selected:
        meant = tuple(p for p in self._playbooks if uid in self._meant[p.name])
        return Selected(
            pod=pod,
            playbooks=meant,
            control_of=tuple(p.name for p in meant if uid in self._controls[p.name]),
            # What one playbook leaves out another one may look at.
            skip=None if meant else skip,
        )
