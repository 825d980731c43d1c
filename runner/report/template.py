"""The report through a template of the user's own: Jinja, in its sandbox. The template is trusted
as far as a file of the user's is; what it shows is not."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runner.model.report import Report
from runner.report.document import to_json
from runner.report.markdown import escaped
from runner.report.plain import one_line, plain
from runner.report.view import Row, headline, notices, plural, rows

if TYPE_CHECKING:
    from jinja2 import Environment, TemplateSyntaxError

_MAX_TEMPLATE_BYTES = 1024 * 1024
_MARKUP = (".html", ".htm", ".xml", ".svg")


class TemplateFileError(Exception):
    """FILE:LINE: what is wrong with the template, on one line."""


def render_template(report: Report, file: Path) -> str:
    """What the template in `file` makes of the report; it may include and extend files beside it.
    Raises TemplateFileError."""
    from jinja2 import TemplateError, TemplateSyntaxError  # noqa: PLC0415

    text = _read(file)
    environment = _environment(file.parent)
    environment.globals.update(
        report=msgspec.json.decode(to_json(report)),
        headline=headline(report.summary),
        notices=notices(report),
        workloads=[_workload(row) for row in rows(report)],
        plural=plural,
    )
    try:
        return str(compile_named(environment, text, file).render())
    except TemplateSyntaxError as error:
        raise TemplateFileError(_syntax(error, file)) from error
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError,
            AttributeError, MemoryError, OverflowError) as error:  # fmt: skip
        where = _line(error, file)
        said = one_line(str(error)) or type(error).__name__
        raise TemplateFileError(f"{where}: {said}") from error


def compile_named(environment: "Environment", text: str, file: Path) -> Any:
    """With the file's own name in tracebacks, which tell the line."""
    code = environment.compile(text, name=file.name, filename=str(file))
    return environment.template_class.from_code(environment, code, environment.globals)


def _environment(folder: Path) -> "Environment":
    from jinja2 import FileSystemLoader, StrictUndefined  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        # `page.html.j2` is HTML as well.
        autoescape=lambda name: any(part in _MARKUP for part in Path(name or "").suffixes),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=plain, line=one_line, markdown=escaped)
    return environment


def _workload(row: Row) -> dict[str, Any]:
    """A row of the page."""
    return {
        "namespace": row.workload.namespace,
        "kind": row.workload.kind,
        "name": row.workload.name,
        "verdict": row.verdict.value,
        "cause": row.cause,
        "confidence": row.confidence.value if row.confidence else "",
        "pods": row.pods,
        "restarts": row.restarts,
        "evidence": row.decisive,
    }


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_TEMPLATE_BYTES + 1)
    except OSError as error:
        raise TemplateFileError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_TEMPLATE_BYTES:
        raise TemplateFileError(f"{file}: larger than {_MAX_TEMPLATE_BYTES >> 20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise TemplateFileError(f"{file}:{line}: not UTF-8") from error


def _syntax(error: "TemplateSyntaxError", file: Path) -> str:
    return f"{error.filename or file}:{error.lineno}: {one_line(error.message or 'syntax error')}"


def _line(error: BaseException, file: Path) -> str:
    """The innermost line of a template that the error went through."""
    found, trace = str(file), error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if Path(name).parent == file.parent and not name.endswith(".py"):
            found = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
