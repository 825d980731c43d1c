"""A rich report: a workload of every verdict, and strings that would hurt a careless renderer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from runner.model.report import (
    API_VERSION,
    NAMESPACE_NOT_FOUND,
    Attempt,
    Confidence,
    ContainerSummary,
    Evidence,
    Finding,
    Injection,
    NotEvaluated,
    OutputInfo,
    PlaybookRef,
    PodOutcome,
    PodResult,
    Refuted,
    Report,
    RuledOut,
    Run,
    Severity,
    StepOutcome,
    StepResult,
)
from runner.model.subject import PodRef, Workload
from runner.report import summarize

STARTED = datetime(2026, 11, 23, 3, 12, 40, tzinfo=UTC)
FINISHED = STARTED + timedelta(seconds=42)

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "{{7*7}}",
    "{% raw %}",
    "\x1b[31mred\x1b[0m\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
    "\x9b31mC1",
    "nul\x00byte",
    "overwritten\rshown",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "invalid \ufffd utf-8",
    "[bold red]markup[/bold red]",
    "javascript:alert(1)",
    "' onmouseover='alert(1)",
    "zero\u200bwidth\ufeff",
)


def workload(name: str, kind: str = "Deployment", namespace: str = "shop") -> Workload:
    return Workload(kind=kind, namespace=namespace, name=name)


def ref(name: str, namespace: str = "shop") -> PodRef:
    return PodRef(namespace=namespace, name=name)


def step(
    name: str,
    stdout: str = "",
    *,
    exit_code: int | None = 0,
    stderr: str = "",
    playbook: str = "crashloop",
    tries: int = 1,
) -> StepResult:
    outcome = StepOutcome.PASSED if exit_code == 0 else StepOutcome.FAILED
    made = tuple(
        Attempt(
            number=number,
            outcome=outcome,
            exit_code=exit_code,
            duration_seconds=0.12 * number,
            started_at=STARTED + timedelta(seconds=3 + number),
            stdout=stdout,
            stderr=stderr,
            stdout_info=OutputInfo(bytes=len(stdout), kept_bytes=len(stdout)),
        )
        for number in range(1, tries + 1)
    )
    return StepResult(
        playbook=playbook,
        name=name,
        outcome=outcome,
        exit_code=exit_code,
        duration_seconds=made[-1].duration_seconds,
        stdout=stdout,
        stderr=stderr,
        attempts=made,
    )


@dataclass(frozen=True)
class State:
    """One line about the app container of a sample pod."""

    reason: str = ""
    exit_code: int | None = None
    restarts: int = 0


HEALTHY = State()


def pod(
    name: str,
    owner: Workload,
    outcome: PodOutcome,
    *,
    state: State = HEALTHY,
    steps: tuple[StepResult, ...] = (),
    reason: str = "",
    message: str = "",
    strategy: str = "own-image",
) -> PodResult:
    injected = bool(steps)
    container = f"podmedic-{name[-5:]}" if injected else ""
    injection = Injection(
        container=container,
        image="registry.example/podmedic/tools@sha256:4f1c",
        image_id="sha256:99aa",
        profile="restricted",
        strategy=strategy,
        target_container_name="app",
        injected_at=STARTED + timedelta(seconds=2),
        started_at=STARTED + timedelta(seconds=3),
        finished_at=STARTED + timedelta(seconds=9),
        warnings=("would violate PodSecurity restricted",) if strategy == "shared" else (),
    )
    return PodResult(
        namespace=owner.namespace,
        name=name,
        uid=f"5a1c0f3e-{name}",
        node="node-a" if outcome is not PodOutcome.ERROR else "node-b",
        workload=owner,
        outcome=outcome,
        reason=reason,
        message=message,
        container=container,
        target_container="app",
        strategy=strategy if injected else "none",
        phase="Running",
        containers=(
            ContainerSummary(
                name="app",
                state="waiting" if state.reason else "running",
                reason=state.reason,
                exit_code=state.exit_code,
                restart_count=state.restarts,
                ready=not state.reason,
                finished_at=STARTED - timedelta(minutes=3) if state.reason else None,
            ),
        ),
        injections=(injection,) if injected else (),
        steps=steps,
    )


LONG_OUTPUT = "".join(f"tcp  ESTAB  10.0.0.{n % 250}:{n}  10.1.0.7:5432\n" for n in range(3000))


def _pods() -> tuple[PodResult, ...]:
    ledger, orders, cart = workload("ledger"), workload("orders"), workload("cart")
    queue = workload("queue", "StatefulSet", "infra")
    crash = State("CrashLoopBackOff", 1, 14)
    config = step("config", "total 4\ndrwxr-xr-x 2 0 0 4096 Nov 23 03:01 .\n")
    last_words = "KeyError: 'LEDGER_URL'\n"
    found: list[PodResult] = [
        pod(f"ledger-6d9f7c5b9-{suffix}", ledger, PodOutcome.FAILED, state=crash,
            steps=(config, step("environment", f"HOSTNAME=ledger-6d9f7c5b9-{suffix}\n" + last_words, exit_code=1)))
        for suffix in ("2xkq8", "7hm4d", "b9zwl", "fc6tn", "kp2rv", "x8s5j")
    ]  # fmt: skip
    found += [
        pod(f"orders-75b8d-{suffix}", orders, PodOutcome.FAILED, state=crash,
            steps=(config, step("resolve", stderr="nslookup: can't resolve 'db.prod.svc'\n", exit_code=1, tries=3)))
        for suffix in ("aaaaa", "bbbbb")
    ]  # fmt: skip
    found.append(pod("orders-75b8d-ccccc", orders, PodOutcome.TIMEOUT, reason="StartTimeout",
                     message="the ephemeral container did not start within 60 s"))  # fmt: skip
    found.append(
        pod("queue-0", queue, PodOutcome.WARNED, strategy="shared",
            steps=(step("sockets", LONG_OUTPUT, playbook="triage"),
                   step("memory", "MemFree: 2 kB\n", playbook="triage")))
    )  # fmt: skip
    found += [
        pod(f"cart-5c{n}", cart, PodOutcome.ERROR, reason="Forbidden",
            message="may not patch pods/ephemeralcontainers in namespace shop")
        for n in range(2)
    ]  # fmt: skip
    found.append(pod("sampled-1", workload("sampled"), PodOutcome.SKIPPED, reason="Sampled",
                     message="two other replicas were examined"))  # fmt: skip
    found += [
        pod(f"{name}-0", workload(name, "StatefulSet", "infra"), PodOutcome.PASSED,
            steps=(step("memory", "MemFree: 900 kB\n", playbook="triage"),))
        for name in ("etcd", "redis", "kafka", "web")
    ]  # fmt: skip
    evil = workload("<img src=x onerror=alert(1)>", "Deployment", "evil")
    found.append(
        pod("evil-0", evil, PodOutcome.WARNED, state=State("\x1b[2J<b>", 1, 2),
            steps=(step("say", "\n".join(HOSTILE), stderr="</pre></script>" + HOSTILE[6], exit_code=3),))
    )  # fmt: skip
    return tuple(found)


def _finding(owner: Workload, pods: tuple[PodRef, ...], **values: object) -> Finding:
    known: dict[str, object] = {
        "rule": "missing-env",
        "playbook": "crashloop",
        "severity": Severity.CRITICAL,
        "confidence": Confidence.CERTAIN,
        "title": "A variable is missing",
        "message": "app exits with code 1 because LEDGER_URL is not set.",
        "remediation": "Set LEDGER_URL, for example:\nkubectl set env deployment/ledger -n shop LEDGER_URL=…\nThis restarts its pods.",
        "workload": owner,
        "container": "app",
        "pods": pods,
        "evidence": (),
        "fingerprint": f"fp-{owner.name}",
        "rule_place": "playbooks/crashloop.yaml:41",
    }
    return Finding(**{**known, **values})  # type: ignore[arg-type]


def _findings() -> tuple[Finding, ...]:
    ledger = tuple(ref(f"ledger-6d9f7c5b9-{suffix}") for suffix in ("2xkq8", "7hm4d", "b9zwl", "fc6tn", "kp2rv", "x8s5j"))  # fmt: skip
    return (
        _finding(
            workload("ledger"),
            ledger,
            evidence=(
                Evidence(source="log of container app, line 41", excerpt="KeyError: 'LEDGER_URL'", pod="shop/ledger-6d9f7c5b9-2xkq8"),
                Evidence(source="step environment, stdout, attempt 1", excerpt="KeyError: 'LEDGER_URL'\n", pod="shop/ledger-6d9f7c5b9-2xkq8"),
            ),
        ),
        _finding(
            workload("orders"),
            (ref("orders-75b8d-aaaaa"), ref("orders-75b8d-bbbbb")),
            rule="db-unresolvable",
            confidence=Confidence.LIKELY,
            title="A host name does not resolve",
            message="app exits because db.prod.svc does not resolve: there is no Service db in namespace prod.",
            remediation="Check the name with `kubectl get service db -n prod`; the app reads it from DB_HOST.",
            evidence=(Evidence(source="step resolve, stderr, attempt 3", excerpt="nslookup: can't resolve 'db.prod.svc'\n", pod="shop/orders-75b8d-aaaaa"),),
        ),
        _finding(
            workload("queue", "StatefulSet", "infra"),
            (ref("queue-0", "infra"),),
            rule="memory-low",
            playbook="triage",
            severity=Severity.WARNING,
            confidence=Confidence.POSSIBLE,
            title="Memory is short",
            message="app has 2 kB of memory left.",
            remediation="",
            container="",
            evidence=(Evidence(source="step memory, stdout, attempt 1", excerpt="MemFree: 2 kB\n", pod="infra/queue-0"),),
        ),
        _finding(
            workload("<img src=x onerror=alert(1)>", "Deployment", "evil"),
            (ref("evil-0", "evil"),),
            rule="hostile",
            severity=Severity.WARNING,
            confidence=Confidence.POSSIBLE,
            title=HOSTILE[0],
            message=" ".join(HOSTILE),
            remediation="\n".join((*HOSTILE, "kubectl delete pod '</script><b>'\r\x1b[2K")),
            evidence=tuple(Evidence(source=text, excerpt=text, pod="evil/evil-0") for text in HOSTILE),
        ),
    )  # fmt: skip


def _not_evaluated() -> tuple[NotEvaluated, ...]:
    return (
        NotEvaluated(
            subject="rule events", playbook="crashloop", reason="forbidden",
            message="may not list events in namespace shop; grant it with the shipped Role",
            pods=(ref("ledger-6d9f7c5b9-2xkq8"), ref("orders-75b8d-aaaaa")),
        ),
        NotEvaluated(
            subject="step capture", playbook="triage", reason="tool missing",
            message="the image has no tcpdump", pods=(ref("queue-0", "infra"),),
        ),
    )  # fmt: skip


def rich_report() -> Report:
    pods, findings, not_evaluated = _pods(), _findings(), _not_evaluated()
    return Report(
        api_version=API_VERSION,
        kind="Report",
        run=_run(),
        summary=summarize(pods, findings, not_evaluated, rules_asked=40),
        pods=pods,
        findings=findings,
        not_evaluated=not_evaluated,
        ruled_out=(_ruled_out(findings[0].workload),),
    )


def _ruled_out(owner: Workload) -> RuledOut:
    here = ref("ledger-5d9c7-x2x4n", owner.namespace)
    check = Refuted(rule="host-unresolvable", message=f"db resolves {HOSTILE[0]}", pod=here)
    return RuledOut(
        workload=owner, container="app", playbook="crashloop", checks=(check,),
        rules=("host-unresolvable", "out-of-memory"),
    )  # fmt: skip


def _run() -> Run:
    return Run(
        id="20261123-031240-k3f9",
        started_at=STARTED,
        finished_at=FINISHED,
        playbooks=(
            PlaybookRef(name="crashloop", source="playbooks/crashloop.yaml", sha256="ab" * 32),
            PlaybookRef(name="triage", source="playbooks/triage.yaml", sha256="cd" * 32),
        ),
        runner_version="0.1.0",
        cluster="prod-eu-1",
        namespaces=("shop", "infra", "evil"),
        api_requests=57,
    )


def report_of(*pods: PodResult) -> Report:
    """A report with nothing but these pods."""
    return Report(
        api_version=API_VERSION, kind="Report", run=_run(), summary=summarize(pods, (), ()),
        pods=pods, findings=(), not_evaluated=(),
    )  # fmt: skip


def without_namespace(report: Report, name: str) -> Report:
    """The same where a namespace was named that does not exist."""
    question = NotEvaluated(
        subject=f"namespace {name}", playbook="", reason=NAMESPACE_NOT_FOUND,
        message="it does not exist", pods=(),
    )  # fmt: skip
    open_questions = (question, *report.not_evaluated)
    return msgspec.structs.replace(
        report,
        not_evaluated=open_questions,
        summary=summarize(report.pods, report.findings, open_questions),
    )


def large_report(pods: int, *, per_workload: int = 1, output_bytes: int = 1000) -> Report:
    """`pods` pods with one step each, all of them broken and no two saying the same."""
    results, findings = [], []
    for number in range(pods):
        owner = workload(
            f"app-{number // per_workload}",
            namespace=f"ns-{number % 7}" if per_workload == 1 else "ns",
        )
        text = "".join(
            f"{number * 7919 + line * 31:x} line {line} of pod {number}\n"
            for line in range(output_bytes // 26)
        )
        results.append(
            pod(f"app-{number // per_workload}-{number}", owner, PodOutcome.FAILED,
                state=State("CrashLoopBackOff", 1, number % 50), steps=(step("say", text, exit_code=1),))
        )  # fmt: skip
        if number % per_workload == 0:
            findings.append(
                _finding(owner, (ref(results[-1].name, owner.namespace),), rule=f"rule-{number % 9}", message=f"app exits with code 1 because VARIABLE_{number} is not set.",
                         evidence=(Evidence(source="log of container app, line 41", excerpt=f"KeyError: 'VARIABLE_{number}'"),))
            )  # fmt: skip
    made, ranked = tuple(results), tuple(findings)
    return Report(
        api_version=API_VERSION, kind="Report", run=_run(), summary=summarize(made, ranked, ()),
        pods=made, findings=ranked, not_evaluated=(),
    )  # fmt: skip
