"""What is told of a pod template that changed, and what is not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runner.analyze import of_controller_revision, of_replica_set, revision_changes
from runner.analyze.revisions import MAX_DIFFERENCES, differences
from runner.model.changes import NOT_SHOWN, Revision
from runner.model.objects import (
    ControllerRevision,
    ControllerRevisionData,
    ReplicaSet,
    ReplicaSetStatus,
    RevisionTemplate,
)
from runner.model.pod import ObjectMeta, OwnerReference, Pod, PodSpec
from runner.model.subject import Workload

MADE = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
WEB = Workload(kind="Deployment", namespace="shop", name="web")
DB = Workload(kind="StatefulSet", namespace="shop", name="db")


def template(**container: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "web:1", **container}]},
    }


def said(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    def show(text: str) -> str:
        return text.replace("hunter2", "[REDACTED]")

    return [(d.path, d.before, d.after) for d in differences(before, after, show)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {"image": "web:2"}, [("containers[app].image", "web:1", "web:2")]),
        ({"args": ["-v"]}, {"args": ["-v", "--port=80"]},
         [("containers[app].args", "-v", "-v --port=80")]),
        ({"command": ["run", "hunter2"]}, {"command": ["run"]},
         [("containers[app].command", "run [REDACTED]", "run")]),
        ({"resources": {"limits": {"memory": "1Gi"}}}, {"resources": {"limits": {"memory": "64Mi"}}},
         [("containers[app].resources.limits.memory", "1Gi", "64Mi")]),
        ({"livenessProbe": {"httpGet": {"path": "/", "port": 80}}},
         {"livenessProbe": {"httpGet": {"path": "/live", "port": 80}}},
         [("containers[app].livenessProbe.httpGet.path", "/", "/live")]),
        ({"volumeMounts": [{"name": "c", "mountPath": "/etc/app"}]},
         {"volumeMounts": [{"name": "c", "mountPath": "/etc/web"}]},
         [("containers[app].volumeMounts[c].mountPath", "/etc/app", "/etc/web")]),
        ({"volumeMounts": [{"name": "c", "mountPath": "/a"}, {"name": "c", "mountPath": "/b"}]},
         {"volumeMounts": [{"name": "c", "mountPath": "/a"}]},
         [("containers[app].volumeMounts[/b].name", "c", None)]),
        ({}, {"readinessProbe": {"tcpSocket": {"port": 80}}},
         [("containers[app].readinessProbe.tcpSocket.port", None, "80")]),
        ({"securityContext": {}}, {}, [("containers[app].securityContext", "{}", None)]),
        # The order of a list with names says nothing.
        ({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
         {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}, []),
    ],
)  # fmt: skip
def test_fields(
    before: dict[str, Any], after: dict[str, Any], told: list[tuple[str, str | None, str | None]]
) -> None:
    assert said(template(**before), template(**after)) == told


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("REPLICAS", "2", "20", ("2", "20")),
        ("DEBUG", "false", "true", ("false", "true")),
        ("CONFIG", "/etc/app.yaml", "/etc/web.yaml", ("/etc/app.yaml", "/etc/web.yaml")),
        ("DB_HOST", "db", "postgres.shop", ("db", "postgres.shop")),
        ("CACHE", "redis.shop.svc:6379", "10.0.0.9:6380", ("redis.shop.svc:6379", "10.0.0.9:6380")),
        ("CACHE_ADDR", "redis:6379", "redis:6380", ("redis:6379", "redis:6380")),
        # Credentials, path and query of a URL are nobody's business.
        ("DB_URL", "postgres://app:pw@db:5432/shop", "postgres://app:pw@pg:5432/shop",
         ("postgres://db:5432/…", "postgres://pg:5432/…")),
        ("HOOK", "https://hooks.example.com/T000/XXXX", None, ("https://hooks.example.com/…", None)),
        # Whatever may be a secret is not told.
        ("KEY", "tr0ub4dor", "correct-horse", (NOT_SHOWN, NOT_SHOWN)),
        ("LOGIN", "admin:4711", "admin:4712", (NOT_SHOWN, NOT_SHOWN)),
        ("BLOB", "/9j4AAQSkZJRgABAQAAAQABAAD2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQ", None,
         (NOT_SHOWN, None)),
        ("HOST", "hunter2", "db", (NOT_SHOWN, "db")),
        ("QUEUE", "amqp://guest:2024/abc=@mq:5672", None, (NOT_SHOWN, None)),
        ("STORE", "postgres://user:12 34@db/x", "postgres://u:se'cret@db/x", (NOT_SHOWN, NOT_SHOWN)),
        ("BASIC", "john.doe:4711", "john.doe:99999999999999", (NOT_SHOWN, NOT_SHOWN)),
        ("ADMIN_PW", "123456", "/k3jH8s9dkfj29fkl/ab", (NOT_SHOWN, NOT_SHOWN)),
        ("A]B", "tr0ub4dor", "correct-horse", (NOT_SHOWN, NOT_SHOWN)),
        ("EMPTY", "", "1", ('""', "1")),
    ],
)  # fmt: skip
def test_values_of_variables(
    name: str, before: str, after: str | None, told: tuple[str, str | None]
) -> None:
    def env(value: str | None) -> dict[str, Any]:
        return template(env=[] if value is None else [{"name": name, "value": value}])

    assert said(env(before), env(after)) == [(f"containers[app].env[{name}]", *told)]


def test_where_a_variable_comes_from_is_told() -> None:
    reference = {"secretKeyRef": {"name": "db", "key": "password"}}
    before = template(env=[{"name": "PASSWORD", "value": "swordfish"}])
    after = template(env=[{"name": "PASSWORD", "valueFrom": reference}])
    told = [("containers[app].env[PASSWORD]", NOT_SHOWN, "secretKeyRef db/password")]
    assert said(before, after) == told


def test_headers_and_new_containers_keep_their_secrets() -> None:
    probe = {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": "Bearer tr0ub4dor"}]}}
    before, after = template(livenessProbe=probe), template()
    side = {"name": "side", "image": "side:1", "env": [{"name": "K", "value": "tr0ub4dor"}]}
    after["spec"]["containers"].append(side)
    assert "tr0ub4dor" not in str(said(before, after))


def test_what_authors_and_plugins_write_is_not_told() -> None:
    before, after = template(), template()
    after["metadata"]["annotations"] = {"example.com/db-password": "Tr0ub4dor"}
    volume = {"name": "v", "csi": {"driver": "d", "volumeAttributes": {"password": "Tr0ub4dor"}}}
    after["spec"]["volumes"] = [volume]
    assert said(before, after) == [
        ("volumes[v].csi.driver", None, "d"),
        ("volumes[v].csi.volumeAttributes.password", None, NOT_SHOWN),
        ("annotations[example.com/db-password]", None, NOT_SHOWN),
    ]


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "", "-1"])
def test_a_revision_that_is_no_number_is_none(number: str) -> None:
    one = replica_set(1, "a", "web:1")
    annotations = {"deployment.kubernetes.io/revision": number}
    strange = ObjectMeta(
        name="w", namespace="shop", owner_references=one.metadata.owner_references,
        annotations=annotations,
    )  # fmt: skip
    assert of_replica_set(ReplicaSet(metadata=strange)) is None


def test_a_template_of_any_shape_is_read() -> None:
    assert said({"spec": "x", "metadata": {"labels": ["a"]}}, {"metadata": "y"}) == []


def test_labels_and_annotations_come_last_and_the_hash_not_at_all() -> None:
    before, after = template(), template(image="web:2")
    before["metadata"]["labels"]["pod-template-hash"] = "a"
    after["metadata"]["labels"]["pod-template-hash"] = "b"
    after["metadata"]["annotations"] = {"checksum/config": "abc"}
    assert said(before, after) == [
        ("containers[app].image", "web:1", "web:2"),
        ("annotations[checksum/config]", None, "abc"),
    ]


def meta(name: str, owner: Workload, labels: dict[str, str], **annotations: str) -> ObjectMeta:
    reference = OwnerReference(kind=owner.kind, name=owner.name, uid="u", controller=True)
    return ObjectMeta(
        name=name, namespace=owner.namespace, creation_timestamp=MADE, labels=labels,
        owner_references=(reference,), annotations={k.replace("_", "."): v for k, v in annotations.items()},
    )  # fmt: skip


def replica_set(number: int, hash_: str, image: str, ready: int = 0) -> ReplicaSet:
    one = meta(f"web-{hash_}", WEB, {"pod-template-hash": hash_})
    annotations = {"deployment.kubernetes.io/revision": str(number)}
    return ReplicaSet(
        metadata=ObjectMeta(
            name=one.name, namespace=one.namespace, creation_timestamp=MADE, labels=one.labels,
            owner_references=one.owner_references, annotations=annotations,
        ),
        spec=RevisionTemplate(template=template(image=image)),
        status=ReplicaSetStatus(ready_replicas=ready),
    )  # fmt: skip


def pod(workload: Workload, label: str, hash_: str) -> tuple[Workload, Pod]:
    labels = {label: hash_}
    return workload, Pod(metadata=ObjectMeta(labels=labels), spec=PodSpec())


def ill(hash_: str) -> list[tuple[Workload, Pod]]:
    return [pod(WEB, "pod-template-hash", hash_)]


def deployments(*sets: ReplicaSet) -> list[Any]:
    return [of_replica_set(each) for each in sets]


def test_the_last_good_revision_is_the_one_that_still_serves() -> None:
    """Revision 2 was given up at once: what matters is what 3 has and 1 had not."""
    known = deployments(
        replica_set(1, "a", "web:1", ready=2), replica_set(2, "b", "web:bad"),
        replica_set(3, "c", "web:3"),
    )  # fmt: skip
    (change,) = revision_changes(ill("c"), known, str)
    assert change.workload == WEB
    assert change.before == Revision(name="web-a", number=1, created_at=MADE, ready=2)
    assert change.after == Revision(name="web-c", number=3, created_at=MADE, ready=0)
    assert [(d.before, d.after) for d in change.differences] == [("web:1", "web:3")]


def test_without_one_that_serves_it_is_the_one_before() -> None:
    known = deployments(replica_set(1, "a", "web:1"), replica_set(2, "b", "web:2"),
                        replica_set(3, "c", "web:3"))  # fmt: skip
    (change,) = revision_changes(ill("c"), known, str)
    assert change.before.number == 2


@pytest.mark.parametrize("sick", ["a", "unknown"])
def test_nothing_is_said_without_an_earlier_revision(sick: str) -> None:
    known = deployments(replica_set(1, "a", "web:1"), replica_set(2, "b", "web:2"))
    assert revision_changes(ill(sick), known, str) == ()


def test_a_replica_set_of_nobody_is_no_revision() -> None:
    alone = ReplicaSet(metadata=ObjectMeta(name="web", namespace="shop"))
    assert of_replica_set(alone) is None


def test_statefulsets_and_daemonsets() -> None:
    """Whose pods carry the name of the revision, or the end of it."""
    agent = Workload(kind="DaemonSet", namespace="shop", name="agent")

    def revision(owner: Workload, hash_: str, number: int, image: str) -> Any:
        data = ControllerRevisionData(spec=RevisionTemplate(template=template(image=image)))
        own = meta(f"{owner.name}-{hash_}", owner, {})
        one = ControllerRevision(metadata=own, revision=number, data=data)
        return of_controller_revision(one, {(DB, "db-x"): 2, (agent, "x"): 1})

    known = [
        revision(owner, hash_, number, image)
        for owner in (DB, agent)
        for hash_, number, image in (("x", 1, "db:1"), ("y", 2, "db:2"))
    ]
    sick = [
        pod(DB, "controller-revision-hash", "db-y"),
        pod(agent, "controller-revision-hash", "y"),
    ]
    told = revision_changes(sick, known, str)
    assert [(c.workload.name, c.before.ready, c.after.number) for c in told] == [
        ("agent", 1, 2), ("db", 2, 2),
    ]  # fmt: skip


def test_many_differences_are_counted() -> None:
    many = {"env": [{"name": f"V{i}", "value": "1"} for i in range(MAX_DIFFERENCES + 3)]}
    old, new = replica_set(1, "a", "web:1"), replica_set(2, "b", "web:1")
    known = deployments(old, new)
    known[1] = type(known[1])(
        workload=known[1].workload, hash=known[1].hash, revision=known[1].revision,
        template=template(**many),
    )  # fmt: skip
    (change,) = revision_changes(ill("b"), known, str)
    assert (len(change.differences), change.more) == (MAX_DIFFERENCES, 3)
