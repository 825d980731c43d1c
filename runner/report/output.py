"""`-o FORMAT`: the report in every format that there is, on stdout or as files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import msgspec

from runner.model.report import PodResult, Report
from runner.report.document import to_json
from runner.report.files import OutputError, write_atomically
from runner.report.plain import cells, one_line

_COLUMNS = (
    "NAMESPACE", "NAME", "OUTCOME", "REASON", "WORKLOAD", "NODE", "STRATEGY", "EPHEMERAL CONTAINER"
)  # fmt: skip


def render(report: Report, output: str) -> str:
    """The report as `output` (one of OUTPUTS), ending with a newline unless it is empty. JSON and
    YAML hold everything and are safe to print; the tables have one line per selected pod."""
    return OUTPUTS[output](report)


def write_formats(
    directory: Path, report: Report, formats: Iterable[str]
) -> Iterator[Path | OutputError]:
    """A file for each, whole or as it was before; one that cannot be written costs no other."""
    for name in formats:
        path = directory / FILES[name]
        try:
            write_atomically(path, render(report, name).encode())
            yield path
        except OutputError as error:
            yield error


def _of(module: str, function: str) -> Callable[[Report], str]:
    """Only whoever wants a format pays for what makes it."""

    def written(report: Report) -> str:
        text: str = getattr(import_module(f"runner.report.{module}"), function)(report)
        return text

    return written


def _json(report: Report) -> str:
    return to_json(report).decode()


def _yaml(report: Report) -> str:
    import yaml  # noqa: PLC0415  only whoever wants YAML pays for it

    # ASCII only: what could harm a terminal is escaped, and still reads back as it was.
    values = msgspec.json.decode(to_json(report))
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(values, Dumper=dumper, sort_keys=False, width=10_000))


def _name(report: Report) -> str:
    return "".join(f"pod/{one_line(pod.name)}\n" for pod in report.pods)


def _wide(report: Report) -> str:
    return table([_COLUMNS, *map(_cells_of, report.pods)])


def _cells_of(pod: PodResult) -> tuple[str, ...]:
    workload = f"{pod.workload.kind}/{pod.workload.name}"
    values = (
        pod.namespace, pod.name, pod.outcome.value, pod.reason, workload,
        pod.node, pod.strategy, pod.container,
    )  # fmt: skip
    return tuple(one_line(value) or "<none>" for value in values)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Aligned columns as kubectl prints them, one line per row."""
    widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "   ".join(
            text + " " * (width - cells(text)) for text, width in zip(line, widths, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


OUTPUTS: dict[str, Callable[[Report], str]] = {
    "json": _json,
    "yaml": _yaml,
    "name": _name,
    "wide": _wide,
    "markdown": _of("markdown", "to_markdown"),
    "html": _of("html", "to_html"),
    "junit": _of("junit", "to_junit"),
    "sarif": _of("sarif", "to_sarif"),
    "csv": _of("findings_csv", "to_csv"),
    "ndjson": _of("stream", "to_ndjson"),
}
FILES = {
    "json": "report.json",
    "yaml": "report.yaml",
    "markdown": "report.md",
    "html": "report.html",
    "junit": "junit.xml",
    "sarif": "report.sarif",
    "csv": "findings.csv",
    "ndjson": "report.ndjson",
}
