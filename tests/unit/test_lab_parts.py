"""The parts of the lab that need no cluster."""

import os
import re
from pathlib import Path

import pytest

from lab import addons, binaries, dns, kwok, layout, toolchain
from lab.layout import LabError, Network
from lab.linux import Process


def test_the_addresses_of_a_lab() -> None:
    network = Network(7)

    assert (network.node_address, network.machine_address) == ("10.99.7.1", "10.99.7.2")
    assert (network.subnet, network.link) == ("10.99.7.0/24", "podmedic7")
    assert (network.api, network.registry) == ("https://10.99.7.1:6443", "10.99.7.1:5000")


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "a" * 21, "a b"])
def test_names_that_are_no_labs(name: str) -> None:
    with pytest.raises(LabError, match="expected 1 to 20 of a-z, 0-9 and -"):
        layout.layout(name)


def test_a_state_folder_too_deep_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODMEDIC_LAB_STATE", "/" + "d" * 90)

    with pytest.raises(LabError, match="set PODMEDIC_LAB_STATE to a folder with a shorter path"):
        layout.layout("lab")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PODMEDIC_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/podmedic"),
        ({"HOME": "/h"}, "/h/.cache/podmedic"),
    ],
)
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("PODMEDIC_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert layout.cache_folder() == Path(expected)


def test_what_was_saved_is_loaded_and_half_a_file_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    layout.save(path, {"pid": 1})
    half = tmp_path / "half.json"
    half.write_text('{"pid": ')

    assert layout.load(path) == {"pid": 1}
    assert layout.load(half) is None
    assert layout.load(tmp_path / "none.json") is None
    assert {entry.name for entry in tmp_path.iterdir()} == {"record.json", "half.json"}


def test_a_process_is_more_than_its_pid() -> None:
    mine = Process.of(os.getpid())
    assert mine is not None

    assert mine.alive()
    assert Process.restore(mine.record()) == mine
    assert not Process(mine.pid, mine.start_ticks - 1, mine.boot).alive()
    assert not Process(mine.pid, mine.start_ticks, "another boot").alive()
    assert Process.restore({"pid": 1}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("module m\n\ngo 1.26.0\n", (1, 26, 0)), ("go 1.27", (1, 27)), ("module m\n", (1, 21))],
)
def test_the_go_version_that_a_module_wants(text: str, expected: tuple[int, ...]) -> None:
    assert toolchain.wanted_version(text) == expected


def test_every_program_is_of_a_module_that_pins_it() -> None:
    """A changed version must change the key, and only that of its own module's programs."""
    modules = {program.module for program in binaries.PROGRAMS.values()}
    folder = Path(binaries.__file__).parent / "go"

    assert modules == {path.name for path in folder.iterdir()}
    for program in binaries.PROGRAMS.values():
        assert f'"{program.package}"' in (folder / program.module / "tools.go").read_text()


def test_kubernetes_says_the_version_it_was_built_from() -> None:
    module = Path(binaries.__file__).parent / "go" / "kubernetes" / "go.mod"
    pinned = re.search(r"k8s.io/kubernetes (v\S+)", module.read_text())

    assert pinned is not None
    flags = binaries.PROGRAMS["kubelet"].link_flags
    assert f"version.gitVersion={pinned[1]} " in flags


def test_a_dns_question_and_its_answers() -> None:
    asked = dns.question(0x1234, "a.bc")

    assert asked == bytes.fromhex("1234 0100 0001 0000 0000 0000 01 61 02 6263 00 0001 0001")
    answer = bytes.fromhex("1234 8180 0001 0001 0000 0000")
    assert dns.has_address(0x1234, answer)
    assert not dns.has_address(0x1235, answer), "somebody else's"
    assert not dns.has_address(0x1234, bytes.fromhex("1234 8183 0001 0000 0000 0000")), "NXDOMAIN"
    assert not dns.has_address(0x1234, bytes.fromhex("1234 8180 0001 0000 0000 0000")), "empty"
    assert not dns.has_address(0x1234, asked), "the question"
    assert not dns.has_address(0x1234, b"")


def test_a_manifest_names_the_path_of_each_object() -> None:
    text = "# head\n# path: /a\nkind: A\n---\n# path: /b\nkind: B\n"

    assert [path for path, _ in addons.documents(text)] == ["/a", "/b"]
    with pytest.raises(LabError, match="without a '# path:' line"):
        list(addons.documents("kind: A\n"))


def test_a_simulated_log_is_written_as_a_runtime_would(tmp_path: Path) -> None:
    long = b"x" * (16 * 1024) + b"y"
    kwok.write_log(tmp_path / "log", b"a\n\n" + long + b"\nend")

    lines = [line.split(b" ", 1) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [rest for _, rest in lines] == [
        b"stdout F a",
        b"stdout F ",
        b"stdout P " + b"x" * (16 * 1024),
        b"stdout F y",
        b"stdout P end",
    ]
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", lines[0][0])
