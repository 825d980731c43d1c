"""Templates of users: what they see, what they cannot do, and where their mistakes are."""

from pathlib import Path

import pytest

from runner.report.template import TemplateFileError, render_template
from tests.unit.report_samples import rich_report


def _file(folder: Path, text: str, name: str = "mine.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_template_sees_the_report_and_the_rows_of_the_page(tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        "{{ headline }}\n"
        "{% for each in workloads if each.verdict == 'broken' %}\n"
        "{{ each.namespace }}/{{ each.name }}: {{ each.cause }} ({{ each.pods }})\n"
        "{% endfor %}\n"
        "{{ report.run.id }} {{ report.findings[0].fingerprint }}\n",
    )
    assert render_template(rich_report(), file) == (
        "2 workloads broken, 2 suspicious, 4 healthy, 2 not examined\n"
        "shop/ledger: app exits with code 1 because LEDGER_URL is not set. (6 of 6 pods)\n"
        "shop/orders: app exits because db.prod.svc does not resolve: there is no Service db in "
        "namespace prod. (2 of 3 pods, 1 not examined)\n"
        "20261123-031240-k3f9 fp-ledger\n"
    )


def test_html_is_escaped_and_text_is_not(tmp_path: Path) -> None:
    text = "{% for each in workloads %}{% if 'img' in each.name %}{{ each.name }}{% endif %}{% endfor %}"
    evil = "<img src=x onerror=alert(1)>"

    assert render_template(rich_report(), _file(tmp_path, text)) == evil
    escaped = "&lt;img src=x onerror=alert(1)&gt;"
    assert render_template(rich_report(), _file(tmp_path, text, "a.html.j2")) == escaped


def test_a_template_may_include_files_beside_it(tmp_path: Path) -> None:
    _file(tmp_path, "{{ report.run.id }}", "part.txt")
    file = _file(tmp_path, "run {% include 'part.txt' %}")
    assert render_template(rich_report(), file) == "run 20261123-031240-k3f9"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n{% if %}", "FILE:2: Expected an expression, got 'end of statement block'"),
        ("a\nb\n{{ report.nothing.more }}", "FILE:3: 'dict object' has no attribute 'nothing'"),
        ("{{ nobody }}", "FILE:1: 'nobody' is undefined"),
        ("\n{{ 1 / 0 }}", "FILE:2: division by zero"),
        ("{{ headline | shout }}", "FILE:1: No filter named 'shout'."),
        (
            "{{ ''.__class__.__mro__ }}",
            "FILE:1: access to attribute '__class__' of 'str' object is unsafe.",
        ),
        ("{% include '../secret' %}", "FILE:1: ../secret"),
        (
            "{{ range(10**9) | list }}",
            "FILE:1: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).",
        ),
        ("{{ report.pods.append(1) }}", "FILE:1: access to attribute 'append' of 'list' object is unsafe."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    file = _file(tmp_path, text)
    with pytest.raises(TemplateFileError) as caught:
        render_template(rich_report(), file)
    assert str(caught.value) == said.replace("FILE", str(file))


def test_a_mistake_in_an_included_file_is_told_there(tmp_path: Path) -> None:
    part = _file(tmp_path, "a\n{{ nobody }}", "part.txt")
    with pytest.raises(TemplateFileError) as caught:
        render_template(rich_report(), _file(tmp_path, "{% include 'part.txt' %}"))
    assert str(caught.value) == f"{part}:2: 'nobody' is undefined"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TemplateFileError) as caught:
        render_template(rich_report(), tmp_path / "none")
    assert str(caught.value) == f"{tmp_path / 'none'}: cannot be read: No such file or directory"
