"""What a shell needs and sends, without a cluster."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.cli.shell import shell
from runner.permissions import shell_needs
from runner.shell import document
from runner.shell.command import seconds_left
from runner.shell.find import plain_lines
from runner.shell.keys import DetachKeys, parse_keys
from runner.shell.meant import meant
from runner.shell.modes import Modes
from runner.shell.program import holder, terminal, terminal_ttl
from tests.unit.pods import pod

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def test_the_page_names_every_verb() -> None:
    page = (ROOT / "docs" / "shell.md").read_text()
    for need in shell_needs():
        optional = "optional: " if need.optional else ""
        group = f" ({need.group})" if need.group else ""
        verbs = ", ".join(need.verbs)
        assert f"| {verbs} | {need.resource}{group} | {optional}{need.why} |" in page


def test_options_become_a_playbook() -> None:
    made = document(
        image="busybox:1.36",
        profile="general",
        strategy="own-image",
        run_as_user=(7, 0),
        container="api",
    )
    debugger = made.spec.debugger
    assert (debugger.image, debugger.profile) == ("busybox:1.36", "general")
    assert (debugger.strategy, debugger.security_context.run_as_user) == (("own-image",), 7)
    assert debugger.security_context.run_as_group == 0
    assert made.spec.targets.container == "api"
    least = document(
        image=None, profile="restricted", strategy="auto", run_as_user=None, container=""
    )
    assert least.spec.targets.container is None
    assert least.spec.debugger.image.startswith("ghcr.io/podmedic/tools:")


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("catch", "it lasts no longer than a crash-looping container runs; auto stays beside it"),
        ("copy", "a copy is deleted when podmedic ends, a shell may be left and come back to"),
        ("none", "it injects nothing, and a shell is in a container"),
    ],
)
def test_a_strategy_that_no_shell_can_have_is_refused(strategy: str, why: str) -> None:
    done = CliRunner().invoke(shell, ["web-0", "--strategy", strategy, "--command", "true"])
    assert (done.exit_code, done.stdout) == (125, "")
    assert done.stderr == f"podmedic: --strategy {strategy}: {why}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--", "id"], "unexpected: id; a command in the pod is given as --command id"),
        (
            ["--", "ls", "-l", "a b"],
            """unexpected: ls -l 'a b'; a command in the pod is given as --command 'ls -l '"'"'a b'"'"''""",
        ),
        (
            ["--command", "ls", "/tmp"],
            "unexpected: /tmp; --command takes the whole command as one text",
        ),
        (
            ["ls", "-la"],
            "No such option '-l'; if it is the command's: --command takes the whole command as one text",
        ),
        (
            ["-c", "A_B", "--command", "id"],
            "-c 'A_B' is no name of a container: lower case letters, digits and '-'",
        ),
        (
            ["--ttl", "1h"],
            "Invalid value for '--ttl': '1h' is not a valid integer (did you mean 3600?)",
        ),
        (
            ["-it", "--", "sh"],
            "there is no -t: without --command it is a terminal, and -i passes stdin to the command",
        ),
        (
            ["--comand", "id"],
            "No such option '--comand'. (Did you mean one of: '--cap', '--command', '--record'?)",
        ),
    ],
)
def test_a_command_as_kubectl_takes_it(arguments: list[str], line: str) -> None:
    done = CliRunner().invoke(shell, ["deploy/web", *arguments])
    assert (done.exit_code, done.stdout) == (125, "")
    assert done.stderr == f"podmedic: {line}\n"


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("Pod", "web", ' (did you mean "deploy/web"?)'),
        ("StatefulSet", "web", ' (did you mean "deploy/web"?)'),
        ("Deployment", "wbe", ' (did you mean "deploy/web"?)'),
        ("Deployment", "xyz", ""),
        ("Pod", "web-5d9c7-abcdf", ' (did you mean "web-5d9c7-abcde"?)'),
        ("Pod", "db", ' (did you mean "sts/db"?)'),
        ("Pod", "queue", ""),
    ],
)
def test_what_was_meant_by_a_name_that_no_pod_has(kind: str, name: str, hint: str) -> None:
    pods = [
        pod(metadata={"name": name, "labels": labels, "ownerReferences": [{**owner, "controller": True}]})
        for name, labels, owner in (
            ("web-5d9c7-abcde", {"pod-template-hash": "5d9c7"}, {"kind": "ReplicaSet", "name": "web-5d9c7"}),
            ("db-0", {}, {"kind": "StatefulSet", "name": "db"}),
        )
    ]  # fmt: skip
    assert meant(kind, name, pods) == hint


def test_kubernetes_expands_nothing_of_what_is_sent() -> None:
    for text in (holder("podmedic-abcdefghijkl-1", 60), terminal("podmedic-abcdefghijkl-1", 600)):
        # Arithmetic is an expansion of a name that no variable has, and left as it is.
        assert "$(" not in text.replace("$((_i + 1))", "").replace("$((_t - _n))", "")
        assert "$$" not in text


@pytest.mark.parametrize(("ttl_seconds", "left"), [(60, 59.0), (1, 0.0), (0, 0.0)])
def test_a_command_ends_before_its_container(ttl_seconds: int, left: float) -> None:
    assert seconds_left(NOW + timedelta(seconds=ttl_seconds), NOW) == left


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-],d", b"\x1dd"),
        ("ctrl-@", b"\0"),
        ("a", b"a"),
        ("", b""),
    ],
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,", ",", "\u00e9", "CTRL-p"])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="a character or ctrl-KEY is expected"):
        parse_keys(text)


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ls\n"], b"ls\n", False),
        ([b"a\x1ddb"], b"a", True),
        ([b"a\x1d", b"d"], b"a", True),
        ([b"a\x1d", b"x"], b"a\x1dx", False),
        ([b"\x1d\x1dd"], b"\x1d", True),
        ([b"\x1d"], b"", False),
        ([b"d"], b"d", False),
    ],
)
def test_detach_keys_are_found(typed: list[bytes], passed: bytes, detached: bool) -> None:
    """Also in pieces; their beginning alone is passed on with the next key."""
    keys = DetachKeys(b"\x1dd")
    found = [keys.feed(piece) for piece in typed]
    assert b"".join(p for p, _ in found) == passed
    assert found[-1][1] is detached


def test_one_detach_key_and_none() -> None:
    assert DetachKeys(b"\x1d").feed(b"a\x1db") == (b"a", True)
    assert DetachKeys(b"").feed(b"a\x1ddb") == (b"a\x1ddb", False)


@pytest.mark.parametrize(
    ("pieces", "restored"),
    [
        ([b"plain"], b""),
        ([b"\x1b[?1049h\x1b[?25l vi"], b"\x1b[?1049l\x1b[?25h"),
        ([b"\x1b[?1049h", b"\x1b[?1049l"], b""),
        ([b"x\x1b[?10", b"00;1006h"], b"\x1b[?1000l\x1b[?1006l"),
        ([b"\x1b[?25h\x1b[?7l"], b"\x1b[?7h"),
        ([b"\x1b[?31337h"], b""),
    ],
)
def test_the_terminal_is_put_back(pieces: list[bytes], restored: bytes) -> None:
    """What was switched and not switched back, and the colours."""
    modes = Modes()
    for piece in pieces:
        modes.feed(piece)
    assert modes.restored() == restored + b"\x1b[0m"


def test_a_shell_is_told_by_what_its_container_runs() -> None:
    for seconds in (5, 600, 604_800):
        command = ("/bin/sh", "-c", terminal("podmedic-a-1", seconds))
        assert terminal_ttl(command, "podmedic-a-1") == seconds
        assert terminal_ttl(command, "podmedic-b-1") is None
    assert terminal_ttl(("/bin/sh", "-c", holder("podmedic-a-1", 5)), "podmedic-a-1") is None
    assert terminal_ttl((), "podmedic-a-1") is None


def test_what_was_said_last_is_shown_as_plain_text() -> None:
    """Nothing that the terminal would obey or answer."""
    log = (
        b"\x1b[6n\x1b[1;31mred\x1b[0m $ ls\r\n\x1b]0;title\x07one\r\n  0%\r100%\r\n\r\n"
        b"\x1b(Bbell\x07 \xff\x9b6n\r\n\x1b[?2004h$ "
    )
    assert plain_lines(log) == ("red $ ls", "one", "100%", "bell^G \ufffd\ufffd6n", "$")
