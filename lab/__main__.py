"""python -m lab: a real single-node Kubernetes on this machine."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from lab import binaries, cluster
from lab.handle import Lab
from lab.layout import LabError, Layout, layout, layouts
from lab.packages import PackageError
from lab.settings import LOG_MAX_SIZE, Options


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What follows `kubectl` is kubectl's, options included.
    rest: list[str] = []
    if "kubectl" in given:
        at = given.index("kubectl")
        given, rest = given[: at + 1], given[at + 1 :]
    parsed = _parser().parse_args(given)
    if os.geteuid() != 0:
        print("lab: it makes namespaces, mounts and cgroups: run it as root", file=sys.stderr)
        return 1
    try:
        chosen = layout(parsed.name)
        match parsed.command:
            case "up":
                return _up(chosen, Options(parsed.log_max_size, parsed.kwok))
            case "down":
                return _down(list(layouts()) if parsed.all else [chosen])
            case "status":
                return _status(chosen)
            case "env":
                return _env(chosen)
            case "images":
                return _images(chosen, parsed.image)
            case _:
                return _kubectl(chosen, rest)
    except (LabError, PackageError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        # A full disk, a command that hangs: nothing a traceback would explain better.
        print(f"lab: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("--name", default="lab", help="which lab; several may run (default: lab)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it, or what is missing of it")
    up.add_argument("--kwok", type=int, default=0, metavar="N", help="simulate N more nodes")
    up.add_argument(
        "--log-max-size",
        metavar="SIZE",
        help=f"when the kubelet rotates a container's log (default: {LOG_MAX_SIZE})",
    )
    down = commands.add_parser("down", help="remove all there is of it")
    down.add_argument("--all", action="store_true", help="every lab on this machine")
    commands.add_parser("status", help="what works; exit code 0 only if all does")
    commands.add_parser("env", help="shell exports to reach it")
    push = commands.add_parser("images", help="make images and push them to its registry")
    push.add_argument("image", nargs="+", help="short name or reference, busybox:1.36 say")
    commands.add_parser("kubectl", help="kubectl with its kubeconfig; arguments follow")
    return parser


def _up(chosen: Layout, options: Options) -> int:
    started = time.monotonic()
    cluster.up(chosen, options)
    print(f"lab {chosen.name} is up ({time.monotonic() - started:.1f} s)", file=sys.stderr)
    return 0


def _down(chosen: Sequence[Layout]) -> int:
    for one in chosen:
        if cluster.down(one):
            print(f"lab {one.name} is gone", file=sys.stderr)
    return 0


def _status(chosen: Layout) -> int:
    status = cluster.status(chosen)
    if not status.daemons:
        print(f"lab {chosen.name}: down")
        return 1
    for name, process in status.daemons.items():
        print(f"{name:<26}{f'pid {process.pid}' if process else 'dead'}")
    print(f"{'node Ready':<26}{'yes' if status.node_ready else 'no'}")
    print(f"{'cluster DNS answers':<26}{'yes' if status.dns_answers else 'no'}")
    return 0 if status.up else 1


def _env(chosen: Layout) -> int:
    lab = Lab.named(chosen.name)
    values = {
        "KUBECONFIG": lab.kubeconfig,
        "LAB_AUDIT_LOG": lab.audit_log,
        "LAB_STATE": chosen.state,
        "LAB_REGISTRY": lab.registry,
        "LAB_API": lab.api,
        "LAB_NETNS": lab.netns,
        "LAB_MACHINE_ADDRESS": lab.machine_address,
    }
    for name, value in values.items():
        print(f"export {name}='{value}'")
    return 0


def _images(chosen: Layout, names: Sequence[str]) -> int:
    Lab.named(chosen.name).images(*names)
    return 0


def _kubectl(chosen: Layout, arguments: Sequence[str]) -> int:
    lab = Lab.named(chosen.name)
    kubectl = binaries.ensure(["kubectl"], chosen.cache)["kubectl"]
    os.execve(kubectl, ["kubectl", *arguments], lab.environment())


if __name__ == "__main__":
    sys.exit(main())
