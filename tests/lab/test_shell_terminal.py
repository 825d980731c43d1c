"""`podmedic shell POD` at a terminal."""

import json
import re
import signal
import time
from contextlib import AbstractContextManager, ExitStack
from itertools import product
from pathlib import Path

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, service_account_token
from tests.lab import podmedic as pm
from tests.lab.machine import stopped_kubelet
from tests.lab.pty_session import Sitting, sitting
from tests.lab.test_shell import IMAGE, ended, shell, start_shell, the_pod, wait_ended, web

__all__ = ["web"]
DETACH = "\x1dd"
# Says when it is the shell's foreground program; the line that is typed does not say so.
FOREGROUND = "sh -c 'echo be\"\"gun; exec sleep {}'\n"
STRATEGIES = ("target", "shared")


def sit(lab: Lab, namespace: str, pod: str, *arguments: str) -> AbstractContextManager[Sitting]:
    argv: list[str | Path] = [pm.COMMAND, "shell", pod, "-n", namespace, *IMAGE, *arguments]
    return sitting(argv, pm.environment(lab) | {"TERM": "xterm"})


def ends(lab: Lab, namespace: str) -> list[int]:
    """Exit codes of those of ours that have ended."""
    statuses = the_pod(lab, namespace).status.ephemeral_container_statuses
    return [s.state.terminated.exit_code for s in statuses if s.state.terminated is not None]


def come_back(
    lab: Lab, namespace: str, pod: str, *arguments: str
) -> AbstractContextManager[Sitting]:
    argv: list[str | Path] = [pm.COMMAND, "attach", pod, "-n", namespace, *arguments]
    return sitting(argv, pm.environment(lab) | {"TERM": "xterm"}, columns=90, rows=20)


def test_a_session_from_its_prompt_to_its_exit_code(lab: Lab, namespace: str, web: str) -> None:
    """Of ash and of bash: size, its change, Ctrl-C, job control, the exit code, the terminal restored,
    and no process left to the app."""
    lab.images("tools")
    for image, strategy in product(("busybox:1.36", "ghcr.io/podmedic/tools:0.1.0"), STRATEGIES):
        _session(lab, namespace, web, "--image", image, "--strategy", strategy)
    wait_ended(lab, namespace)
    assert ends(lab, namespace) == [9] * 4
    processes = lab.kubectl("exec", web, "-n", namespace, "-c", "app", "--", "ps")
    assert "sleep 50" not in processes


def _session(lab: Lab, namespace: str, web: str, *words: str) -> None:
    with sit(lab, namespace, web, *words) as at:
        before = at.modes
        at.expect(r"`exit` ends it, Ctrl-\] then d leaves it running")
        at.expect(r"[$#] ")
        at.run("tty", "/dev/")
        at.run("stty size", "30 100")
        at.run("cat /proc/self/oom_score_adj", "1000")
        at.resize(132, 43)
        at.run("sleep 1; stty size", "43 132")
        at.type(FOREGROUND.format(500))
        at.expect("begun")
        at.type("\x03")
        at.expect(r"[$#] ")
        at.run("echo $?", "130")
        at.type(FOREGROUND.format(501))
        at.expect("begun")
        at.type("\x1a")
        at.expect("Stopped")
        at.type("fg\n")
        time.sleep(1)
        at.type("\x03")
        at.expect(r"[$#] ")
        at.run("printf 'b%s\\n' \u00e9", "b\u00e9")
        at.run("exit 9", "")
        assert at.exit_code() == 9
        assert at.modes == before


def test_a_shell_that_was_left_goes_on_until_its_ttl(lab: Lab, namespace: str, web: str) -> None:
    for strategy in STRATEGIES:
        with sit(lab, namespace, web, "--strategy", strategy, "--ttl", "20") as at:
            at.expect(r"[$#] ")
            at.run("echo here", "here")
            at.type(DETACH)
            assert at.exit_code() == 0
            told = at.expect(r"podmedic: detached; (.*)\r\n")[1].decode()
            assert f"`podmedic attach {web} -n {namespace}` comes back to it" in told
    assert not ended(lab, namespace)
    wait_ended(lab, namespace)
    for status in the_pod(lab, namespace).status.ephemeral_container_statuses:
        assert status.state.terminated is not None
        lived = status.state.terminated.finished_at - status.state.terminated.started_at  # type: ignore[operator]
        assert 19 <= lived.total_seconds() <= 26


def test_what_starts_too_late_does_not_stay(lab: Lab, namespace: str, web: str) -> None:
    """It was given up after the time that is told, and ends because nobody comes to it. A command
    outlasts the time in which somebody must come, also one that runs another program."""
    long = start_shell(lab, namespace, web, "--command", "echo up; exec sleep 40")
    assert long.stdout is not None
    assert long.stdout.readline() == b"up\n"
    with stopped_kubelet(lab):
        for strategy in STRATEGIES:
            words = ("--strategy", strategy, "--start-timeout", "0.1")
            late = shell(lab, namespace, web, *words, "--command", "true")
            assert late.returncode == 125
            assert re.fullmatch(
                rb"podmedic: container (podmedic-\S+) does not run: the kubelet \D+-?\S+ did not"
                rb" [a-z ]+ within [0-9.]+ s.* \(NotSeenByKubelet\); container \1 stays in"
                rb" the pod's spec and, should it start later, ends within 30 s because nobody"
                rb" comes\n",
                late.stderr,
            ), late.stderr
            with sit(lab, namespace, web, *words) as at:
                at.expect("should it start later, ends within 30 s because nobody comes")
                assert at.exit_code() == 125
    _, stderr = long.communicate(timeout=120)
    assert (long.returncode, stderr) == (0, b"")
    wait_ended(lab, namespace, seconds=60)
    assert ends(lab, namespace) == [0] * 5
    processes = lab.kubectl(
        "exec", web, "-n", namespace, "-c", "app", "--", "ps", "-o", "stat,args"
    )
    assert not [line for line in processes.splitlines() if line.startswith("Z")], processes


def test_nothing_of_ours_delays_the_deletion_of_its_pod(lab: Lab, namespace: str, web: str) -> None:
    """Not even what runs by then: an interactive shell ignores SIGTERM, and what ignores it is
    waited for all of the half minute. A command is told from one that ended by itself."""
    with ExitStack() as stack:
        commands, terminals = [], []
        for strategy in STRATEGIES:
            words = ("--strategy", strategy)
            process = start_shell(lab, namespace, web, *words, "--command", "echo up; sleep 600")
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            commands.append(process)
            at = stack.enter_context(sit(lab, namespace, web, *words))
            at.expect(r"[$#] ")
            at.type("sleep 500\n")
            at.expect("sleep 500")
            terminals.append(at)
        began = time.monotonic()
        lab.kubectl("delete", "pod", web, "-n", namespace, "--grace-period=30", "--timeout=60s")
        assert time.monotonic() - began < 20
        for at in terminals:
            assert at.exit_code() != 0
    for process in commands:
        _, stderr = process.communicate(timeout=30)
        assert process.returncode in (137, 255), stderr
        assert stderr.startswith(b"podmedic: ")


def test_a_terminal_that_hangs_up_leaves_the_shell(lab: Lab, namespace: str, web: str) -> None:
    """As when a laptop is closed: whoever comes back finds it."""
    with sit(lab, namespace, web) as at:
        at.expect(r"[$#] ")
        at.hang_up()
        assert at.exit_code() in (0, 255)
    assert not ended(lab, namespace)


def test_a_signal_leaves_the_shell_and_restores_the_terminal(
    lab: Lab, namespace: str, web: str
) -> None:
    with sit(lab, namespace, web) as at:
        before = at.modes
        at.expect(r"[$#] ")
        at.run(r"printf '\033[?1049h\033[?25l'; echo full", "full")
        at.signal(signal.SIGTERM)
        assert at.exit_code() == 255
        assert at.modes == before
        at.expect(r"\x1b\[\?1049l\x1b\[\?25h\x1b\[0m")
        at.expect(r"podmedic: interrupted; container \S+ goes on until then")


def test_without_a_terminal_it_says_what_to_do(lab: Lab) -> None:
    """Before a cluster is asked."""
    done = shell(lab, "shop", "web", stdin=b"")
    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr.decode() == (
        "podmedic: stdin is not a terminal: --command TEXT runs one command, -i --command sh a "
        "script from stdin\n"
    )
    with sitting(
        ["/bin/sh", "-c", f"{pm.COMMAND} shell web | cat; exit 7"], pm.environment(lab)
    ) as at:
        assert at.exit_code() == 7
        at.expect("stdout is not a terminal")
    bad = shell(lab, "shop", "web", "--detach-keys", "ctrl-")
    assert bad.returncode == 125
    assert b"a character or ctrl-KEY is expected" in bad.stderr


def test_no_zombie_is_left_to_the_app(lab: Lab, namespace: str) -> None:
    """Where its first process waits for no child but its own."""
    lab.images("python", "busybox")
    script = "import signal, time; signal.signal(15, lambda *_: exit()); time.sleep(86400)"
    container = {"command": ["python3", "-c", script]}
    pm.apply(lab, namespace, pm.deployment("web", "", image="python:3", container=container))
    pm.wait_ready(lab, namespace, "web")
    time.sleep(6)
    pod = the_pod(lab, namespace).metadata.name
    with sit(lab, namespace, pod, "--strategy", "target") as at:
        at.expect(r"[$#] ")
        at.run("exit 4", "")
        assert at.exit_code() == 4
    assert shell(lab, namespace, pod, "--strategy", "target", "--command", "true").returncode == 0
    wait_ended(lab, namespace)
    states = lab.kubectl(
        "exec", pod, "-n", namespace, "-c", "app", "--", "python3", "-c",
        "import glob; print(*(open(p).read().split()[2] for p in glob.glob('/proc/[0-9]*/stat')))",
    )  # fmt: skip
    assert "Z" not in states


def test_attach_comes_back_to_the_same_shell(lab: Lab, namespace: str, web: str) -> None:
    """With its variables and its running program, the last lines, the size of the new terminal,
    and the shell's exit code."""
    for number, strategy in enumerate(STRATEGIES, 1):
        with sit(lab, namespace, web, "--strategy", strategy) as at:
            at.expect(r"[$#] ")
            at.run("left=behind; printf 'a\\033[31mred\\n'", "red")
            at.type("cat\n")
            at.expect("cat\r\n")
            time.sleep(1)  # until it reads, not the shell
            at.type("one\n")
            at.expect("one\r\none\r\n")
            at.type(DETACH)
            assert at.exit_code() == 0
        with come_back(lab, namespace, web) as at:
            at.expect(
                r"`exit` ends it, Ctrl-\] then d leaves it running; it ends by itself in 3\d\d\d s"
            )
            at.expect(r"\| ared\r\n")
            at.type("two\n")
            at.expect("two\r\ntwo\r\n")
            at.type("\x04")
            at.expect(r"[$#] ")
            at.run("echo still $left", "still behind")
            at.run("stty size", "20 90")
            at.type("exit 5\n")
            assert at.exit_code() == 5
        assert len(the_pod(lab, namespace).spec.ephemeral_containers) == number
        wait_ended(lab, namespace)
    with come_back(lab, namespace, web) as at:
        assert at.exit_code() == 125
        at.expect(
            f"podmedic: no shell of podmedic's runs in pod {web}; the last one ended with exit "
            f"code 5; `podmedic shell {web} -n {namespace}` starts one"
        )


def test_attach_says_what_there_is(lab: Lab, namespace: str, web: str) -> None:
    with come_back(lab, namespace, "gone") as at:
        assert at.exit_code() == 125
        at.expect(f"podmedic: there is no pod gone in namespace {namespace}")
    names = []
    for _ in range(2):
        with sit(lab, namespace, web) as at:
            names.append(at.expect(r"container (\S+) beside app")[1].decode())
            at.expect(r"[$#] ")
            at.type(DETACH)
            assert at.exit_code() == 0
    with come_back(lab, namespace, web) as at:
        assert at.exit_code() == 125
        told = at.expect("has 2 shells, -c NAME says which: (.*)\r\n")[1].decode()
        assert all(name in told for name in names)
    with come_back(lab, namespace, web, "-c", names[1]) as at:
        at.expect(f"container {names[1]};")
        at.type("\n")
        at.expect(r"[$#] ")
        at.type("exit\n")
        assert at.exit_code() == 0
    with come_back(lab, namespace, web, "-c", "app") as at:
        assert at.exit_code() == 125
        at.expect("has no shell app of podmedic's: ")


def test_a_session_is_recorded_with_what_it_ran_in(
    lab: Lab, namespace: str, web: str, tmp_path: Path
) -> None:
    """Shown, sized and timed; not what was typed unseen, no secret; the container as it was sent,
    and a session that is left by a signal too."""
    folder = tmp_path / "evidence"
    with sit(lab, namespace, web, "--record", str(folder)) as at:
        at.expect(r"[$#] ")
        at.run("echo DB_PASSWORD=hunter2-Zq81", "Zq81")
        at.resize(132, 43)
        at.run("stty -echo; read -r unseen; stty echo; echo after", "")
        time.sleep(1)
        at.type("typed-unseen\n")
        at.expect("after")
        at.type("exit 6\n")
        assert at.exit_code() == 6
        told = at.expect(r"podmedic: recorded in (\S+)")[1].decode()
    cast, described = sorted(folder.iterdir(), key=lambda path: path.suffix)
    assert (told, cast.suffix) == (str(cast), ".cast")
    header, *events = (json.loads(line) for line in cast.read_text().splitlines())
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    assert ["r", "132x43"] in [event[1:] for event in events]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    shown = "".join(event[2] for event in events if event[1] == "o")
    assert "echo DB_PASSWORD=[redacted:" in shown
    assert "after" in shown
    assert "Zq81" not in cast.read_text()
    assert "typed-unseen" not in cast.read_text()
    document = json.loads(described.read_text())
    assert (document["pod"], document["exitCode"], document["targetContainer"]) == (web, 6, "app")
    (container,) = the_pod(lab, namespace).spec.ephemeral_containers
    assert document["container"]["name"] == container.name
    assert tuple(document["container"]["command"]) == container.command
    assert document["container"]["securityContext"] == container.security_context

    done = shell(
        lab, namespace, web, "--record", str(folder), "--command", "echo out; echo err >&2; exit 2"
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, b"out\n", b"err\n")
    assert len(list(folder.iterdir())) == 4
    with sit(lab, namespace, web, "--record", str(folder)) as at:
        at.expect(r"[$#] ")
        at.signal(signal.SIGTERM)
        assert at.exit_code() == 255
    assert len(list(folder.iterdir())) == 6
    before = len(the_pod(lab, namespace).spec.ephemeral_containers)
    refused = shell(lab, namespace, web, "--record", "/proc/none", "--command", "true")
    assert (refused.returncode, refused.stderr) == (
        125, b"podmedic: --record /proc/none: No such file or directory\n",
    )  # fmt: skip
    assert len(the_pod(lab, namespace).spec.ephemeral_containers) == before


def test_a_shell_that_is_come_back_to_is_recorded_too(
    lab: Lab, namespace: str, web: str, tmp_path: Path
) -> None:
    """From then on, with the container as it stands in the pod; a session that goes on has no exit
    code."""
    folder = tmp_path / "evidence"
    with sit(lab, namespace, web, "--record", str(folder)) as at:
        at.expect(r"[$#] ")
        at.run("echo before-$((40 + 2))", "before-42")
        at.type(DETACH)
        assert at.exit_code() == 0
    (left,) = folder.glob("*.json")
    assert json.loads(left.read_text())["exitCode"] is None
    again = tmp_path / "again"
    with come_back(lab, namespace, web, "--record", str(again)) as at:
        at.type("\n")
        at.expect(r"[$#] ")
        at.run("echo DB_PASSWORD=hunter2-Zq81", "Zq81")
        at.type("exit 6\n")
        assert at.exit_code() == 6
        told = at.expect(r"podmedic: recorded in (\S+)")[1].decode()
    cast, described = sorted(again.iterdir(), key=lambda path: path.suffix)
    assert (told, cast.suffix) == (str(cast), ".cast")
    header, *events = (json.loads(line) for line in cast.read_text().splitlines())
    assert (header["version"], header["width"], header["height"]) == (2, 90, 20)
    shown = "".join(event[2] for event in events if event[1] == "o")
    assert "echo DB_PASSWORD=[redacted:" in shown
    assert "Zq81" not in cast.read_text()
    assert "before-42" not in cast.read_text()
    document = json.loads(described.read_text())
    assert (document["pod"], document["exitCode"], document["targetContainer"]) == (web, 6, "app")
    (pod,) = json.loads(lab.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    assert [document["container"]] == pod["spec"]["ephemeralContainers"]


def test_a_connection_that_is_lost_is_no_exit(
    lab: Lab, namespace: str, web: str, tmp_path: Path
) -> None:
    """255 and the way back, where the shell still is."""
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        token = service_account_token(lab, namespace)
        config = str(proxy.kubeconfig(tmp_path / "kubeconfig", token=token))
        proxy.add(Fault.cut(path=r".*/attach", after_seconds=4.0))
        with sit(lab, namespace, web, "--kubeconfig", config) as at:
            at.expect(r"[$#] ")
            at.type("left=behind\n")
            assert at.exit_code() == 255
            told = at.expect(r"podmedic: the connection was lost(.*)\r\n")[1].decode()
            assert f"`podmedic attach {web} -n {namespace}` comes back to it" in told
    with come_back(lab, namespace, web) as at:
        at.expect(r"[$#] ")
        at.run("echo still $left", "still behind")
        at.type("exit\n")
        assert at.exit_code() == 0
