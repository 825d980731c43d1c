"""How the stdout of a step becomes `steps.NAME.parsed`."""

from typing import Any

import pytest

from runner.analyze.numbers import number
from runner.analyze.parse import ParseError, parse_output
from runner.playbook.parsing import Parse, Table, Unit
from runner.playbook.reading import made


@pytest.mark.parametrize(
    ("parse", "stdout", "value"),
    [
        ({"regex": r"(?P<a>\d)(?P<b>x)?"}, "1x 2", [{"a": "1", "b": "x"}, {"a": "2", "b": ""}]),
        ({"keyValue": "="}, "a=1\nb = 2 = 3\nnone\na=9\n=x\n", {"a": "1", "b": "2 = 3"}),
        (
            {"table": {}},
            "PID  RSS COMMAND\n  1  99  web server\n\n 7\n",
            [{"PID": "1", "RSS": "99", "COMMAND": "web server"}, {"PID": "7"}],
        ),
        ({"table": {}}, "", []),
        (
            {"table": {"columns": ["a", "b"], "header": False, "separator": ","}},
            " 1 , 2,3\n,\n",
            [{"a": "1", "b": "2,3"}, {"a": "", "b": ""}],
        ),
        (
            {
                "table": {"columns": ["dev", "size", "use", "path"]},
                "numbers": [{"name": "size", "unit": "bytes"}, {"name": "use", "unit": "percent"}],
            },
            "Filesystem Size Use% Mounted on\n/dev/sda1 1.5G 97% /my data\nnone - - /x\n",
            [
                {"dev": "/dev/sda1", "size": 1_610_612_736, "use": 97, "path": "/my data"},
                {"dev": "none", "path": "/x"},
            ],
        ),
        (
            {"keyValue": ":", "numbers": [{"name": "MemFree", "unit": "bytes"}]},
            "MemTotal: 16 kB\nMemFree: 8 kB\n",
            {"MemTotal": "16 kB", "MemFree": 8192},
        ),
        (
            {"regex": r"(?P<a>\S+)", "numbers": [{"name": "a", "unit": "integer"}]},
            "1 x",
            [{"a": 1}, {}],
        ),
        ({"number": "millis"}, "250m\n", 250),
        ({"json": True}, '{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        ({"json": True}, "100000000000000000000", 1e20),
    ],
)
def test_parse(parse: dict[str, Any], stdout: str, value: Any) -> None:
    assert parse_output(made(Parse, parse), stdout) == value


@pytest.mark.parametrize(
    ("stdout", "message"),
    [
        ("", "stdout is not JSON: Input data was truncated"),
        ("[" * 100_000, "stdout is not JSON: maximum recursion depth exceeded"),
        ("9" * 1_000_000, "stdout is not JSON: Integer value out of range"),
        ("[" * 40 + "]" * 40, "stdout is JSON nested deeper than 32 levels"),
    ],
)
def test_parse_refuses_what_is_no_json(stdout: str, message: str) -> None:
    with pytest.raises(ParseError, match=f"^{message}"):
        parse_output(Parse(json_=True), stdout)


@pytest.mark.parametrize("stdout", ["", "12 apples", "1\n2\n", "nan", "9" * 5000])
def test_parse_refuses_what_is_no_number(stdout: str) -> None:
    with pytest.raises(ParseError, match="stdout is not one number of unit bytes"):
        parse_output(Parse(number="bytes"), stdout)


def test_a_table_is_bounded() -> None:
    rows = parse_output(Parse(table=Table(columns=("n",), header=False)), "1\n" * 5000)
    assert rows == [{"n": "1"}] * 1000
    wide = " ".join(map(str, range(500)))
    (row,) = parse_output(Parse(table=Table()), f"{wide}\n{wide}")
    assert list(row) == [str(n) for n in range(50)]
    assert row["49"] == " ".join(map(str, range(49, 500)))


@pytest.mark.parametrize(
    ("unit", "numbers"),
    [
        ("bytes", {"512": 512, "4K": 4096, "4 kB": 4096, "4KiB": 4096, "1.5Gi": 1_610_612_736,
                   "20 MB": 20_971_520, "7 bytes": 7, "0.1K": 102, "-1k": -1024, "8E": None,
                   "-": None, "1Q": None, "1e3": None, "0x10": None, "1,5M": None, "٣": None}),
        ("milliseconds", {"250ms": 250, "1.5s": 1500, "2m30s": 150_000, "1h 5m": 3_900_000,
                          "5 min": 300_000, "3 days": 259_200_000, "1-02:03:04": 93_784_000,
                          "02:03": 123_000, "1:02.5": 62_500, "1500us": 1, "2": 2000, "0.001": 1,
                          "1 2": None, "5 months": None, "": None, "ms": None}),
        ("millis", {"250m": 250, "2": 2000, "0.29": 290, "1Ki": 1_024_000, "1e3": 1_000_000,
                    "2 cores": None, "nan": None, "inf": None}),
        ("percent", {"97%": 97, "99.9 %": 99, "0.5": 0, "-0.5%": -1, "%": None, "9%%": None}),
        ("integer", {"42": 42, "-1": -1, "+7": 7, str(2**63 - 1): 2**63 - 1, str(2**63): None,
                     "1.0": None, "1k": None}),
    ],
)  # fmt: skip
def test_numbers_with_units(unit: Unit, numbers: dict[str, int | None]) -> None:
    assert {text: number(f" {text}\n", unit) for text in numbers} == numbers
