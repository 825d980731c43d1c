"""What we may do is known from one list of our rules; what it does not say is asked singly."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from runner.cluster import Access, ClusterError, ErrorReason, Resource
from runner.kube.rights import Rights

PODS = Access(verb="list", resource="pods", namespace="shop")
WATCH = Access(verb="watch", resource="pods", namespace="shop")
LOGS = Access(verb="get", resource="pods/log", namespace="shop")
NODES = Access(verb="list", resource="nodes", namespace=None)
BUDGETS = Access(verb="list", resource="poddisruptionbudgets", group="policy", namespace="shop")


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {
        "verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **more
    }  # fmt: skip


class Server:
    """`rules` by namespace, `-` for those of every one; `singly` are the questions that are
    answered with yes. `asked` says what was asked, one word for each request."""

    def __init__(
        self, rules: Mapping[str, Sequence[Mapping[str, Any]]], singly: Sequence[Access] = (), *,
        incomplete: bool = False, refuses_lists: bool = False, groups: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._rules = rules
        self._singly = singly
        self._incomplete = incomplete
        self._refuses_lists = refuses_lists
        self._groups = groups
        self.asked: list[str] = []

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], as_: type[Any]
    ) -> Any:
        assert namespace is None
        status: dict[str, Any]
        if resource.plural == "selfsubjectreviews":
            self.asked.append("self")
            status = {"userInfo": {"username": "ann", "groups": self._groups}}
        elif resource.plural == "selfsubjectrulesreviews":
            where = body["spec"]["namespace"]
            self.asked.append(where)
            if self._refuses_lists:
                raise ClusterError(ErrorReason.FORBIDDEN, "no", status=403)
            rules = self._rules.get(where, ())
            status = {"resourceRules": rules, "incomplete": self._incomplete}
        else:
            one = body["spec"]["resourceAttributes"]
            name = "/".join(filter(None, (one["resource"], one["subresource"])))
            question = Access(
                verb=one["verb"], resource=name, group=one["group"],
                namespace=one["namespace"] or None,
            )  # fmt: skip
            self.asked.append(f"{question.verb} {name}")
            status = {"allowed": question in self._singly}
        return msgspec.convert({"status": status}, as_)


async def answers(server: Server, *questions: Access) -> Sequence[Access]:
    objects: Any = server
    return await Rights(objects).denied(questions)


async def test_who_may_do_everything_is_asked_once() -> None:
    server = Server({"-": [rule("*", "*", "*")]})
    objects: Any = server
    rights = Rights(objects)
    assert await rights.denied([PODS, WATCH, LOGS, NODES]) == []
    assert await rights.denied([BUDGETS, PODS]) == []
    assert server.asked == ["-"]


async def test_who_may_do_everything_by_his_group_is_not_asked_at_all() -> None:
    server = Server({}, groups=["system:masters", "system:authenticated"])
    objects: Any = server
    rights = Rights(objects)
    assert (await rights.user()).username == "ann"
    assert await rights.denied([PODS, NODES]) == []
    assert server.asked == ["self"]


@pytest.mark.parametrize(
    ("granted", "denied"),
    [
        ([rule("list watch", "pods pods/log"), rule("get", "pods/log")], [NODES, BUDGETS]),
        ([rule("*", "*")], [BUDGETS]),
        ([rule("get", "*/log"), rule("list watch", "*", "policy")], [PODS, WATCH, NODES]),
        # What is granted for one name is not granted for any.
        ([rule("list", "pods", resourceNames=["web"])], [PODS, WATCH, LOGS, NODES, BUDGETS]),
        # A Role of a namespace grants nothing that is in none.
        ([], [PODS, WATCH, LOGS, NODES, BUDGETS]),
    ],
)
async def test_rules(granted: list[dict[str, Any]], denied: list[Access]) -> None:
    everywhere = Server({"-": granted})
    questions = (PODS, WATCH, LOGS, NODES, BUDGETS)
    assert await answers(everywhere, *questions) == denied


async def test_a_role_of_a_namespace() -> None:
    """Two lists, and singly what neither of them has."""
    server = Server({"shop": [rule("list watch", "pods nodes"), rule("get", "pods/log")]})
    assert await answers(server, PODS, WATCH, LOGS, NODES, BUDGETS) == [NODES, BUDGETS]
    assert sorted(server.asked) == [
        "-", "list nodes", "list poddisruptionbudgets", "shop",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["incomplete", "refuses_lists"])
async def test_an_authorizer_that_lists_nothing_is_asked_singly(how: str) -> None:
    server = Server({}, [PODS, NODES], **{how: True})  # type: ignore[arg-type]
    assert await answers(server, PODS, WATCH, NODES) == [WATCH]
    assert sorted(server.asked) == ["-", "list nodes", "list pods", "watch pods"]
