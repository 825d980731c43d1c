"""The playbook config-drift: what every rule says, and what its steps read."""

import msgspec
import pytest

from runner.analyze import judge
from runner.model.examination import Examination
from runner.playbook import resolve
from tests.unit.examinations import STARTED, examination, running, step
from tests.unit.library import Case, check, rules_without_a_case

NAME = "config-drift"
CASES = [
    Case({"files": "volume 3541 /conf\nfile 00 /conf/a\n", "subpaths": "", "variables": ""}),
    Case(
        {"subpaths": "subpath current /etc/a\nsubpath replaced /etc/b\n"},
        [("subpath-outdated", ("Container app mounts /etc/b by subPath, and its ConfigMap or Secret was "
          "changed since: such a mount never follows, so that the container still has the old file.")),
         ("subpath-never-follows", ("Container app mounts /etc/a by subPath: when its ConfigMap or "
          "Secret changes, the container keeps the old file until it is restarted."))],
    ),
    Case(
        {"variables": "variable differs LEVEL\n"},
        [("variable-outdated", ("Container app was started with another value of LEVEL than its "
          "ConfigMap has now: variables never follow."))],
    ),
    Case({"variables": "unreadable: x\n"}, unanswered=["variable-outdated"]),
    Case(
        {"files": "volume 3539 /conf\n"},
        [("configuration-changed-since-start", ("What is mounted at /conf changed while container app "
          "ran: if it reads its configuration only when it starts, it still has the old one."))],
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_what_is_said(case: Case) -> None:
    check(NAME, case)


def replica(name: str, *, image_id: str, files: str, ill: bool) -> Examination:
    one = examination(
        pod=name, state=running(), ready=not ill, restarts=0, steps=[step("files", files, playbook=NAME)]
    )  # fmt: skip
    [status] = one.pod.status.container_statuses
    status = msgspec.structs.replace(status, image_id=image_id)
    of = msgspec.structs.replace(one.pod.status, container_statuses=(status,))
    return msgspec.structs.replace(one, pod=msgspec.structs.replace(one.pod, status=of))


@pytest.mark.parametrize(
    ("image_id", "files", "said"),
    [
        ("web@sha256:1", "file aa /conf/a\nfile bb /conf/b\n", {}),
        (
            "web@sha256:2",
            "file aa /conf/a\nfile bc /conf/b\nfile cc /conf/new\nvolume 1 /conf\n",
            {
                "image-differs": (
                    "Container app runs another image than healthy pods of Deployment web do, though "
                    "all name registry.example.com/shop/web:2.3: what that name stands for changed "
                    "between two pulls."
                ),
                "configuration-differs": (
                    "The file /conf/b that container app mounts is another one than in healthy pods of "
                    "Deployment web."
                ),
            },
        ),
        ("", "", {}),
    ],
)
def test_beside_a_healthy_pod(image_id: str, files: str, said: dict[str, str]) -> None:
    well = replica("web-0", image_id="web@sha256:1", files="file aa /conf/a\nfile bb /conf/b\n", ill=False)  # fmt: skip
    ill = replica("web-1", image_id=image_id, files=files, ill=True)
    applies = {one.pod.metadata.uid: [NAME] for one in (well, ill)}
    beside = {well.pod.metadata.uid: [NAME]}
    findings, _, _ = judge([resolve(NAME)], [well, ill], applies, STARTED, beside)
    assert {f.rule: f.message for f in findings} == said


def test_every_rule_has_a_case() -> None:
    assert rules_without_a_case(NAME, CASES) == {"image-differs", "configuration-differs"}
