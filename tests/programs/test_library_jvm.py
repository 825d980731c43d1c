"""The scripts about Java, run by the shells of images."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs.scripts import SHELLS, run, step_of
from tests.programs.test_library_security import looking_at

FLAGS = "7:\n-XX:CICompilerCount=2 -XX:MaxHeapSize=67108864 -XX:+UseG1GC\n"
HEAP = """7:
 def new generation   total 19648K, used {young}K [0x00000000fc000000, 0x00000000fd550000)
  eden space 17472K,  97% used [0x00000000fc000000, 0x00000000fd0add80)
 tenured generation   total 43712K, used 43697K [0x00000000fd550000, 0x0000000100000000)
 Metaspace       used 9889K, committed 10112K, reserved 1114112K
"""
THREAD = """
"{name}" #12 daemon prio=5 os_prio=0 cpu={cpu}ms elapsed={age}s tid=0x{tid:x} nid={nid} what  [0x1]
   java.lang.Thread.State: {state}
{frames}
   Locked ownable synchronizers:
\t- None
"""


def thread(**fields: object) -> str:
    return THREAD.format(**{"nid": "0x1", **fields})


DEADLOCKED = """
Found one Java-level deadlock:
=============================
"orders-1":
  waiting to lock monitor 0x1 (object 0x2, a java.lang.Object),
  which is held by "orders $(reboot)"

"orders $(reboot)":
  waiting to lock monitor 0x3 (object 0x4, a java.lang.Object),
  which is held by "orders-1"

Java stack information for the threads listed above:
===================================================
"orders-1":
\tat Main.take(Main.java:9)

Found 1 deadlock.
"""


def frames(*lines: str) -> str:
    return "\n".join(f"\t{line}" for line in lines)


def dump(number: int) -> str:
    """Eight that wait for one lock, its holder, one that spins, one that works on this and that."""
    seconds = 10 + 2 * number
    threads = [
        thread(
            name=f"http-{i}", cpu=1, age=seconds, tid=0x10 + i, state="BLOCKED (on object monitor)",
            frames=frames("at Main.take(Main.java:7)", "- waiting to lock <0x00ff> (a com.shop.Pool)"),
        )
        for i in range(8)
    ]  # fmt: skip
    threads.append(
        thread(
            name="holder", cpu=1, age=seconds, tid=0x50, state="TIMED_WAITING (sleeping)",
            frames=frames("at Main.slow(Main.java:3)", "- locked <0x00ff> (a com.shop.Pool)"),
        )
    )  # fmt: skip
    spinning = frames(f"at Main.inner{number}(Main.java:1)", f"at Main.spin(Main.java:3{number})",
                      "at java.lang.Thread.run(java.base@17/Thread.java:840)")  # fmt: skip
    threads.append(
        thread(name="parser", cpu=1000 + 900 * number * 2, age=seconds, tid=0x60, state="RUNNABLE",
                      nid="0x2f", frames=spinning)
    )  # fmt: skip
    elsewhere = frames(
        f"at Main.job{number}(Main.java:1)", "at java.lang.Thread.run(Thread.java:840)"
    )
    threads.append(
        thread(name="worker", cpu=2000 * number, age=seconds, tid=0x70, state="RUNNABLE",
                      frames=elsewhere)
    )  # fmt: skip
    gc = f'"GC Thread#0" os_prio=0 cpu={500 * number}ms elapsed={seconds}s tid=0x80 nid=0x2 runnable\n'
    return f"7:\nFull thread dump\n{''.join(threads)}\n{gc}{DEADLOCKED if number == 3 else ''}"


JVM_ITSELF = """
import os, signal, socket, sys
at = f"/tmp/.java_pid{os.getpid()}"
mark = f"/tmp/.attach_pid{os.getpid()}"

def listen(*_):
    assert os.path.exists(mark)
    server.bind(at)
    server.listen()

server = socket.socket(socket.AF_UNIX)
signal.signal(signal.SIGQUIT, listen)
print(flush=True)
signal.pause()
count = {}
while True:
    client, _ = server.accept()
    request = client.recv(1000)
    while request.count(b"\\0") < 5:
        request += client.recv(1000)
    version, verb, command, *rest = request.split(b"\\0")
    assert (version, verb, rest) == (b"1", b"jcmd", [b"", b"", b""]), request
    name = command.decode()
    count[name] = count.get(name, 0) + 1
    with open(f"{sys.argv[1]}/{name}{count[name]}", "rb") as file:
        client.sendall(b"0\\n" + file.read())
    client.close()
"""


@pytest.fixture
def java(tmp_path: Path) -> Iterator[int]:
    """What a JVM does when it is asked, with answers from files."""
    (tmp_path / "VM.flags1").write_text(FLAGS)
    for n in (1, 2, 3):
        (tmp_path / f"Thread.print{n}").write_text(dump(n))
        (tmp_path / f"GC.heap_info{n}").write_text(HEAP.format(young=17000 + n))
    with subprocess.Popen(
        [sys.executable, "-c", JVM_ITSELF, tmp_path], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()
    Path(f"/tmp/.java_pid{process.pid}").unlink(missing_ok=True)


def asked(shell: list[str], pid: int, ran: str = "") -> dict[str, str]:
    """The step, told that this process has a JVM's library. `ran`: what the kernel says of its threads
    before and after, instead of what it says of this process."""
    step = looking_at(step_of("jvm", "threads"), pid)
    assert step.script is not None
    script = step.script.replace("grep -q '/libjvm\\.so'", "true #").replace("sleep 2", "sleep 0")
    if ran:
        own = 'grep -H . /proc/uptime "/proc/$pid"/task/*/schedstat 2>/dev/null'
        assert own in script
        script = script.replace(own, f"m=$((${{m:-0}} + 1)); cat {ran}$m")
    found = run(step.changed(script=script), shell)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_three_dumps(shell: list[str], java: int) -> None:
    found = asked(shell, java)
    assert not Path(f"/tmp/.attach_pid{java}").exists()
    assert found == {
        "jvm": "yes", "askable": "yes", "threads": "12", "deadlocked": "2",
        "deadlock_threads": "orders-1, orders $(reboot)", "blocked": "8", "blocked_long": "8",
        "blocked_on": "com.shop.Pool", "holder": "holder", "holder_at": "Main.slow(Main.java:3)",
        "busy": "1", "busy_name": "parser", "busy_place": "Main.spin(Main.java:33)",
        "gc_percent": "25", "heap_used_kib": "60698", "heap_max_kib": "65536", "heap_percent": "92",
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("nid", "cpu", "waited", "busy"),
    [("0x2f", 60, 3.7, "1"), ("47", 60, 3.7, "1"), ("0x2f", 1800, 1.7, "0")],
    ids=["jdk17", "jdk21", "content"],
)
def test_a_thread_that_wants_a_processor_and_gets_none(
    shell: list[str], java: int, nid: str, cpu: int, waited: float, busy: str, tmp_path: Path
) -> None:
    """It had 3 % of one, and waited for it all the time: that thread never pauses. Another had more
    than a third of one, but did not want more."""
    for number in (1, 2, 3):
        file = tmp_path / f"Thread.print{number}"
        told = file.read_text().replace(
            f"cpu={1000 + 1800 * number}ms", f"cpu={1000 + cpu * number}ms"
        )
        file.write_text(told.replace("nid=0x2f", f"nid={nid}"))
    for number, seconds in ((1, 100.0), (2, 100.0 + waited)):
        (tmp_path / f"ran{number}").write_text(
            f"/proc/uptime:{100 + 4 * number}.50 800.00\n"
            "/proc/7/task/1/schedstat:1000000000 2000000000 10\n"
            f"/proc/7/task/47/schedstat:{9000000000 + number * 100000000} {int(seconds * 1e9)} 10\n"
        )
    found = asked(shell, java, f"{tmp_path}/ran")
    assert (found["busy"], found.get("busy_name", "parser")) == (busy, "parser")


@pytest.mark.parametrize("shell", SHELLS)
def test_what_does_not_catch_the_signal_is_not_asked(shell: list[str]) -> None:
    """It would end: SIGQUIT's own effect."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
        found = asked(shell, cat.pid)
        assert cat.poll() is None
        cat.kill()
    assert found == {"jvm": "yes", "askable": "no", "reason": "it does not catch SIGQUIT"}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_started_so_that_nobody_may_ask_is_not_asked(shell: list[str]) -> None:
    """The signal would write into its log."""
    script = (
        "import signal; signal.signal(3, lambda *_: print('asked')); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "-XX:+DisableAttachMechanism"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        found = asked(shell, process.pid)
        out, _ = process.communicate(b"\n", timeout=30)
    reason = "it is started so that it cannot be asked"
    assert found == {"jvm": "yes", "askable": "no", "reason": reason}
    assert out == b""
