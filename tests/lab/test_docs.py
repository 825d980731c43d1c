"""Every command that README and docs show works as shown."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import binaries
from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab import preloaded
from tests.unit import alerts

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "cronjob.yaml", *sorted((ROOT / "docs").glob("**/*.md")))
POLICY = ROOT / "docs" / "policy.md"
FORMATS = ROOT / "docs" / "formats.md"
TRIGGERS = ROOT / "docs" / "triggers.md"
SLEEP = pm.SLEEP
BLOCK = re.compile(r"^```(console|sh|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What a page shows that is a test's whole subject elsewhere.
ELSEWHERE = {
    "make test": "this very run",
    "make demo": "tests/lab/test_demo.py",
    "python -m lab up": "tests/lab/test_lab_cluster.py",
    "python -m lab down": "tests/lab/test_lab_down.py",
    "kubectl create job": "tests/lab/test_cronjob.py",
    "kubectl apply -n shop -f cronjob.yaml": "tests/lab/test_cronjob.py",
    "python -m bench": "tests/lab/test_bench.py",
    "podmedic serve": "tests/lab/test_serve.py",
    "kubectl logs POD": "tests/programs/test_program_run.py reads such logs",
}


def shown(page: Path) -> Iterator[str]:
    """The command lines of a page, joined where they end in a backslash, without comments."""
    text = page.read_text()
    if page.suffix == ".yaml":
        comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
        yield from (c.split("   #")[0] for c in comments if c.startswith(("kubectl ", "podmedic ")))
        return
    for _, block in BLOCK.findall(text):
        for line in re.sub(r"\\\n|(?<=\|)\n", " ", block).splitlines():
            command = re.split(r"\s+#", line, maxsplit=1)[0].strip().removeprefix("$ ")
            if command:
                yield command


# What means more to a shell than the words that it is made of.
FOR_A_SHELL = re.compile(r"[|&;<>$`*?~#(){}\\\n]")
COMMANDS = [(page.name, command) for page in PAGES for command in shown(page)]


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as a reader has it: the README's playbook, and pods in namespace shop."""
    folder = tmp_path_factory.mktemp("desk")
    example = re.search(
        r"^```yaml\n(apiVersion: podmedic.*?)^```", PAGES[0].read_text(), re.MULTILINE | re.DOTALL
    )
    assert example is not None
    (folder / "database.yaml").write_text(example[1])
    policy = re.search(r"^```yaml\n(.*?)^```", POLICY.read_text(), re.MULTILINE | re.DOTALL)
    assert policy is not None
    (folder / "policy.yaml").write_text(policy[1])
    template = re.search(r"^```jinja\n(.*?)^```", FORMATS.read_text(), re.MULTILINE | re.DOTALL)
    assert template is not None
    (folder / "mine.md.j2").write_text(template[1])
    routes = re.search(r"^```yaml\n(.*?)^```", TRIGGERS.read_text(), re.MULTILINE | re.DOTALL)
    assert routes is not None
    (folder / "routes.yaml").write_text(routes[1])
    (folder / "alert.json").write_bytes(alerts.body())
    lab.images("busybox", "tools")
    lab.kubectl("create", "namespace", "shop")
    pm.apply(lab, "shop", pm.deployment("web", SLEEP), pm.deployment("ledger", "exit 1"))
    pm.wait_ready(lab, "shop", "web")
    _new_web_0(lab)
    yield folder
    lab.kubectl("delete", "namespace", "shop", "--wait=false")


def _new_web_0(lab: Lab) -> None:
    """A pod whose name a page can know, for commands that take one; anew, because the sweeps that
    other commands made have left as much in it as a pod may carry."""
    lab.kubectl("delete", "pod", "web-0", "-n", "shop", "--ignore-not-found", "--now")
    web_0 = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0"},
             "spec": pm.deployment("web", SLEEP)["spec"]["template"]["spec"]}  # fmt: skip
    pm.apply(lab, "shop", web_0)
    lab.kubectl("wait", "pod/web-0", "-n", "shop", "--for=condition=Ready", "--timeout=180s")


def test_pages_show_commands() -> None:
    """The pattern above still finds them."""
    assert ("README.md", "podmedic run -n shop") in COMMANDS


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command(lab: Lab, desk: Path, page: str, command: str) -> None:
    plain = re.sub(r" --name \S+", "", command)
    if any(plain.startswith(known) for known in ELSEWHERE):
        return
    first = shlex.split(command)[0]
    if first == "make":
        subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, check=True)
        return
    if " web-0 " in command or " --alert " in command:
        _new_web_0(lab)
    if " deploy/web " in command:
        lab.kubectl("rollout", "restart", "deploy/web", "-n", "shop")
        lab.kubectl("rollout", "status", "deploy/web", "-n", "shop", "--timeout=180s")
    tools = f"{Path(sys.executable).parent}:{lab_kubectl(lab)}:{os.environ['PATH']}"
    environment = pm.environment(lab) | {"PATH": tools, "PYTHONPATH": str(ROOT)}
    # The page about report.json speaks to somebody who is where it is.
    folder = desk / "podmedic-report" if first == "jq" else desk
    if first == "podmedic" and not FOR_A_SHELL.search(command):
        done = preloaded.call(
            shlex.split(command)[1:], environment=environment, folder=folder,
            timeout_seconds=pm.RUN_SECONDS,
        )  # fmt: skip
    else:
        done = subprocess.run(
            ["sh", "-c", command], env=environment, cwd=folder, capture_output=True, check=False,
            timeout=pm.RUN_SECONDS,
        )  # fmt: skip
    # 1 says that podmedic found something, which is what it is for.
    assert done.returncode in ({0, 1} if first == "podmedic" else {0}), done.stderr
    assert b"bug" not in done.stderr


def lab_kubectl(lab: Lab) -> Path:
    """A folder with the lab's kubectl under its usual name."""
    program = binaries.ensure(["kubectl"], lab.layout.cache)["kubectl"]
    return Path(program).parent
