"""What stands behind the Services that a pod names, as steps get to know it."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from runner.injection import ServiceMap
from runner.model.objects import EndpointSlice, Objects, Service
from runner.plan import PodPlan, by_state_of, plan_as, program_of
from runner.sweep.objects import with_backends, with_services
from tests.unit.examinations import examination
from tests.unit.pods import NOW, pod, running, terminated
from tests.unit.turns import plan_of


def service(name: str, namespace: str = "shop", **spec: Any) -> Service:
    ports = [{"port": 80, "name": "http", "targetPort": "web"}]
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": "10.96.1.1", "ports": ports, "selector": {"a": "b"}, **spec},
        },
        Service,
        strict=False,
    )


def slice_of(name: str, *addresses: str, unready: int = 0, port: int = 8080) -> EndpointSlice:
    endpoints: list[dict[str, Any]] = [{"addresses": [each]} for each in addresses]
    endpoints += [{"addresses": ["10.9.9.9"], "conditions": {"ready": False}}] * unready
    return msgspec.convert(
        {
            "metadata": {
                "name": f"{name}-x", "namespace": "shop",
                "labels": {"kubernetes.io/service-name": name},
            },
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": port}, {"name": "admin", "port": 9000}],
        },
        EndpointSlice,
        strict=False,
    )  # fmt: skip


SERVICES = (
    service("web"),
    service("db", clusterIP="None", ports=[{"port": 5432, "targetPort": 5432}]),
    service("dns", ports=[{"port": 53, "protocol": "UDP"}], clusterIP="10.96.0.10"),
    service("far", type="ExternalName", clusterIP=""),
    service(
        "two",
        ports=[{"port": 80, "name": "http"}, {"port": 90, "name": "b"}],
        clusterIP="10.96.1.2",
    ),
    service("api", namespace="other", clusterIP="10.96.1.3"),
)
SLICES = (
    slice_of("web", "10.244.0.7", "10.244.0.8", unready=1),
    slice_of("web", "$(reboot)"),
    slice_of("two", *(f"10.244.1.{i}" for i in range(20))),
)


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("web:80", "shop web 10.96.1.1 8080 2 1 10.244.0.7/8080,10.244.0.8/8080"),
        ("web.shop:80", "shop web 10.96.1.1 8080 2 1 10.244.0.7/8080,10.244.0.8/8080"),
        ("web.shop.svc.cluster.local.:80", "shop web 10.96.1.1 8080 2 1 10.244.0.7/8080,10.244.0.8/8080"),
        ("10.96.1.1:80", "shop web 10.96.1.1 8080 2 1 10.244.0.7/8080,10.244.0.8/8080"),
        ("web:81", "shop web 10.96.1.1 - 2 1 -"),
        ("db:5432", "shop db None 5432 0 0 -"),
        ("api.other:80", "other api 10.96.1.3 80 0 0 -"),
        ("two:80", "shop two 10.96.1.2 8080 20 0 "
         + ",".join(f"10.244.1.{i}/8080" for i in range(8))),
        ("api:80", None),
        ("dns:53", None),
        ("far:80", None),
        ("web.example.com:443", None),
        ("10.96.9.9:80", None),
    ],
)  # fmt: skip
def test_line(host: str, line: str | None) -> None:
    env = [{"name": "PEER", "value": host}]
    given = pod(running(), container={"env": env}, metadata={"namespace": "shop"})
    found = [
        b.line() for b in ServiceMap(SERVICES, SLICES).named_by(given, given.spec.containers[0])
    ]
    name, _, port = host.rpartition(":")
    assert found == ([f"{name} {port} {line}"] if line is not None else [])


@pytest.mark.parametrize(("name", "ports"), [("web", ["80"]), ("two", [])])
def test_without_a_port_the_only_one_is_meant(name: str, ports: list[str]) -> None:
    env = [{"name": "WEB_HOST", "value": name}]
    given = pod(running(), container={"env": env}, metadata={"namespace": "shop"})
    found = ServiceMap(SERVICES, SLICES).named_by(given, given.spec.containers[0])
    assert [each.line().split()[1] for each in found] == ports


def test_no_more_than_fits() -> None:
    env = [{"name": f"PEER{i}", "value": f"two.shop.svc.cluster{i}:80"} for i in range(40)]
    given = pod(running(), container={"env": env}, metadata={"namespace": "shop"})
    text = ServiceMap(SERVICES, SLICES).lines(given, given.spec.containers[0])
    assert text.endswith("/8080\n")
    assert 3900 < len(text) <= 4096


def planned(script: str) -> PodPlan:
    text = (
        "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\nmetadata: {name: p}\nspec:\n"
        f"  steps:\n  - {{name: ask, script: {script!r}}}\n  - {{name: other, run: ['true']}}\n"
    )
    env = [{"name": "PEER", "value": "web:80"}]
    given = pod(running(), container={"env": env}, metadata={"namespace": "shop"})
    return plan_of(given, text)


def handed(plan: PodPlan) -> bool:
    return "web 80 shop web 10.96.1.1 8080 " in program_of(plan.injections[0], "podmedic-x")


def test_a_step_that_names_the_variable_gets_it() -> None:
    objects = Objects(services=SERVICES, endpoint_slices=SLICES)
    (plan,) = with_backends([planned('echo "$PODMEDIC_SERVICES"')], objects)
    assert handed(plan)
    (first,) = plan.injections
    # Also where the app fell before its turn and is reached by another strategy.
    fell = pod(terminated(1), status={"podIP": "10.1.1.1"})
    fallen = by_state_of(fell, first, plan.target, NOW)
    assert (first.choice.strategy, fallen.choice.strategy) == ("target", "shared")
    assert [refused.strategy for refused in fallen.choice.refused] == ["target"]
    assert handed(replace(plan, injections=(fallen,)))
    again = plan_as(plan.pod, plan.target, first, first.choice)
    assert again.services == first.services
    (plain,) = with_backends([planned("echo")], objects)
    assert not handed(plain)


def test_where_services_may_not_be_listed_the_step_is_not_run() -> None:
    objects = Objects(unknown={"services": "forbidden: list services"})
    (plan,) = with_backends([planned('echo "$PODMEDIC_SERVICES"')], objects)
    (injection,) = plan.injections
    assert [(n.step, n.reason, n.message) for n in injection.not_run] == [
        ("ask", "ServicesUnknown", "forbidden: list services")
    ]
    assert [step.name for step in injection.steps] == ["other"]


def test_services_are_known_by_the_addresses_that_a_log_has() -> None:
    """Those of other namespaces by their whole name; 10.96.1.1 does not stand in 10.96.1.10."""
    known = {
        "shop": [service("prices"), service("peers", clusterIP="None")],
        "data": [service("db", "data", clusterIP="10.96.1.7")],
    }
    one = examination(log="dial tcp 10.96.1.1:80: connection refused, then 10.96.1.7\n")
    assert with_services(one, known, {}).called == {"10.96.1.1": "prices", "10.96.1.7": "db.data"}
    assert (
        with_services(examination(log="10.96.1.10:80 and v1.10.96.1.1\n"), known, {}).called == {}
    )


def test_a_host_that_no_service_is_called_may_mean_another() -> None:
    """One of that name elsewhere, else one here that is called nearly so; whole names are none."""
    hosts = (("db", 5432), ("payments-api", 80), ("prices", 80), ("db.shop", 5432), ("mail", 25))
    one = examination(spec={"endpoints": hosts})
    known = {
        "shop": [service("prices"), service("payment-api")],
        "data": [service("db", "data")],
        "eu": [service("db", "eu")],
    }
    meant = {"db": "db.data", "payments-api": "payment-api"}
    assert with_services(one, known, {}).meant == meant
