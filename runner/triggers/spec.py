"""The format of Routes: which alerts start which playbooks, on which pods."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from runner.playbook.base import Check, Document, Spec, listed, mapping
from runner.playbook.checks import Problem
from runner.playbook.errors import PlacedError, did_you_mean
from runner.playbook.fields import DnsLabel, Kind
from runner.playbook.load import builtin, load_document, read_text
from runner.playbook.reading import made
from runner.playbook.selectors import label_key_problem
from runner.triggers.matchers import Matcher, MatcherError, parse

SCHEMA_ID = "https://podmedic.io/schema/routes-v1alpha1.json"
_MAX_ROUTES = 500


def _matcher(text: str) -> None:
    try:
        parse(text)
    except MatcherError as error:
        raise PlacedError(error.message, 1, error.column) from None


_Matchers = Annotated[str, Check(_matcher)]
_AlertLabel = Annotated[str, Meta(min_length=1, max_length=256)]
_Playbook = Annotated[str, Meta(min_length=1, max_length=512)]


class WorkloadLabels(Spec, frozen=True, kw_only=True):
    """How a workload is read off an alert: its kind is fixed or in a label, its name in a label."""

    also_in_schema: ClassVar[Mapping[str, Any]] = {
        "oneOf": [{"required": ["kind"]}, {"required": ["kindLabel"]}]
    }

    kind: Kind | None = None
    """Kind of the workload: `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob`."""
    kind_label: _AlertLabel | None = None
    """Or the alert's label that holds the kind, in any case of letters."""
    name_label: _AlertLabel
    """The alert's label that holds the name."""


class TargetLabels(Spec, frozen=True, kw_only=True):
    """Which pods an alert is about: those that meet every line given. An alert that lacks one of
    these labels, or has a value that can name nothing, is about no pod."""

    namespace_label: _AlertLabel | None = None
    """The alert's label that holds the namespace. Default: `namespace`."""
    namespace: DnsLabel | None = None
    """Or the namespace itself, whatever the alert says."""
    pod_label: _AlertLabel | None = None
    """The alert's label that holds the name of the pod."""
    container_label: _AlertLabel | None = None
    """The alert's label that holds the container to look into. It narrows nothing: without it, or
    where the pod has no such container, the sick one is taken."""
    workload: WorkloadLabels | None = None
    """The workload that the pods belong to."""
    labels: Annotated[dict[str, _AlertLabel], Meta(max_length=10)] = field(default_factory=dict)
    """Labels of the pods, each with the alert's label that holds its value: `app: service`."""
    whole_namespace: bool = False
    """True for all pods of the namespace; then there is no other line beside the namespace."""


class Route(Spec, frozen=True, kw_only=True):
    """Alerts that meet all matchers, and what they start."""

    name: DnsLabel
    """Unique in the file; reports and metrics say it."""
    matchers: Annotated[tuple[_Matchers, ...], Meta(max_length=50)] = ()
    """Alertmanager's matchers, all of which must hold: `severity="critical"`, `job=~"node.*"`.
    Without any, every alert that no route above took."""
    playbooks: Annotated[tuple[_Playbook, ...], Meta(min_length=1, max_length=20)]
    """Built-in playbooks by name, or files: `./database.yaml`, from the folder of this file."""
    targets: TargetLabels | None = None
    """Which pods. Default: `spec.targets`."""

    def takes(self, labels: Mapping[str, str]) -> bool:
        return self.why_not(labels) is None

    def why_not(self, labels: Mapping[str, str]) -> Matcher | None:
        """The first matcher that does not hold."""
        every = (matcher for text in self.matchers for matcher in parse(text))
        return next((matcher for matcher in every if not matcher(labels)), None)


class RoutesSpec(Spec, frozen=True, kw_only=True):
    """From alerts to playbooks."""

    targets: TargetLabels = TargetLabels(pod_label="pod", container_label="container")
    """Which pods, for routes without `targets` of their own. Default: `podLabel: pod` and
    `containerLabel: container`."""
    routes: Annotated[tuple[Route, ...], Meta(min_length=1, max_length=_MAX_ROUTES)]
    """Asked in this order; the first one that fits takes the alert. An alert that none takes starts
    nothing."""


class Metadata(Spec, frozen=True, kw_only=True):
    """What the routes are called."""

    name: DnsLabel
    """Name of the routes."""
    description: str = ""
    """Whose they are, and what for."""


class Routes(Document, frozen=True, kw_only=True):
    """One file: which alerts start which playbooks on which pods."""

    kind: Literal["Routes"]
    """Always `Routes`."""
    metadata: Metadata
    """What they are called."""
    spec: RoutesSpec
    """From alerts to playbooks."""

    def playbooks_of(self, route: Route) -> tuple[str, ...]:
        """As `podmedic run` takes them: a path is one from where the file is."""
        folder = Path(self.source).parent if self.source else Path()
        return tuple(
            str(folder / name) if _is_path(name) and not Path(name).is_absolute() else name
            for name in route.playbooks
        )

    def playbooks(self) -> tuple[str, ...]:
        """All of them, each once."""
        every = (name for route in self.spec.routes for name in self.playbooks_of(route))
        return tuple(dict.fromkeys(every))


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _check(document: Any) -> Iterator[Problem]:
    spec = mapping(mapping(document).get("spec"))
    yield from _check_targets(spec.get("targets"), ("spec", "targets"))
    known = [path.stem for path in builtin()]
    first: dict[str, int] = {}
    for index, each in enumerate(listed(spec.get("routes"))):
        route, loc = mapping(each), ("spec", "routes", index)
        name = route.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield Problem((*loc, "name"), f'"{name}" is taken by routes[{first[name]}]')
        for number, playbook in enumerate(listed(route.get("playbooks"))):
            if isinstance(playbook, str) and not _is_path(playbook) and playbook not in known:
                hint = did_you_mean(playbook, known)
                words = f'no built-in playbook is called "{playbook}"{hint}; a path needs a "/"'
                yield Problem((*loc, "playbooks", number), words)
        yield from _check_targets(route.get("targets"), (*loc, "targets"))


def _check_targets(value: Any, loc: tuple[str | int, ...]) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        return
    if "namespace" in value and "namespaceLabel" in value:
        yield Problem((*loc, "namespace"), "namespace or namespaceLabel, not both")
    for key in mapping(value.get("labels")):
        if problem := label_key_problem(key):
            yield Problem((*loc, "labels", key), problem)
    workload = value.get("workload")
    if isinstance(workload, Mapping) and ("kind" in workload) is ("kindLabel" in workload):
        yield Problem((*loc, "workload"), "needs exactly one of kind, kindLabel")
    lines = [key for key in ("podLabel", "workload", "labels") if value.get(key)]
    if value.get("wholeNamespace") is True:
        if lines:
            words = f"all pods of the namespace, or those of {lines[0]}: not both"
            yield Problem((*loc, "wholeNamespace"), words)
    elif not lines:
        yield Problem(
            loc,
            "says no pod: give podLabel, workload or labels, or wholeNamespace: true for all "
            "pods of the namespace",
        )


DEFAULT = made(
    Routes,
    {
        "apiVersion": "podmedic.io/v1alpha1",
        "kind": "Routes",
        "metadata": {"name": "default"},
        "spec": {
            "routes": [
                *(
                    {
                        "name": kind.lower(),
                        "matchers": [f'{label}!=""'],
                        "playbooks": ["triage"],
                        "targets": {"workload": {"kind": kind, "nameLabel": label}},
                    }
                    for kind, label in (
                        ("Deployment", "deployment"),
                        ("StatefulSet", "statefulset"),
                        ("DaemonSet", "daemonset"),
                        ("Job", "job_name"),
                    )
                ),
                {"name": "pod", "matchers": ['pod!=""'], "playbooks": ["triage"]},
            ],
        },
    },
)
"""What holds without a file: the labels of kube-state-metrics, and triage. Workloads first: an
alert about one may carry the pod of kube-state-metrics itself."""


def load_routes(path: str | Path) -> Routes:
    """Raises PlaybookErrors with file:line:column."""
    return read_routes(read_text(path), str(path))


def read_routes(text: str, path: str) -> Routes:
    """Raises PlaybookErrors; `path` is what its lines begin with."""
    return load_document(text, path, Routes, "routes file", _check)


PARTS = (
    ("metadata", "Metadata"),
    ("spec", "RoutesSpec"),
    ("spec.routes[]", "Route"),
    ("spec.targets", "TargetLabels"),
    ("spec.targets.workload", "WorkloadLabels"),
)
"""For docs/triggers.md: where each part of the schema stands."""


def json_schema() -> dict[str, object]:
    # Imported here: it reads our source, and only `podmedic schema` wants it.
    from runner.playbook.schema import json_schema as schema_of  # noqa: PLC0415

    return schema_of(Routes, SCHEMA_ID)
