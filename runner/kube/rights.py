"""What we may do, in few requests: the API server lists all of a user's rules in one answer.

A list only ever says yes. Authorizers that decide by themselves leave theirs out, and so whatever
is not in it is asked singly.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from runner.cluster import Access, ClusterError, ErrorReason, Objects, Resource
from runner.model.base import Value

# No namespace can be called so, and none has RoleBindings of it: what is listed holds everywhere.
_EVERYWHERE = "-"
# The API server asks no authorizer about them.
_MASTERS = "system:masters"
# Long enough for the start of a sweep. Whoever goes on for days shall hear of a new Role.
_FRESH_SECONDS = 60.0
_NO_LIST = frozenset({ErrorReason.FORBIDDEN, ErrorReason.NOT_FOUND, ErrorReason.INVALID})
_AUTHORIZATION = "authorization.k8s.io"
_SELF = Resource(plural="selfsubjectreviews", group="authentication.k8s.io")
_LISTS = Resource(plural="selfsubjectrulesreviews", group=_AUTHORIZATION)
_REVIEWS = Resource(plural="selfsubjectaccessreviews", group=_AUTHORIZATION)


class User(Value, frozen=True, kw_only=True):
    username: str = ""
    groups: tuple[str, ...] | None = None


class _Rule(Value, frozen=True, kw_only=True):
    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    resource_names: tuple[str, ...] | None = None

    def allows(self, asked: Access) -> bool:
        # What is granted for some names is no answer to a question about any.
        if self.resource_names:
            return False
        _, slash, subresource = asked.resource.partition("/")
        resources = {asked.resource, "*", *((f"*/{subresource}",) if slash else ())}
        return (
            not {asked.verb, "*"}.isdisjoint(self.verbs)
            and not {asked.group, "*"}.isdisjoint(self.api_groups or ())
            and not resources.isdisjoint(self.resources or ())
        )


class _Rules(Value, frozen=True, kw_only=True):
    resource_rules: tuple[_Rule, ...] | None = None
    incomplete: bool = False

    def allow(self, asked: Access) -> bool:
        return any(rule.allows(asked) for rule in self.resource_rules or ())


class _RulesReview(Value, frozen=True, kw_only=True):
    status: _Rules = _Rules()


class _ReviewStatus(Value, frozen=True, kw_only=True):
    allowed: bool = False


class _Review(Value, frozen=True, kw_only=True):
    status: _ReviewStatus = _ReviewStatus()


class _SelfStatus(Value, frozen=True, kw_only=True):
    user_info: User = User()


class _SelfReview(Value, frozen=True, kw_only=True):
    status: _SelfStatus = _SelfStatus()


class Rights:
    """Answers are shared by whoever asks for the same within a minute."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._user: User | None = None
        # By namespace, with the time when they came.
        self._lists: dict[str, tuple[float, _Rules]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def user(self) -> User:
        """Who we are. Every authenticated user may ask that, from Kubernetes 1.28 on. Raises
        ClusterError."""
        if self._user is None:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            review = await self._objects.create(_SELF, None, body, _SelfReview)
            self._user = review.status.user_info
        return self._user

    async def denied(self, questions: Sequence[Access]) -> Sequence[Access]:
        """As `runner.cluster.Cluster` has it."""
        if self._user is not None and _MASTERS in (self._user.groups or ()):
            return []
        allowed = await asyncio.gather(*map(self._is_allowed, questions))
        return [asked for asked, yes in zip(questions, allowed, strict=True) if not yes]

    async def _is_allowed(self, asked: Access) -> bool:
        everywhere = await self._rules(_EVERYWHERE)
        if everywhere.allow(asked):
            return True
        # Who does not know all of it there knows no more here.
        if asked.namespace is not None and not everywhere.incomplete:
            here = await self._rules(asked.namespace)
            if here.allow(asked):
                return True
        return await self._is_allowed_singly(asked)

    async def _rules(self, namespace: str) -> _Rules:
        now = asyncio.get_running_loop().time
        async with self._asking.setdefault(namespace, asyncio.Lock()):
            came_at, rules = self._lists.get(namespace, (0.0, None))
            if rules is None or now() - came_at > _FRESH_SECONDS:
                rules = await self._list(namespace)
                self._lists[namespace] = (now(), rules)
            return rules

    async def _list(self, namespace: str) -> _Rules:
        body = _review("SelfSubjectRulesReview", {"namespace": namespace})
        try:
            answer = await self._objects.create(_LISTS, None, body, _RulesReview)
        except ClusterError as error:
            if error.reason not in _NO_LIST:
                raise
            return _Rules(incomplete=True)
        return answer.status

    async def _is_allowed_singly(self, asked: Access) -> bool:
        resource, _, subresource = asked.resource.partition("/")
        attributes = {
            "verb": asked.verb,
            "group": asked.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": asked.namespace or "",
        }
        body = _review("SelfSubjectAccessReview", {"resourceAttributes": attributes})
        answer = await self._objects.create(_REVIEWS, None, body, _Review)
        return answer.status.allowed


def _review(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": f"{_AUTHORIZATION}/v1", "kind": kind, "spec": spec}
