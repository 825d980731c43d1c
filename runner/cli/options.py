"""Options that several commands share, spelt as kubectl spells them."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from runner.budget import Limits
from runner.debt import DebtLimits
from runner.injection import expanded
from runner.late import late
from runner.model.trigger import Aim, Trigger
from runner.plan import needs_image, program_problems
from runner.playbook import Playbook, resolve
from runner.playbook.checks import Problem
from runner.playbook.load import places
from runner.playbook.selectors import field_selector_problem, label_selector_problem
from runner.policy import DEFAULT, Policy, load_policy, of_exec, of_playbook
from runner.report.view import plural
from runner.sweep import Selection

_DNS_LABEL = late(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
POD_NAME = late(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
# HOST[:PORT]/PATH[:TAG][@DIGEST], as far as a typo can be told without a registry.
_IMAGE = late(
    r"(?=.{1,512}$)[A-Za-z0-9][A-Za-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
    r"(@[a-z0-9]+:[0-9a-f]{32,})?"
)
DEFAULT_PLAYBOOKS = ("triage",)
OUTPUTS = ("json", "yaml", "name", "wide")


class Seconds(click.ParamType[float]):
    """A number that is not negative; float also knows nan and inf, which no wait can end by.
    `zero` says whether it may be 0."""

    name = "number"

    def __init__(self, *, zero: bool = True) -> None:
        self._zero = zero

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(str(value))
        except ValueError:
            from runner.cli.duration import seconds_meant  # noqa: PLC0415

            self.fail(f"{value!r} is not a number{seconds_meant(str(value))}", param, ctx)
        if not math.isfinite(number) or number < 0:
            self.fail(f"{value!r} is not a number of at least 0", param, ctx)
        if number == 0 and not self._zero:
            self.fail(f"{value!r} is no time in which anything could begin", param, ctx)
        return number


class UserAndGroup(click.ParamType[tuple[int, int | None]]):
    """Numbers, `1000` or `1000:0`: names are the image's affair."""

    name = "user"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int | None]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([0-9]{1,10})(?::([0-9]{1,10}))?", str(value))
        ids = [int(number) for number in found.groups() if number is not None] if found else []
        if not ids or max(ids) >= 1 << 31:
            self.fail(f"{value!r} is not UID or UID:GID, numbers below 2147483648", param, ctx)
        return ids[0], ids[1] if len(ids) > 1 else None


class Share(click.ParamType[int | Fraction]):
    """A number of pods, or a part of them: `3`, `25%`; `0` lifts the limit."""

    name = "number or percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Fraction:
        text = str(value)
        digits = text.removesuffix("%")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
            self.fail(f"{text!r} is neither a number of pods nor a percentage: 3, 25%", param, ctx)
        if text == digits:
            return int(digits)
        if not 1 <= int(digits) <= 100:
            self.fail(f"{text!r} is not a percentage from 1% to 100%", param, ctx)
        return Fraction(int(digits), 100)


def share_text(share: int | Fraction) -> str:
    """What `Share` reads back."""
    return str(share) if isinstance(share, int) else f"{share * 100}%"


def at_once(*, per_workload: int | Fraction, **limits: Any) -> Limits:
    """What may be examined at the same time."""
    if isinstance(per_workload, int):
        return Limits(per_workload=per_workload, **limits)
    return Limits(workload_share=per_workload, **limits)


_SELECTION: tuple[Callable[[Any], Any], ...] = (
    click.option("-n", "--namespace", "namespaces", multiple=True, metavar="NAMESPACE",
                 help="Namespace to look in; may be given several times."),
    click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces."),
    click.option("-l", "--selector", default="", metavar="SELECTOR",
                 help="Label selector, in addition to the playbook's: app=web,tier!=cache."),
    click.option("--field-selector", default="", metavar="SELECTOR",
                 help="Field selector: spec.nodeName=node1."),
)  # fmt: skip

_CONNECTION: tuple[Callable[[Any], Any], ...] = (
    click.option("--context", default=None, help="Context of the kubeconfig to use."),
    click.option("--kubeconfig", default=None, metavar="FILE",
                 help="Default: $KUBECONFIG, ~/.kube/config, then the pod's service account."),
    click.option("--as", "impersonate", default=None, metavar="USER",
                 help="User to impersonate."),
    click.option("--qps", default=50.0, type=Seconds(), show_default=True,
                 help="Requests per second to the API server; 0 lifts the limit."),
    click.option("--burst", default=100, type=click.IntRange(min=1), show_default=True,
                 help="Requests at once above that."),
)  # fmt: skip

_DEBUGGER: tuple[Callable[[Any], Any], ...] = (
    click.option("--debugger-image", default=None, metavar="IMAGE",
                 help="Image for the ephemeral container; any image with a POSIX shell."),
)  # fmt: skip


_POLICY: tuple[Callable[[Any], Any], ...] = (
    click.option("--policy", "policy_file", type=click.Path(path_type=Path), metavar="FILE",
                 envvar="PODMEDIC_POLICY", show_envvar=True,
                 help="What the administrator allows; wins over playbooks and options."),
)  # fmt: skip


def _all(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return lambda command: reduce(lambda c, option: option(c), reversed(options), command)


start_timeout_option = click.option(
    "--start-timeout",
    "start_seconds",
    default=60.0,
    type=Seconds(zero=False),
    show_default=True,
    help="Seconds within which an ephemeral container must run.",
)
CAP = DebtLimits().max_containers
cap_option = click.option(
    "--cap",
    default=CAP,
    type=click.IntRange(min=0),
    show_default=True,
    help="Ephemeral containers that a pod may carry, whoever made them; 0 lifts the limit.",
)
routes_option = click.option(
    "--routes",
    "routes_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar="PODMEDIC_ROUTES",
    show_envvar=True,
    help="Which alerts start which playbooks; default: triage for what kube-state-metrics names.",
)
selection_options = _all(_SELECTION)
connection_options = _all(_CONNECTION)
debugger_options = _all(_DEBUGGER)
policy_options = _all(_POLICY)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    kubeconfig: str | None
    context: str | None
    impersonate: str | None
    qps: float
    burst: int


def make_selection(
    namespaces: Sequence[str],
    selector: str,
    field_selector: str,
    *,
    all_namespaces: bool,
    trigger: Trigger | None = None,
    since_seconds: float = 0.0,
) -> Selection:
    if trigger is not None and (namespaces or all_namespaces or selector or field_selector):
        raise click.UsageError("--alert says which pods: -n, -A, -l, --field-selector cannot")
    if namespaces and all_namespaces:
        raise click.UsageError("-n and -A exclude each other")
    for namespace in namespaces:
        # An empty one would mean every namespace to the API server.
        if not _DNS_LABEL.fullmatch(namespace):
            several = "; -n may be given several times" if "," in namespace else ""
            raise click.UsageError(
                f"-n {namespace!r} is no name of a namespace: lower case letters, digits and '-'"
                f"{several}"
            )
    for option, text, problem in (
        ("-l", selector, label_selector_problem),
        ("--field-selector", field_selector, field_selector_problem),
    ):
        if text and (found := problem(text)):
            raise click.UsageError(f"{option} {text!r}: {found}")
    return Selection(
        namespaces=None if all_namespaces else tuple(namespaces),
        label_selector=selector,
        field_selector=field_selector,
        aims=() if trigger is None else trigger.aims(),
        since_seconds=since_seconds,
    )


def check_container(option: str, container: str) -> None:
    if container and not _DNS_LABEL.fullmatch(container):
        raise click.UsageError(
            f"{option} {container!r} is no name of a container: lower case letters, digits and '-'"
        )


def is_image(image: str) -> bool:
    return _IMAGE.fullmatch(image) is not None


def check_image(option: str, image: str) -> None:
    if not is_image(image):
        raise click.UsageError(f"{option} {image!r} is no reference of an image")


def load_playbooks(names: Sequence[str], image: str | None) -> tuple[Playbook, ...]:
    """Raises PlaybookErrors. The same playbook named twice counts once; those that one includes
    come before it."""
    found: dict[str, Playbook] = {}
    for playbook in with_included(names or DEFAULT_PLAYBOOKS):
        known = found.setdefault(playbook.metadata.name, playbook)
        if known.sha256 != playbook.sha256:
            raise click.UsageError(
                f"two playbooks are named {playbook.metadata.name}: "
                f"{known.source} and {playbook.source}"
            )
    return prepared(tuple(found.values()), image)


def with_included(names: Sequence[str], above: Sequence[str] = ()) -> Iterator[Playbook]:
    for name in names:
        playbook = resolve(name)
        below = [each for each in playbook.spec.includes if each not in above]
        yield from with_included(below, (*above, playbook.name))
        yield playbook


def prepared(playbooks: tuple[Playbook, ...], image: str | None) -> tuple[Playbook, ...]:
    """The playbooks with the image of the command line. Raises UsageError."""
    if image is not None:
        check_image("--debugger-image", image)
        playbooks = tuple(with_image(playbook, image) for playbook in playbooks)
    for problem in program_problems(playbooks):
        raise click.UsageError(problem)
    return playbooks


def allowed(file: Path | None, playbooks: Sequence[Playbook]) -> tuple[
    Policy, tuple[Playbook, ...]
]:  # fmt: skip
    """The policy, and the playbooks with the strategies that it leaves them. Raises
    PlaybookErrors for what it does not allow, with the place in the playbook's file."""
    return allowed_by(DEFAULT if file is None else load_policy(file), playbooks)


def allowed_by(policy: Policy, playbooks: Sequence[Playbook]) -> tuple[
    Policy, tuple[Playbook, ...]
]:  # fmt: skip
    """The same for a policy that has been read."""
    for playbook in playbooks:
        found = of_playbook(policy, playbook)
        if not found:
            continue
        if playbook.text and playbook.source != "built-in":
            raise places(playbook, [Problem(v.loc, str(v)) for v in found])
        # Without a source it is made of options, and they are what is to be mended.
        whose = f"playbook {playbook.name}: " if playbook.source else ""
        raise click.UsageError(f"{whose}{'; '.join(map(str, found))}")
    return policy, tuple(_with_strategies(playbook, policy) for playbook in playbooks)


def exec_allowed(policy: Policy, what: str) -> None:
    """Raises click.UsageError where the policy does not allow exec."""
    violation = of_exec(policy, what)
    if violation is not None:
        raise click.UsageError(str(violation))


def _with_strategies(playbook: Playbook, policy: Policy) -> Playbook:
    debugger = playbook.spec.debugger
    meant = expanded(debugger.strategy, needs_image=needs_image([playbook]))
    left = tuple(strategy for strategy in meant if strategy in policy.spec.strategies)
    if left == meant or not playbook.spec.steps:
        return playbook
    return playbook.changed(spec=playbook.spec.changed(debugger=debugger.changed(strategy=left)))


def bounded(name: str, asked: float, most: int | None, policy: Policy) -> float:
    """The policy's bound where nothing was asked for; raises UsageError for more than it. 0 and
    below ask for no limit at all."""
    if most is None:
        return asked
    source = click.get_current_context().get_parameter_source(name)
    explicit = source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
    if explicit and (asked <= 0 or asked > most):
        option = f"--{name.replace('_', '-').removesuffix('-seconds')}"
        raise click.UsageError(
            f"{option} {asked:g}: policy {policy.metadata.name} allows {most} at most "
            "(policy/bounds)"
        )
    return most if asked <= 0 else min(asked, most)


def bounded_connection(policy: Policy, given: Mapping[str, Any]) -> Connection:
    """Of `connection_options`, with the requests per second that the policy allows."""
    qps = bounded("qps", given["qps"], policy.spec.bounds.qps, policy)
    return Connection(**{**given, "qps": qps})


def with_image(playbook: Playbook, image: str) -> Playbook:
    debugger = playbook.spec.debugger.changed(image=image)
    spec = playbook.spec.changed(debugger=debugger)
    return playbook.changed(spec=spec)


def with_default_namespace(selection: Selection, default_namespace: str) -> Selection:
    return replace(selection, default_namespace=default_namespace)


def aim_text(aim: Aim) -> str:
    """`namespace shop, pod web-0`."""
    target = aim.target
    words = {"pod": target.pod, "workload": target.workload, "labels": target.selector}
    told = [f"{what} {value}" for what, value in words.items() if value] or ["all pods"]
    return f"namespace {target.namespace}, {', '.join(told)}"


class NothingSelectedError(Exception):
    """No pod is meant: exit code 5 unless --allow-empty."""


def namespaces_meant(playbooks: Sequence[Playbook], selection: Selection) -> tuple[str, ...] | None:
    """None for all of them."""
    if selection.aims:
        return tuple(dict.fromkeys(aim.target.namespace for aim in selection.aims))
    if selection.namespaces is None:
        return None
    default = (selection.default_namespace,)
    return selection.namespaces or tuple(
        dict.fromkeys(name for p in playbooks for name in (p.spec.targets.namespaces or default))
    )


def nothing_selected(playbooks: Sequence[Playbook], selection: Selection, looked_at: int) -> str:
    """One line: where was looked, and for what."""
    if selection.aims:
        meant = "; ".join(dict.fromkeys(aim_text(aim) for aim in selection.aims[:5]))
        more = f"; and {len(selection.aims) - 5} more" if len(selection.aims) > 5 else ""
        return f"no pod is what the alert is about: {meant}{more}"
    names = namespaces_meant(playbooks, selection)
    where = "any namespace" if names is None else f"namespace {', '.join(names)}"
    labels = f" with labels {selection.label_selector}" if selection.label_selector else ""
    if selection.since_seconds:
        labels += f" that restarted within the last {selection.since_seconds:g} s"
    meant = " or ".join(p.metadata.name for p in playbooks)
    seen = f"; {plural(looked_at, 'pod')} looked at, none meant by {meant}" if looked_at else ""
    return f"no pod selected in {where}{labels}{seen}"


def check_textfile(path: Path) -> None:
    """The collector reads *.prom only, and a directory made here is one that it does not watch."""
    if path.suffix != ".prom":
        raise click.UsageError(f"--metrics-textfile {path}: the name must end in .prom")
    if not path.parent.is_dir():
        raise click.UsageError(f"--metrics-textfile {path}: there is no directory {path.parent}")
