"""What a playbook is: frozen values, spelled in the file as Kubernetes spells its own."""

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, field

from runner.model.examination import TargetCondition
from runner.model.report import Confidence, Severity
from runner.playbook import fields
from runner.playbook.base import Document, Spec
from runner.playbook.conditions import Condition
from runner.playbook.debugger import Debugger
from runner.playbook.parsing import Parse
from runner.playbook.use import MAX_USED

API_VERSION = "podmedic.io/v1alpha1"

ObjectKind = Literal[
    "Deployment", "StatefulSet", "DaemonSet", "Job", "HorizontalPodAutoscaler", "Service", "Pod"
]


_OTHER_POLICIES = re.compile(r"(?<![.\w])policies\b(?!\.(?:blocked|withoutDns)\b)")


class Owner(Spec, frozen=True, kw_only=True):
    """A workload, by what people know it as: the Deployment, not its ReplicaSet."""

    kind: fields.Kind
    """Kind of the workload: `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob`, `Pod`."""
    name: Annotated[str, Meta(min_length=1)] = "*"
    """Name of the workload; `*`, `?` and `[...]` as in a shell."""


class Sample(Spec, frozen=True, kw_only=True):
    """How many replicas of each workload to look at."""

    per_owner: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """At most so many of the pods that the other lines select: ill ones first, spread over nodes
    and revisions. The others are `skipped`. Without it all of them."""
    control: Annotated[int, Meta(ge=0, le=10)] = 0
    """So many healthy pods of each workload with ill ones are looked at beside them, whatever
    `conditions` say; conditions see what they said as `control`."""


class Targets(Spec, frozen=True, kw_only=True):
    """Which pods to examine: those that meet every line given. Without any line, all pods of the
    namespaces that the command line names."""

    selector: fields.LabelSelector = ""
    """Label selector in kubectl's grammar: `app in (web, worker),tier!=cache`."""
    field_selector: fields.FieldSelector = ""
    """Field selector: `status.phase=Running`."""
    namespaces: tuple[fields.DnsLabel, ...] = ()
    """Only pods in one of these namespaces."""
    owners: tuple[Owner, ...] = ()
    """Only pods of one of these workloads."""
    conditions: tuple[TargetCondition, ...] = ()
    """Only pods that show at least one of these, now or between two restarts."""
    min_restarts: Annotated[int, Meta(ge=0)] | None = None
    """Only pods with a container that was restarted at least so often."""
    min_age_seconds: Annotated[int, Meta(ge=0)] | None = None
    """Only pods at least so old."""
    max_age_seconds: Annotated[int, Meta(ge=0)] | None = None
    """Only pods at most so old."""
    sample: Sample = Sample()
    """Not all replicas of a workload, or a healthy one beside them."""
    container: fields.DnsLabel | None = None
    """Name of the target container. Default: the sick one, else the one that the annotation
    `kubectl.kubernetes.io/default-container` names, else the first."""


class LogEvidence(Spec, frozen=True, kw_only=True):
    """How much of the application's log is read from the API, before anything is injected."""

    per_owner: Annotated[int, Meta(ge=0, le=1000)] = 1
    """For how many pods of each workload and way of ending; replicas that ended in the same way
    share what was read."""
    tail_lines: Annotated[int, Meta(ge=1, le=10_000)] = 200
    """The last so many lines."""
    limit_bytes: Annotated[int, Meta(ge=1, le=4 << 20)] = 524_288
    """The last so many bytes of those lines."""
    search_bytes: Annotated[int, Meta(ge=0, le=64 << 20)] = 16 << 20
    """Where these lines of an instance that ended do not say why, so many first bytes of its log
    are searched for what does; 0 for none. What the kubelet rotated away nobody can read."""


class EvidenceSpec(Spec, frozen=True, kw_only=True):
    """What is read from the API about each pod."""

    logs: LogEvidence = LogEvidence()
    """Log of the target container, or of the instance before if that one died; with it those of up
    to four other containers of the pod that run or ended with an error
    (`logs.neighbours`)."""
    events: bool = True
    """Events about the pod."""
    changes: bool = False
    """What changed in the pod template of a workload whose pods are ill, since the revision before,
    and which of its ConfigMaps were changed since the pods were made; the report shows it beside
    the cause, conditions see `changes` and `configurationChanges`."""


class Retry(Spec, frozen=True, kw_only=True):
    """A step that exits with another code than 0 is run again, inside the container."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 1
    """1 means no retry. Every attempt is kept."""
    backoff_seconds: Annotated[int, Meta(ge=0, le=60)] = 1
    """Wait between two attempts."""


class Needs(Spec, frozen=True, kw_only=True):
    """What a step cannot do without. It is `not-evaluated`, never failed, where that is missing."""

    tools: tuple[fields.ToolName, ...] = ()
    """Commands that must be on the PATH of the debugger's image."""
    target: bool = False
    """True when the step looks at the target container's processes."""
    image: bool = False
    """True when the step looks at the file system of the target's image: below `$PODMEDIC_ROOT`."""
    capabilities: tuple[fields.Capability, ...] = ()
    """Linux capabilities that it takes, such as NET_RAW; only a process of root has any."""


class Collect(Spec, frozen=True, kw_only=True):
    """Files to keep, as one tar that is never unpacked, after all steps have run. They come through
    exec from the container, so it must stay: `debugger.lifetime: resident`. They are kept as they
    are: nothing in them is redacted."""

    paths: Annotated[
        tuple[fields.CollectedPath, ...],
        Meta(min_length=1, max_length=20),
    ]
    """Files and folders, absolute; `$PODMEDIC_ROOT/` in front stands for the file system of the
    target."""
    limit_bytes: Annotated[int, Meta(ge=1, le=1 << 30)] = 64 << 20
    """Of a larger tar nothing is kept, and the report says so."""
    timeout_seconds: Annotated[int, Meta(ge=1, le=600)] = 60
    """For the transfer."""


class Step(Spec, frozen=True, kw_only=True):
    """One command in the debugger's container."""

    also_in_schema: ClassVar[Mapping[str, Any]] = {
        "oneOf": [{"required": ["run"]}, {"required": ["script"]}]
    }

    name: fields.StepName
    """Unique in the playbook; conditions call it `steps.NAME`."""
    description: str = ""
    """What it finds out, for the report."""
    run: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    """The command and its arguments; no shell looks at them."""
    script: Annotated[str, Meta(min_length=1)] | None = None
    """Or a script for the POSIX shell of the image."""
    timeout_seconds: Annotated[int, Meta(ge=1, le=600)] = 10
    """Each attempt is killed after that."""
    retry: Retry = Retry()
    """Whether to try again after a failure."""
    output_limit_bytes: Annotated[int, Meta(ge=1, le=16 << 20)] = 262_144
    """So many first bytes of stdout, and of stderr, are kept."""
    needs: Needs = Needs()
    """Without these it is `not-evaluated`."""
    parse: Parse | None = None
    """Reads stdout into `steps.NAME.parsed`."""
    collect: Collect | None = None
    """Files to keep, beside what the step says."""


class Match(Spec, frozen=True, kw_only=True):
    """Looks for a pattern in texts; the finding holds when one matches, and `match.NAME` has its
    named groups."""

    sources: Annotated[tuple[fields.Reference, ...], Meta(min_length=1)] = field(name="in")
    """The texts to look in, in this order: `logs.last`, `container.message`, `steps.NAME.stdout`,
    `events.REASON`."""
    patterns: Annotated[tuple[fields.Pattern, ...], Meta(min_length=1, max_length=100)]
    """re2 patterns, tried in this order; in each text the last match counts."""
    last_lines: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Look only in the last so many lines of each text, empty ones not counted."""


class Refutation(Spec, frozen=True, kw_only=True):
    """What shows that the cause is not there. It is asked of an ill pod for which the rule does not
    hold, and the report says it under "Checked and ruled out"."""

    each: fields.Cel | None = None
    """CEL list; `when` is asked once for each element, which is called `item`."""
    when: fields.Cel = "true"
    """CEL condition: not that nothing was found, but that what was looked at is well."""
    message: fields.TemplateText
    """What was seen, as one sentence."""


class FindingRule(Spec, frozen=True, kw_only=True):
    """A judgement about one pod, or with `workloads` one object, made of facts."""

    id: fields.RuleId
    """Unique in the playbook."""
    when: fields.Cel = "true"
    """CEL condition."""
    each: fields.Cel | None = None
    """CEL list; the rule is judged once for each element, which is called `item`."""
    match: Match | None = None
    """Holds only when a pattern is found; what it captured is `match.NAME`, also for `when`."""
    unless: tuple[fields.RuleId, ...] = ()
    """Not reported for a pod for which one of these rules, which stand before it, was."""
    fallback: bool = False
    """Judged only when no other rule of the playbook was reported for the pod."""
    severity: Severity
    """How bad it is."""
    confidence: Confidence = Confidence.LIKELY
    """How sure it is."""
    about: fields.TemplateText = ""
    """KIND/NAME of what the finding is about, in the pod's namespace: `Service/web`. Default: the
    workload of the pod."""
    title: fields.TemplateText
    """A few words."""
    message: fields.TemplateText
    """The cause as one sentence. Pods of a workload with the same sentence are one finding."""
    remediation: fields.TemplateText = ""
    """What to do about it."""
    evidence: tuple[fields.Reference, ...] = ()
    """What to show: `logs.last`, `steps.NAME.stdout`, `events.REASON`, `container.message`,
    `container.status`; with `workloads`: `object.message`, `object.status`, `events.REASON`."""
    lines: fields.Pattern | None = None
    """re2 pattern: only lines that match are shown as evidence; the last ones otherwise."""
    refuted: Refutation | None = None
    """What shows that it is not so."""
    kinds: tuple[ObjectKind, ...] = ()
    """With `workloads`: which kinds of object it judges. Default: all. A kind that no rule judges
    is not asked for."""
    sign: Literal["Warning", "NoPods"] | None = None
    """With `workloads`: what must be there for it to hold, so that objects need not be asked for
    without it. `Warning`: an event of that type about an object of its kinds, or about a ReplicaSet
    of a Deployment; `NoPods`, for Services: no pod that was looked at is selected. Default: it may
    always hold."""

    def is_about(self, kind: str) -> bool:
        """Whether it judges objects of that kind."""
        return not self.kinds or kind in self.kinds

    @cached_property
    def version(self) -> str:
        """8 hexadecimal digits, others for a rule that says or asks something else."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]


class PlaybookSpec(Spec, frozen=True, kw_only=True):
    """What to do. A playbook without steps judges by what the API says alone."""

    includes: Annotated[tuple[fields.DnsLabel, ...], Meta(max_length=50)] = ()
    """Built-in playbooks that are run as well, each on the pods that it means itself."""
    use: Annotated[tuple[fields.Used, ...], Meta(max_length=MAX_USED)] = ()
    """Steps and rules of built-in playbooks, as if they stood here before one's own:
    `image-pull/image-*`, PLAYBOOK/NAME with `*` and `?` as in a shell. A rule's `unless` forgets
    what is not used."""
    targets: Targets = Targets()
    """Which pods to examine."""
    debugger: Debugger = Debugger()
    """The container that runs the steps."""
    evidence: EvidenceSpec = EvidenceSpec()
    """What to read from the API."""
    deadline_seconds: Annotated[int, Meta(ge=1, le=3600)] = 120
    """All steps of a pod together end after that."""
    expects_change: bool = False
    """True when the steps are meant to change the app: then a container that ends meanwhile does
    not stop the sweep. It is reported all the same."""
    steps: Annotated[tuple[Step, ...], Meta(max_length=100)] = ()
    """Commands, run in this order."""
    findings: Annotated[tuple[FindingRule, ...], Meta(max_length=500)] = ()
    """Judgements of pods, made in this order."""
    workloads: Annotated[tuple[FindingRule, ...], Meta(max_length=500)] = ()
    """Judgements of workloads, Services and pods that are being deleted, from the API alone, made
    after those of pods and in this order. Lines of `targets` that are about pods do not concern
    them; with a field selector there are none."""


class Metadata(Spec, frozen=True, kw_only=True):
    """What the playbook is called and what for."""

    name: fields.DnsLabel
    """Name of the playbook: lower case letters, digits and `-`."""
    description: str = ""
    """The question it answers."""


class Playbook(Document, frozen=True, kw_only=True):
    """One file: which pods to examine, what to run in them, and what it means."""

    kind: Literal["Playbook"]
    """Always `Playbook`."""
    metadata: Metadata
    """What it is called and what for."""
    spec: PlaybookSpec
    """Which pods, which commands, which judgements."""

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def rule_versions(self) -> dict[str, str]:
        return {each.id: each.version for each in (*self.spec.findings, *self.spec.workloads)}

    @property
    def target_container(self) -> str:
        """Name of the container to examine, or empty: as the pod's state suggests."""
        return self.spec.targets.container or self.spec.debugger.target_container_name or ""

    @property
    def adapts_profile(self) -> bool:
        """Whether the security context of its container depends on pod and namespace."""
        return bool(self.spec.steps) and self.spec.debugger.profile == "auto"

    @property
    def compares_services(self) -> bool:
        """Whether a step wants to know what stands behind the Services that the pod names."""
        return any("PODMEDIC_SERVICES" in (step.script or "") for step in self.spec.steps)

    @property
    def reads_policies(self) -> bool:
        """Whether it asks what NetworkPolicies say."""
        return self._asks("policies")

    @property
    def reads_all_policies(self) -> bool:
        """Whether it asks for more than those that keep a pod from a host that it names."""
        return any(
            _OTHER_POLICIES.search(text)
            for rule in self.spec.findings
            for asked in (rule, rule.refuted)
            if asked is not None
            for text in (asked.when, asked.each or "")
        )

    @property
    def asks_for_services(self) -> bool:
        """Whether it wants to know which Services select the pod."""
        return self._asks("services")

    @property
    def reads_services(self) -> bool:
        """Whether Services matter to it, those that stand behind a host of a policy as well."""
        return (
            self.judges("Service")
            or self.compares_services
            or self.asks_for_services
            or self.reads_policies
        )

    def judges(self, kind: ObjectKind) -> bool:
        return any(rule.is_about(kind) for rule in self.spec.workloads)

    def _asks(self, fact: str) -> bool:
        return any(
            fact in Condition.compile(text).variables
            for rule in self.spec.findings
            for text in (rule.when, rule.each or "true")
        )

    @property
    def reads_objects(self) -> bool:
        """Whether it judges by workloads and Services, not by pods alone."""
        others = any(set(rule.kinds) != {"Pod"} for rule in self.spec.workloads)
        return others or self.compares_services or self.asks_for_services

    def place(self, rule: str) -> str:
        """FILE:LINE of the rule of that id, which may be borrowed from another playbook."""
        return str(self.__dict__.get("places", {}).get(rule, ""))

    def rules_stand(self, places: Mapping[str, str]) -> None:
        """For those who read it: FILE:LINE of each rule by its id."""
        self.__dict__["places"] = places
