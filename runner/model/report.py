"""The report: what a sweep saw, as values. `report.json` is exactly this, and every other output
is a pure function of it."""

from datetime import datetime
from enum import StrEnum

from runner.model.base import Record
from runner.model.changes import ConfigurationChange, RevisionChange
from runner.model.harm import Harm
from runner.model.subject import PodRef, Workload
from runner.model.trigger import Trigger

API_VERSION = "podmedic.io/v1alpha1"


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Confidence(StrEnum):
    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


class PodOutcome(StrEnum):
    """How the examination of one selected pod ended: exactly one of these."""

    PASSED = "passed"  # examined, nothing found
    WARNED = "warned"  # examined, a finding of severity warning at most
    FAILED = "failed"  # examined, a critical finding
    ERROR = "error"  # could not be examined: refused, would not start
    TIMEOUT = "timeout"  # a deadline passed first
    SKIPPED = "skipped"  # not examined by decision, `reason` says which
    UNKNOWN = "unknown"  # something ran, its result is lost or incomplete


class StepOutcome(StrEnum):
    """How one step ended. FAILED is an answer, ERROR and NOT_EVALUATED are the lack of one."""

    PASSED = "passed"  # exit code 0
    FAILED = "failed"  # any other exit code
    TIMEOUT = "timeout"  # ran longer than timeoutSeconds and was killed
    ERROR = "error"  # could not be run or its result did not arrive whole
    NOT_EVALUATED = "not-evaluated"  # was not run, `reason` says why


class OutputInfo(Record, frozen=True, kw_only=True):
    """What there is to know of one output stream besides its text.

    `bytes` is what the command wrote, `keptBytes` what was kept of it (the first ones), `sha256`
    the hash of the kept bytes as they were in the pod, before redaction. `blob` names a file in
    the run directory with all kept bytes when `text` in the report is not all of them exactly.
    """

    bytes: int = 0
    kept_bytes: int = 0
    sha256: str = ""
    truncated: bool = False
    redactions: int = 0
    blob: str | None = None


class Attempt(Record, frozen=True, kw_only=True):
    """`startedAt` is the start of the container, which Kubernetes tells in whole seconds, and what
    the pod measured from there; null where it is not known."""

    number: int
    outcome: StepOutcome
    exit_code: int | None
    duration_seconds: float
    started_at: datetime | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_info: OutputInfo = OutputInfo()
    stderr_info: OutputInfo = OutputInfo()


class Artifact(Record, frozen=True, kw_only=True):
    """Files that a step collected: a tar in the run directory, as it came and not redacted, with
    the hash that the pod and we made of it. Without `path` nothing was kept, `reason` says why;
    with both, tar left something out."""

    path: str = ""
    bytes: int = 0
    sha256: str = ""
    reason: str = ""
    message: str = ""


class StepResult(Record, frozen=True, kw_only=True):
    """One step on one pod; exit code, duration and outputs are those of the last attempt."""

    playbook: str
    name: str
    outcome: StepOutcome
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    duration_seconds: float = 0.0
    stdout: str = ""
    stderr: str = ""
    attempts: tuple[Attempt, ...] = ()
    artifact: Artifact | None = None


class Injection(Record, frozen=True, kw_only=True):
    """What was done to a pod: an ephemeral container stays in its spec for ever. `reused`: it was
    there already. `transport` says how the result came: `log` of the container, its `status` where
    no step wrote anything, or `exec` into one that stays."""

    container: str
    image: str
    image_id: str = ""
    profile: str = ""
    profile_reason: str = ""
    strategy: str = ""
    target_container_name: str = ""
    injected_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reused: bool = False
    transport: str = "log"
    warnings: tuple[str, ...] = ()


class ContainerSummary(Record, frozen=True, kw_only=True):
    """State of one app container when the sweep looked, before anything was injected."""

    name: str
    state: str  # running, waiting, terminated
    reason: str = ""
    exit_code: int | None = None
    restart_count: int = 0
    ready: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    init: bool = False


class StrategyOutcome(StrEnum):
    """What became of one way of reaching a pod."""

    USED = "used"
    REFUSED = "refused"  # the pod's state did not admit it: nothing was sent
    FAILED = "failed"  # sent, and the container did not start


class StrategyAttempt(Record, frozen=True, kw_only=True):
    """One way of reaching a pod that was considered, in this order; `reason` and `message` say
    why it was not used, or why it did not work."""

    strategy: str
    outcome: StrategyOutcome
    reason: str = ""
    message: str = ""
    container: str = ""


class Moment(Record, frozen=True, kw_only=True):
    """Something that happened in the life of a pod. `what` is `created`, `scheduled`, `condition`,
    `ran` (a container, from `at` to `until`, null while it runs), `event`, `injected` (an ephemeral
    container, likewise) or `deleted`; `bad` says that it is no good sign. Events were seen `count`
    times, from `at` to `until`."""

    at: datetime
    until: datetime | None
    what: str
    container: str
    text: str
    count: int = 1
    bad: bool = False


class PodResult(Record, frozen=True, kw_only=True):
    """One selected pod. `container` is the name of the ephemeral container, empty if none was
    injected; `strategy` says how the pod was reached (`target`,
    `own-image`, `shared`, `catch`, `copy`, `none`), `strategies` what was considered. `harm` is
    null where nothing was injected. `timeline` is what is known of the life of a pod that did not
    pass, oldest first. A `control` was looked at because it is healthy, to compare with ill ones
    of its workload."""

    namespace: str
    name: str
    uid: str
    node: str
    workload: Workload
    outcome: PodOutcome
    reason: str = ""
    message: str = ""
    container: str = ""
    target_container: str = ""
    strategy: str = "none"
    strategies: tuple[StrategyAttempt, ...] = ()
    phase: str = ""
    containers: tuple[ContainerSummary, ...] = ()
    injections: tuple[Injection, ...] = ()
    harm: Harm | None = None
    steps: tuple[StepResult, ...] = ()
    timeline: tuple[Moment, ...] = ()
    control: bool = False


class Evidence(Record, frozen=True, kw_only=True):
    """`source` names where the excerpt comes from, in words: `log of container app, line 41`,
    `step resolve, stdout, attempt 1`, `event FailedMount x12`, `status of container app`."""

    source: str
    excerpt: str
    pod: str = ""


class Finding(Record, frozen=True, kw_only=True):
    """One cause in one container of one workload, however many pods show it. `ruleVersion` is
    another one whenever the rule is, `rulePlace` its FILE:LINE; built-in playbooks are
    `playbooks/NAME.yaml`."""

    rule: str
    playbook: str
    severity: Severity
    confidence: Confidence
    title: str
    message: str
    remediation: str
    workload: Workload
    container: str
    pods: tuple[PodRef, ...]
    evidence: tuple[Evidence, ...]
    fingerprint: str
    rule_version: str = ""
    rule_place: str = ""


class Refuted(Record, frozen=True, kw_only=True):
    """What shows, of `pod`, that the cause which `rule` looks for is not there."""

    rule: str
    message: str
    pod: PodRef


class RuledOut(Record, frozen=True, kw_only=True):
    """What need not be checked again of an ill workload: `checks` say what a look into its pods
    or at their state refuted; `rules` of the playbook were evaluated and hold for none of them."""

    workload: Workload
    container: str
    playbook: str
    checks: tuple[Refuted, ...]
    rules: tuple[str, ...]


NAMESPACE_NOT_FOUND = "NamespaceNotFound"
TEXT_NOT_RENDERED = "TextNotRendered"
"""Of a rule that was evaluated and holds."""


class NotEvaluated(Record, frozen=True, kw_only=True):
    """A question that got no answer. `subject` is `step NAME`, `rule NAME`, `fact NAME`, `pod` or
    `namespace NAME`; it never counts as healthy."""

    subject: str
    playbook: str
    reason: str
    message: str
    pods: tuple[PodRef, ...]


class PlaybookRef(Record, frozen=True, kw_only=True):
    """A playbook of the run; `sha256` is that of its text, `rules` the versions of its rules."""

    name: str
    source: str
    sha256: str
    rules: dict[str, str] = {}


class PolicyRef(Record, frozen=True, kw_only=True):
    """`sha256` of the file; empty for the policy that holds without one."""

    name: str
    sha256: str


class Run(Record, frozen=True, kw_only=True):
    id: str
    started_at: datetime
    finished_at: datetime
    playbooks: tuple[PlaybookRef, ...]
    runner_version: str
    cluster: str = ""
    namespaces: tuple[str, ...] = ()
    selector: str = ""
    # False: pods alone were meant (by fields, `--since`, an alert); workloads were not judged.
    objects_meant: bool = True
    interrupted: bool = False
    resumed: bool = False
    aborted: str = ""
    api_requests: int = 0
    policy: PolicyRef | None = None
    trigger: Trigger | None = None
    # False: the policy allowed `--no-redact`, and secrets may stand in outputs and logs.
    redacted: bool = True


class Completeness(Record, frozen=True, kw_only=True):
    """Of a playbook that has no rules: how many of the items that it asks of all its pods (steps,
    log, events, changes) are there and `whole`, as `percent` rounded down, and what is missing with
    the reason, the most frequent first, twenty at most; `notNeeded` is what was not asked for
    because there was no need, and counts for nothing."""

    playbook: str
    asked: int
    whole: int
    percent: int
    missing: tuple[str, ...] = ()
    not_needed: tuple[str, ...] = ()


class Summary(Record, frozen=True, kw_only=True):
    pods: int
    outcomes: dict[str, int]
    workloads_broken: int
    workloads_suspicious: int
    workloads_healthy: int
    workloads_not_examined: int
    steps: dict[str, int]
    not_evaluated: int
    # Added to the pods by this run; they leave a pod only with it.
    ephemeral_containers: int = 0
    # Rules asked of pods, each once for each pod: `evaluated` and `not-evaluated`.
    rules: dict[str, int] = {}
    # Of playbooks without rules, which collect for people.
    evidence: tuple[Completeness, ...] = ()
    # Kinds of objects that no rule could have said anything of, and why: they were not asked for.
    # What was forbidden is not evaluated.
    not_needed: dict[str, str] = {}


class Report(Record, frozen=True, kw_only=True):
    api_version: str
    kind: str
    run: Run
    summary: Summary
    pods: tuple[PodResult, ...]
    findings: tuple[Finding, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    changes: tuple[RevisionChange, ...] = ()
    configuration_changes: tuple[ConfigurationChange, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
