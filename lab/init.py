"""The first process of a lab: everything else lives in its namespaces and dies with it.

Run as a script with the state folder and the cache folder as arguments, in fresh network, mount
and pid namespaces; writes one line to stdout when others may be started.

Daemons and the container runtime insist on a few folders that no flag moves (shim sockets in
/run/containerd, CNI results in /var/lib/cni, links in /var/log/containers). Here those folders
are the lab's own, so nothing is left behind on the machine.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

# The kubelet writes these for the whole machine where they differ; here it finds them as it
# wants them, and the machine keeps its own.
_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main(state: Path, cache: Path) -> None:
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    kept = {folder: os.open(folder, os.O_PATH) for folder in (state, cache)}
    _mount("--bind", str(_folder(state / "run")), "/run")
    _uncover(kept)
    for path in ("/var/lib", "/var/log"):
        name = path.removeprefix("/").replace("/", "-")
        upper, work = _folder(state / "own" / name), _folder(state / "own" / f".{name}")
        options = f"lowerdir={path},upperdir={upper},workdir={work}"
        _mount("-t", "overlay", "-o", options, "overlay", path)
        _uncover(kept)
    for descriptor in kept.values():
        os.close(descriptor)
    for name, value in _TUNABLES.items():
        own = _folder(state / "own" / "sysctl") / name.replace("/", ".")
        own.write_text(f"{value}\n")
        _mount("--bind", str(own), f"/proc/sys/{name}")
    # A kubelet hands mounts on to containers only from a shared tree.
    _mount("--make-rshared", "/")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    _reap()


def _uncover(kept: dict[Path, int]) -> None:
    """State or cache may lie below what was just covered: puts them back where they were."""
    for folder, descriptor in kept.items():
        if not _same(folder, descriptor):
            folder.mkdir(parents=True, exist_ok=True)
            # Unresolved, since the name that the descriptor had leads elsewhere by now.
            source = f"/proc/self/fd/{descriptor}"
            _mount("--no-canonicalize", "--bind", source, str(folder), pass_fds=(descriptor,))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _same(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _mount(*arguments: str, pass_fds: tuple[int, ...] = ()) -> None:
    subprocess.run(["mount", "--no-mtab", *arguments], check=True, timeout=30, pass_fds=pass_fds)


def _reap() -> None:
    """Waits for every orphan that lands here, for as long as the lab lives."""
    children = {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, children)
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait(children)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
