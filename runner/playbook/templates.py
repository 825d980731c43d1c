"""What a playbook says in words: Jinja2, cut down to names, `if` and a few filters.

The environment is sandboxed and strict about names, and it does not escape: the output is text,
and whoever shows it escapes. Loops, calls and products are refused, so that no template can make
more text than a few times its input.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.playbook import vocabulary
from runner.playbook.errors import PlacedError, did_you_mean
from runner.playbook.exit_codes import explain_exit_code

MAX_LENGTH = 10_000
MAX_OUTPUT = 4096
MAX_NESTING = 50
_MAX_WORD = 1000
_MAX_PLACES = 50
_FOUND = {
    "Assign": "set",
    "Call": "a call (a filter is written {{ NAME | FILTER }})",
    "For": "a loop (for)",
}
_SUMS = frozenset({"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg", "Pos"})
_MISSING = re.compile(r"^'dict object' has no attribute '([^']*)'")
_ONLY = "templates know names, filters and if"
_TOO_DEEP = "nested too deeply"

_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
    nodes.Test,
    nodes.Concat,
    nodes.Keyword,
)


class TextError(PlacedError):
    """A template that cannot be read or rendered."""


class _Environment(ImmutableSandboxedEnvironment):
    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Facts are plain maps, lists and words: what can be reached are items, no attributes."""
        del obj, attr, value
        return False


def _join(values: Iterable[Any], separator: str = ", ") -> str:
    if isinstance(values, str):
        return values
    return str(separator)[:10].join(str(value)[:_MAX_WORD] for value in list(values)[:50])


def _short(text: str, length: int = 200) -> str:
    """One line of at most so many characters."""
    words = " ".join(str(text).split())
    return words if len(words) <= length else words[: max(length - 1, 0)] + "…"


def _bytes(amount: float) -> str:
    """`1.2 GiB`: as far as people read numbers."""
    size = float(amount)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit in ("bytes", "KiB") else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "bytes": _bytes,
    "explain_exit_code": explain_exit_code,
    "first": lambda values: next(iter(values), ""),
    "int": lambda value: int(value) if str(value).lstrip("-").isdigit() else 0,
    "join": _join,
    "last": lambda values: values[-1] if len(values) else "",
    "length": len,
    "lower": lambda text: str(text).lower(),
    "round": lambda number, digits=0: round(float(number), digits) if digits else round(number),
    "short": _short,
    "trim": lambda text: str(text).strip(),
    "upper": lambda text: str(text).upper(),
}
_ENVIRONMENT_FILTERS = ("default", "d")


def _environment() -> _Environment:
    # autoescape off: messages are text, not HTML
    environment = _Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.globals.clear()
    kept = {name: environment.filters[name] for name in _ENVIRONMENT_FILTERS}
    environment.filters = {**kept, **FILTERS}
    return environment


_ENVIRONMENT = _environment()


class Text:
    """A template that was checked; `names` are the facts it uses: `container`, `steps.disk`.

    It becomes code when it is needed: of the hundreds of a playbook few ever are, and that was
    half of what reading one costs."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self.text = text
        self.names = names

    @cached_property
    def _template(self) -> jinja2.Template:
        return _ENVIRONMENT.from_string(self.text)

    @classmethod
    def compile(cls, text: str) -> "Text":
        """Raises TextError with the line in the text."""
        return _compile(text)

    def build(self) -> None:
        """Raises TextError when it cannot become code."""
        try:
            _ = self._template
        except SyntaxError as error:
            nested = "too many" in str(error.msg)
            words = "if or not is nested too deeply" if nested else f"not a template: {error.msg}"
            raise TextError(words) from None
        except RecursionError:
            raise TextError(_TOO_DEEP) from None

    def render(self, facts: Mapping[str, Any]) -> str:
        """At most MAX_OUTPUT characters. Raises TextError when a fact is missing or the wrong
        kind."""
        try:
            return self._template.render(facts).strip()[:MAX_OUTPUT]
        except Exception as error:  # noqa: BLE001
            words = " ".join(str(error).split())[:200] or type(error).__name__
            raise TextError(_MISSING.sub(r'there is no "\1"', words)) from None

    def of_steps(self) -> Iterator[tuple[str, str, int, int]]:
        """Of each `steps.NAME.MEMBER` the two names, and line and column of the second."""
        for node in _ENVIRONMENT.parse(self.text).find_all(nodes.Getattr):
            step = node.node
            if isinstance(step, nodes.Getattr):
                name = step.attr
            elif isinstance(step, nodes.Getitem) and isinstance(step.arg, nodes.Const):
                name = str(step.arg.value)
            else:
                continue
            if isinstance(step.node, nodes.Name) and step.node.name == "steps":
                before = rf"{re.escape(name)}['\"\]\s]*\.\s*"
                yield (
                    name,
                    node.attr,
                    node.lineno,
                    _column(self.text, node.lineno, before, node.attr),
                )


@lru_cache(maxsize=1024)
def _compile(text: str) -> Text:
    if len(text) > MAX_LENGTH:
        raise TextError(f"longer than {MAX_LENGTH} characters")
    wrong: list[TextError] = []
    try:
        tree = _ENVIRONMENT.parse(text)
        found = list(tree.find_all(nodes.Node))
        names = frozenset(_names(found, text, wrong))
    except jinja2.TemplateSyntaxError as error:
        words = _said(error.message)
        place = _place(text, error.lineno, words)
        raise TextError(f"not a template: {words}", error.lineno, place) from None
    except RecursionError:
        raise TextError(_TOO_DEEP) from None
    except ValueError:  # of Python, which reads no number of more than 4300 digits
        raise TextError("not a template: a number is too long") from None
    # Python takes minutes to compile what is a few hundred deep. Most have a dozen nodes.
    if len(found) > MAX_NESTING and _depth(tree) > MAX_NESTING:
        raise TextError(_TOO_DEEP)
    if wrong:
        # What a loop calls its items is no fact, and the loop is told already.
        first, *others = [each for each in wrong if each.message.startswith(_ONLY)] or wrong
        raise TextError(first.message, first.line, first.column, others)
    return Text(text, names)


def _said(message: str | None) -> str:
    """Jinja's words, or shorter ones."""
    words = (message or "").removesuffix(".")
    if "'end of print statement'" in words and "end of template" in words:
        return "{{ is not closed by }}"
    if found := re.match(r"expected token '.*', got (.*)", words):
        return f"{found[1]} is not expected here"
    if "Jinja was looking for" in words:
        return "{% if … %} is not closed by {% endif %}"
    if "end of comment tag" in words:
        return "{# is not closed by #}"
    return words.replace("Encountered unknown tag", "there is if, elif, else and endif, found")


def _place(text: str, line: int, words: str) -> int:
    """The column of what is not expected, which Jinja does not tell: what is before it can be
    read."""
    found = re.fullmatch(r"'(.+)' is not expected here", words)
    begin = sum(len(each) + 1 for each in text.split("\n")[: line - 1])
    if found is None:
        return 1
    places = re.finditer(rf"(?<!\w){re.escape(found[1])}(?!\w)", text[begin:])
    for at in islice(places, _MAX_PLACES):
        before = text[: begin + at.start()]
        opened = max(before.rfind("{{"), before.rfind("{%"))
        if opened > max(before.rfind("}}"), before.rfind("%}")) and _is_whole(before[opened:]):
            return at.start() + 1
    return 1


def _is_whole(tag: str) -> bool:
    """Whether a tag that is cut off here has all that it needs."""
    for closing in ("}}", "%}{% endif %}"):
        with suppress(jinja2.TemplateSyntaxError, RecursionError, ValueError):
            _ENVIRONMENT.parse(f"{tag} {closing}")
            return True
    return False


def _depth(tree: nodes.Node) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in node.iter_child_nodes()]
    return depth


def _names(found: Iterable[nodes.Node], text: str, wrong: list[TextError]) -> Iterable[str]:
    """The facts that it uses; what it must not have is added to `wrong`."""

    def unknown(name: str, known: Collection[str], what: str, line: int, before: str) -> None:
        message = f'unknown {what} "{name}"{did_you_mean(name, list(known))}'
        wrong.append(TextError(message, line, _column(text, line, before, name)))

    filters, tests = _ENVIRONMENT.filters, _ENVIRONMENT.tests
    for node in found:
        if not isinstance(node, _ALLOWED):
            what = type(node).__name__
            what = _FOUND.get(what) or ("a calculation" if what in _SUMS else what.lower())
            wrong.append(TextError(f"{_ONLY}; found {what}", node.lineno))
        elif isinstance(node, nodes.Filter):
            if node.name not in filters:
                unknown(node.name, filters, "filter", node.lineno, r"\|\s*")
        elif isinstance(node, nodes.Test):
            if node.name not in tests:
                unknown(node.name, tests, "test", node.lineno, r"\bis\s+(?:not\s+)?")
        elif isinstance(node, nodes.Name):
            if node.name not in vocabulary.NAMES:
                unknown(node.name, vocabulary.NAMES, "name", node.lineno, r"(?<![\w.])")
            yield node.name
        elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            root = node.node.name
            if root in vocabulary.MAPS and node.attr not in vocabulary.members(root):
                known, what = vocabulary.members(root), f"member of {root}"
                unknown(node.attr, known, what, node.lineno, rf"(?<![\w.]){root}\s*\.\s*")
            yield f"{root}.{node.attr}"


def _column(text: str, line: int, before: str, name: str) -> int:
    """Where in the line it begins, as far as that can be seen; the beginning else."""
    lines = text.split("\n")
    pattern = rf"{before}({re.escape(name)})\b"
    found = re.search(pattern, lines[line - 1]) if line <= len(lines) else None
    return found.start(1) + 1 if found is not None else 1
