"""A file that is no YAML is told how to become it, in one line and at its place."""

from pathlib import Path

import pytest
import yaml

from runner.playbook import PlaybookErrors, document, load, load_file
from runner.playbook.document import MAX_BYTES

QUOTES = """(inside '…' a ' is written twice, inside "…" a " is written \\")"""
BETWEEN = (
    "a value is missing here, or a bracket is too many: inside [ ] and { } there is one value "
    "between two commas, and each bracket is closed"
)
LIKE_ONE = "indent it like one of them"
ENTRY = (
    "a list entry (- …) cannot stand here: begin each entry in a line of its own, all of them in "
    'one column; a value that begins with - is quoted ("- …")'
)
BLOCK = (
    "after | or > the text begins in the next line; a value that begins with one of them is quoted"
)
ESCAPE = (
    "an unknown escape in \"…\": write \\\\ for one backslash, or use '…', where backslashes stay "
    "as they are"
)
TOO_FAR = (
    "this line is indented as if it continued the value of the line before: "
    "indent it like its neighbours"
)
NO_COLON = (
    "a field is written NAME: VALUE, and here is no colon; the text of a `|` block is indented "
    "further than its field"
)
TAB = "a tab where YAML wants spaces: indent with spaces"

# What the parser in Python finds elsewhere or calls otherwise.
OTHERWISE = ("a: 1\n... x\n", "%YAML", ": a\n", "a: {b: !c}")

# text, where, the words
NOT_YAML: list[tuple[str, str, str]] = [
    ("a:\n\tb: 1\n", "2:1", TAB),
    ("a:\n  \tb: 1\n", "2:3", TAB),
    ("a:\n  b: 1\n\tc: 2\n", "3:1", TAB),
    ("a: b: c\n", "1:5", "a second colon in one line: quote the value (a: 'b: c')"),
    ("- m: it's: no\n", "1:10", "a second colon in one line: quote the value (m: \"it's: no\")"),
    ("a: http:\n  x: y\n", "1:8", "a second colon in one line: quote the value (a: 'http:')"),
    ("a: 'x\\': \"y\"\n", "1:8", "a second colon in one line: quote the value (a: '…')"),
    ("a: b\n  c: d\n", "2:4", TOO_FAR),
    ("a:\n  foo bar\n  b: 2\n", "3:4", "the line before has no colon: a field is written NAME: VALUE"),
    ("a: 1\nb\nc: 2\n", "2:1", NO_COLON),
    ("a:\n  b: |\n  foo\n  c: d\n", "3:3", NO_COLON),
    ("a:\n    b: c\n  d: e\n", "3:3", f"this line begins in column 3, the line before in column 5, the fields that begin in line 1 in column 1: {LIKE_ONE}"),
    ("a:\n  - b: c\n    d: e\n   f: g\n", "4:4", f"this line begins in column 4, the line before in column 5, the list entries that begin in line 2 in column 3: {LIKE_ONE}"),
    ("a:\n  - b\n  c: d\n", "3:3", "a field cannot stand beside the list entries that begin in line 2: indent it further or less"),
    ("a:\n  - b: 1\n    - c: 2\n", "3:5", "a list entry (- …) cannot stand beside the fields that begin in line 2: indent it further or less"),
    ("a:\n  - {b: c}\n   - {b: d}\n", "3:4", f"this line begins in column 4, the line before in column 3, the list entries that begin in line 2 in column 3: {LIKE_ONE}"),
    ("a: - b\n", "1:4", ENTRY),
    ("a: ? b\n", "1:4", "a value that begins with ? has to be quoted ('? b')"),
    ('a: "foo\nb: 1\n', "1:4", 'the quote that opens here is not closed: the value ends with another "'),
    ('a: "foo\nb: c\nd: e == "x"\n', "1:4", 'the quote that opens here is not closed: the value ends with another " in line 3'),
    ('- {a: "b, c: d}\n- {a: "e", c: d}\n', "1:7", 'the quote that opens here is not closed: the value ends with another " in line 2'),
    ("a: 'foo\n", "1:4", "the quote that opens here is not closed: the value ends with another '"),
    ('a: "x\n---\n"\n', "2:1", "--- or ... cannot begin a line inside a quoted value; is a quote before it not closed?"),
    ("a: 'it's dead'\n", "1:8", f"there is more after the closing ': quote the whole value {QUOTES}"),
    ('a: "x"\n  b\n', "2:3", f'there is more after the closing " of the line before: quote the whole value {QUOTES}'),
    ("a: [1 2]]\n", "1:9", "there is more after the closing ]: remove it, or quote the whole value"),
    ("a: {b: 1}} \n", "1:10", "there is more after the closing }: remove it, or quote the whole value"),
    ("a: [1, 2\nb: 3\n", "2:2", "a comma or the closing ] is missing before this; the list opens in 1:4; a value with brackets or commas in it has to be quoted"),
    ("a: {b: 1\nc: 2\n", "2:2", "a comma or the closing } is missing before this; the mapping opens in 1:4; a value with brackets or commas in it has to be quoted"),
    ("a: [1,\n", "2:1", "the file ends here, and a bracket ([ or {) before it is not closed"),
    ("a: [b,, c]\n", "1:7", BETWEEN),
    ("a: ]\n", "1:4", BETWEEN),
    ('a: "\\d+"\n', "1:5", ESCAPE),
    ('a: "\\xzz"\n', "1:7", ESCAPE),
    ("a: @foo\n", "1:4", "a value that begins with @ has to be quoted ('@foo')"),
    ("a: `b`\n", "1:4", "a value that begins with ` has to be quoted ('`b`')"),
    ("a: *\n", "1:4", "a value that begins with * has to be quoted ('*')"),
    ("a: [*.log, b]\n", "1:5", "a value that begins with * has to be quoted"),
    ("a: & b\n", "1:4", "a value that begins with & has to be quoted ('& b')"),
    ("a: !b!c d\n", "1:4", "a value that begins with ! has to be quoted ('!b!c d')"),
    ("a: > b\n", "1:6", BLOCK),
    ("a: |x\n  foo\n", "1:5", BLOCK),
    ("t: {% if a %}x{% endif %}\n", "1:4", "a value that begins with a template has to be quoted ('{% if a %}x{% endif %}')"),
    ('t: {{ a["b"].c }} died\n', "1:4", "a value that begins with a template has to be quoted ('{{ a[\"b\"].c }} died')"),
    ('t: "x: {{ a }}" y\n', "1:17", f'there is more after the closing ": quote the whole value {QUOTES}'),
    ("a: 1\n... x\n", "2:5", "nothing may follow the end of the document"),
    ("a:\n  -b: c: d\n", "2:8", "a blank is missing after the dash (- NAME: VALUE)"),
    ("- a:b\n  c: d\n", "2:4", "a blank is missing after the colon (NAME: VALUE)"),
    ("a: {b: !c}\n", "1:8", "a value that begins with ! has to be quoted"),
    (": a\n: b\n", "1:1", "a name is missing before the colon"),
    ("%YAML 1.2\n%YAML 1.2\n---\na: 1\n", "2:1", "found duplicate %YAML directive"),
]  # fmt: skip


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlaybookErrors) as caught:
        load(text, "p.yaml")
    return str(caught.value).splitlines()


def mistake(text: str) -> str:
    with pytest.raises(PlaybookErrors) as caught:
        document.parse(text, "p.yaml")
    return str(caught.value)


@pytest.mark.parametrize(("text", "at", "words"), NOT_YAML, ids=[each[0] for each in NOT_YAML])
def test_text_that_is_no_yaml(text: str, at: str, words: str) -> None:
    assert mistake(text) == f"p.yaml:{at}: not valid YAML: {words}"


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [case for case in NOT_YAML if case[2] != ESCAPE and not case[0].startswith(OTHERWISE)],
)
def test_without_libyaml_the_words_are_the_same(
    text: str, at: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser in Python, for machines without the one in C."""
    monkeypatch.setattr(document, "_Loader", yaml.SafeLoader)
    assert mistake(text) == f"p.yaml:{at}: not valid YAML: {words}"


@pytest.mark.parametrize(
    ("text", "at", "example"),
    [
        ("spec:\n  title: {{ container.name }}\n", "2:10", "'{{ container.name }}'"),
        ("- {{ item }}\n", "1:3", "'{{ item }}'"),
        ("f: {title: {{ item }}, b: c}\n", "1:12", "'{{ item }}'"),
        ("f: [{{ item }}]\n", "1:5", "'{{ item }}'"),
        ("t: {{ item | short(10) }} x\n", "1:4", "'{{ item | short(10) }} x'"),
        ("t: {{ it's }} x\n", "1:4", '"{{ it\'s }} x"'),
        (f"t: {{{{ {'x' * 50} }}}}\n", "1:4", f"'{{{{ {'x' * 37}…'"),
    ],
)
def test_a_template_without_quotes(text: str, at: str, example: str) -> None:
    """YAML reads it as a mapping in a mapping."""
    words = f"a value that begins with a template has to be quoted ({example})"
    assert mistake(text) == f"p.yaml:{at}: {words}"


def test_a_tag_that_was_meant_as_not() -> None:
    assert mistake("when: !container.ready\n") == (
        "p.yaml:1:7: tag !container.ready is not allowed in a playbook; "
        "a value that begins with ! has to be quoted"
    )


# whole file, the line
BROKEN: list[tuple[str, str, str]] = [
    ("empty", "", "p.yaml:1:1: is empty; expected a playbook"),
    ("a comment", "# nothing\n", "p.yaml:1:1: is empty; expected a playbook"),
    ("a list", "- a\n", "p.yaml:1:1: expected a playbook, a mapping (field: value)"),
    ("two documents", "a: 1\n---\nb: 2\n", "p.yaml:2:1: a second document; one file, one playbook"),
    ("a control character", "a: x\nb: \x07\n", "p.yaml:2:4: character U+0007, which YAML does not allow"),
    ("a surrogate", "a: \ud800\n", "p.yaml:1:4: character U+D800, which YAML does not allow"),
    ("a tag", "a: !!python/object:os.system x\n", "p.yaml:1:4: tag !!python/object:os.system is not allowed in a playbook"),
    ("an alias to nothing", "a: *b\n", 'p.yaml:1:4: alias "*b" names nothing before it'),
    ("an alias to itself", "a: &b [*b]\n", 'p.yaml:1:8: alias "*b" contains itself'),
    ("a list as a key", "? [a]\n: b\n", "p.yaml:1:3: a key must be a word"),
    ("another kind", "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nfoo: 1\nbar: null\n", 'p.yaml:2:7: kind: expected "Playbook", found "Policy"'),
    ("a kind that is misspelt", "apiVersion: podmedic.io/v1alpha1\nkind: Polcy\nfoo: 1\n", 'p.yaml:2:7: kind: expected "Playbook", found "Polcy" (did you mean "Policy"?)'),
    ("another version", "apiVersion: podmedic.io/v2\nkind: Playbook\nfoo: 1\n", 'p.yaml:1:13: apiVersion: this version reads "podmedic.io/v1alpha1", found "podmedic.io/v2"'),
    ("nested too deeply", "a: " + "[" * 60, "p.yaml:1:53: nested deeper than 50 levels"),
    ("too large", "a: " + "x" * MAX_BYTES, "p.yaml:1:1: larger than 1 MiB"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), [c[1:] for c in BROKEN], ids=[c[0] for c in BROKEN])
def test_what_is_no_playbook_at_all(text: str, line: str) -> None:
    assert mistakes(text) == [line]


def test_nesting_without_end_is_one_line() -> None:
    """Where exactly depends on how far libyaml reads ahead before it says so itself."""
    (line,) = mistakes("a: " + "[" * 100_000)
    assert line.startswith("p.yaml:1:")
    assert line.endswith(": nested deeper than 50 levels")


def test_alias_bombs_are_not_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 10)]
    (line,) = mistakes("\n".join(lines))
    assert line.startswith("p.yaml:5:")
    assert line.endswith("more than 50000 values or 50 levels, aliases expanded")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PlaybookErrors) as caught:
        load_file(tmp_path / "x.yaml")
    assert str(caught.value) == f"{tmp_path}/x.yaml: No such file or directory"


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(PlaybookErrors) as caught:
        load_file(file)
    assert str(caught.value) == f"{file}:2:4: not UTF-8"
