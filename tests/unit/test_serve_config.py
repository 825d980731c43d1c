"""The operator's files while `podmedic serve` runs: replaced as the kubelet does it, and broken."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from runner.cli.serve import _config, _loaded
from runner.serve.config import Configuration
from runner.serve.metrics import Metrics
from tests.unit.test_trigger_jobs import TEMPLATE


def routes(playbook: str) -> str:
    return (
        "apiVersion: podmedic.io/v1alpha1\nkind: Routes\nmetadata: {name: a}\nspec:\n"
        f"  routes:\n    - {{name: {playbook}, playbooks: [{playbook}]}}\n"
    )


class Mount:
    """A volume of a ConfigMap: files are links through `..data`, which is swapped as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def swap(self, **files: str) -> None:
        self._count += 1
        version = self.folder / f"..v{self._count}"
        version.mkdir(parents=True)
        for name, text in files.items():
            (version / f"{name}.yaml").write_text(text)
            link = self.folder / f"{name}.yaml"
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}.yaml")
        new = self.folder / "..data_tmp"
        new.symlink_to(version.name)
        new.replace(self.folder / "..data")


class Served:
    def __init__(self, folder: Path) -> None:
        self.mount = Mount(folder)
        self.swap("triage")
        self.metrics = Metrics()
        self.configuration = Configuration(self.load(), lambda: _loaded(self.load), self.metrics)

    def load(self) -> Any:
        folder = self.mount.folder
        return _config(folder / "routes.yaml", None, folder / "job.yaml", 300.0)

    def swap(self, playbook: str, template: Any = TEMPLATE) -> None:
        self.mount.swap(routes=routes(playbook), job=json.dumps(template))

    def look(self, *, force: bool = False) -> tuple[str, bool]:
        """The route that holds afterwards, and what the metric says."""
        asyncio.run(self.configuration.look(force=force))
        (route,) = self.configuration.current.routes.spec.routes
        return route.name, b"podmedic_serve_config_ok 1.0" in self.metrics.text()


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path / "config")


def said(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [(line["event"], line.get("message", "")) for line in lines]


def test_what_changed_holds_at_the_next_look(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert served.look() == ("triage", True)
    assert said(capsys) == []
    served.swap("crashloop")
    assert served.look() == ("crashloop", True)
    assert said(capsys) == [("config-reloaded", "")]
    assert served.look() == ("crashloop", True)
    assert said(capsys) == []
    assert served.look(force=True) == ("crashloop", True)
    assert said(capsys) == [("config-reloaded", "")]


def test_a_broken_file_changes_nothing_and_is_told_once(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.swap("crashlop")
    assert served.look() == ("triage", False)
    assert served.look() == ("triage", False)
    ((event, message),) = said(capsys)
    assert event == "config-not-reloaded"
    assert message.startswith(f"{served.mount.folder}/routes.yaml:6:")
    assert 'no built-in playbook is called "crashlop" (did you mean "crashloop"?)' in message

    served.swap("crashloop", template={"kind": "Pod"})
    assert served.look() == ("triage", False)
    (served.mount.folder / "routes.yaml").unlink()
    assert served.look() == ("triage", False)
    assert len(said(capsys)) == 2
    (served.mount.folder / "routes.yaml").symlink_to("..data/routes.yaml")
    served.swap("oomkilled")
    assert served.look() == ("oomkilled", True)
    assert said(capsys) == [("config-reloaded", "")]


def test_the_name_of_the_queue_stays(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.swap("crashloop", template={**TEMPLATE, "metadata": {"name": "other"}})
    assert served.look() == ("triage", False)
    ((event, message),) = said(capsys)
    assert event == "config-not-reloaded"
    assert message.startswith("the job template has another metadata.name: ")
