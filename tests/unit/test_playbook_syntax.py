"""A file that is no YAML is told how to become it, in one line and at its place."""

import pytest
import yaml

from runner.playbook import PlaybookErrors, document

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
    ("a: - b\n", "1:4", ENTRY),
    ("a: ? b\n", "1:4", "a value that begins with ? has to be quoted ('? b')"),
    ('a: "foo\nb: 1\n', "1:4", 'the quote that opens here is not closed: the value ends with another "'),
    ("a: 'foo\n", "1:4", "the quote that opens here is not closed: the value ends with another '"),
    ('a: "x\n---\n"\n', "2:1", "--- or ... cannot begin a line inside a quoted value; is a quote before it not closed?"),
    ("a: 'it's dead'\n", "1:8", f"there is more after the closing ': quote the whole value {QUOTES}"),
    ('a: "x"\n  b\n', "2:3", f'there is more after the closing " of the line before: quote the whole value {QUOTES}'),
    ("a: [1 2]]\n", "1:9", "there is more after the closing ]: remove it, or quote the whole value"),
    ("a: {b: 1}} \n", "1:10", "there is more after the closing }: remove it, or quote the whole value"),
    ("a: [1, 2\nb: 3\n", "2:2", "a comma or the closing ] is missing before this; the list opens in 1:4"),
    ("a: {b: 1\nc: 2\n", "2:2", "a comma or the closing } is missing before this; the mapping opens in 1:4"),
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
    ("a: 1\n... x\n", "2:5", "did not find expected <document start>"),
]  # fmt: skip


def mistake(text: str) -> str:
    with pytest.raises(PlaybookErrors) as caught:
        document.parse(text, "p.yaml")
    return str(caught.value)


@pytest.mark.parametrize(("text", "at", "words"), NOT_YAML, ids=[each[0] for each in NOT_YAML])
def test_text_that_is_no_yaml(text: str, at: str, words: str) -> None:
    assert mistake(text) == f"p.yaml:{at}: not valid YAML: {words}"


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [case for case in NOT_YAML if not case[0].endswith("... x\n") and case[2] != ESCAPE],
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
