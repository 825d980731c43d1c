"""What `podmedic run` was asked to do."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from runner.cli import options
from runner.cli.key import SecretKey, key_of
from runner.cli.keyless import Keyless, keyless_of
from runner.cli.notify import Notify
from runner.cli.redaction import own_rules
from runner.cli.upload import Kept
from runner.debt import DebtLimits
from runner.examine import Limits
from runner.playbook import Playbook
from runner.policy import Policy
from runner.record import Options
from runner.sweep import Budget, Selection

if TYPE_CHECKING:
    from runner.redact import Rule

DEFAULT_DIRECTORY = Path("podmedic-report")


def default_file(directory: Path) -> Path:
    """Where its bundle goes if nobody says: beside it."""
    directory = directory.absolute() if directory.name in {"", ".."} else directory
    return directory.with_name(f"{directory.name}.tar.zst")


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the run's directory at its end. `bundle` empty: beside it. `keep`: the run
    has a directory of its own below the one that was named, and so many stay there.
    `is_temporary`: nobody named a directory, it goes once its bundle was uploaded."""

    bundle: str | None = None
    key: Path | SecretKey | None = None
    keyless: Keyless | None = None
    upload: str | None = None
    kept: Kept = msgspec.field(default_factory=Kept)
    keep: int = 0
    is_temporary: bool = False

    def target(self, directory: Path) -> Path | None:
        """The bundle's file."""
        if self.bundle is None:
            return None
        return Path(self.bundle) if self.bundle else default_file(directory)


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """`rules` None: the built-in ones alone."""

    is_on: bool = True
    rules: "tuple[Rule, ...] | None" = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The command line, read and checked; `written` is what `podmedic resume` needs of it."""

    playbooks: tuple[Playbook, ...]
    selection: Selection
    connection: options.Connection
    budget: Budget
    directory: Path
    output: str | None
    formats: tuple[str, ...]
    baseline: Path | None
    fail_on: str
    events: bool
    otel: bool
    dry_run: str | None
    metrics_textfile: Path | None
    pushgateway: str | None
    lease: bool
    exit_zero: bool
    allow_empty: bool
    quiet: bool
    written: Options
    policy_file: Path | None
    sealing: Sealing = Sealing()
    redaction: Redaction = Redaction()
    # With the tokens in their URLs, which are never written down.
    notify: Notify | None = None


def request_of(
    given: Options,
    playbooks: tuple[Playbook, ...],
    policy: Policy,
    *,
    directory: Path,
    dry_run: str | None = None,
    policy_file: Path | None = None,
    is_temporary: bool = False,
) -> Request:
    """Raises UsageError for what the policy does not allow."""
    bounds = policy.spec.bounds
    if given.no_redact and not policy.spec.unredacted:
        raise click.UsageError(
            f"--no-redact is not allowed: policy {policy.metadata.name} does not have "
            "`unredacted: true` (policy/unredacted)"
        )

    def bounded(name: str, asked: float, most: int | None) -> float:
        return options.bounded(name, asked, most, policy)

    share = options.Share().convert(given.max_per_workload, None, None)
    if bounds.max_per_workload is not None:
        asked = share if isinstance(share, int) else bounds.max_per_workload
        share = int(bounded("max_per_workload", asked, bounds.max_per_workload))
    return Request(
        playbooks=playbooks,
        selection=options.make_selection(
            given.namespaces,
            given.selector,
            given.field_selector,
            all_namespaces=given.all_namespaces,
            trigger=given.trigger,
            since_seconds=given.since_seconds,
        ),
        connection=options.Connection(
            kubeconfig=given.kubeconfig,
            context=given.context,
            impersonate=given.impersonate,
            qps=bounded("qps", given.qps, bounds.qps),
            burst=given.burst,
        ),
        budget=Budget(
            at_once=options.at_once(
                in_flight=int(bounded("max_in_flight", given.max_in_flight, bounds.max_in_flight)),
                per_node=int(bounded("max_per_node", given.max_per_node, bounds.max_per_node)),
                per_namespace=int(
                    bounded("max_per_namespace", given.max_per_namespace, bounds.max_per_namespace)
                ),
                per_workload=share,
                canary=given.canary,
                max_failures=given.max_failures,
                max_changed=given.max_changed,
            ),
            debt=DebtLimits.of_cap(
                int(bounded("cap", given.cap, bounds.max_ephemeral_containers)),
                given.cool_down_seconds,
            ),
            timeout_seconds=bounded(
                "timeout_seconds", given.timeout_seconds, bounds.timeout_seconds
            ),
            policy=policy,
            limits=Limits(start_seconds=given.start_seconds),
        ),
        directory=directory,
        output=given.output,
        formats=given.formats,
        baseline=None if given.baseline is None else Path(given.baseline),
        fail_on=given.fail_on,
        events=given.events,
        otel=given.otel,
        dry_run=dry_run,
        metrics_textfile=None if given.metrics_textfile is None else Path(given.metrics_textfile),
        pushgateway=given.pushgateway,
        lease=given.lease,
        exit_zero=given.exit_zero,
        allow_empty=given.allow_empty,
        quiet=given.quiet,
        written=given,
        policy_file=policy_file,
        redaction=Redaction(is_on=not given.no_redact, rules=own_rules(given.redact_rules)),
        sealing=Sealing(
            bundle=given.bundle,
            upload=given.upload,
            kept=Kept(given.retain_seconds, given.retain_mode),
            keep=given.keep,
            is_temporary=is_temporary,
            key=key_of(given.key),
            keyless=keyless_of(
                given.sigstore,
                None if given.identity_file is None else Path(given.identity_file),
                None if given.trust_config is None else Path(given.trust_config),
                key=given.key,
            ),
        ),
    )
