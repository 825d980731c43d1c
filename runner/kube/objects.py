"""Get, list, create, replace and delete any kind of object: `runner.cluster.Objects` over HTTP."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from runner.cluster import ClusterError, ErrorReason, ObjectEvent, Resource, Scope
from runner.kube.errors import Question, one_line
from runner.kube.http import Answer, HttpClient, Request
from runner.kube.watch import Watch, WatchPolicy
from runner.model.base import Value

T = TypeVar("T")

PAGE_SIZE = 500
LIST_RESTARTS = 3
_QUERY = "fieldManager=podmedic&fieldValidation=Strict"
_JSON = {"Content-Type": "application/json"}
_HEADERS = {"PATCH": {"Content-Type": "application/merge-patch+json"}}
_METADATA_ONLY = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}


class _ListMeta(Value, frozen=True, kw_only=True):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(Value, frozen=True, kw_only=True):
    metadata: _ListMeta = _ListMeta()
    items: tuple[msgspec.Raw, ...] | None = None


_page = msgspec.json.Decoder(_Page).decode


def _path(resource: Resource, namespace: str | None, name: str = "") -> str:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
    inside = () if namespace is None else ("namespaces", namespace)
    last = (resource.plural, name) if name else (resource.plural,)
    return "/".join([root, *(quote(part, safe="") for part in (*inside, *last))])


def _question(verb: str, resource: Resource, namespace: str | None, name: str = "") -> Question:
    full = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return Question(verb=verb, resource=full, namespace=namespace, name=name)


class KubeObjects:
    """Implements `runner.cluster.Objects`."""

    def __init__(self, http: HttpClient, watches: WatchPolicy | None = None) -> None:
        self._http = http
        self._watches = watches or WatchPolicy()

    async def get(self, resource: Resource, name: str, namespace: str | None, as_: type[T]) -> T:
        question = _question("get", resource, namespace, name)
        path = _path(resource, namespace, name)
        return await self._send("GET", path, question, as_)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None,
        as_: type[T],
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Sequence[T]]:
        scope = Scope(
            namespace=namespace, label_selector=label_selector, field_selector=field_selector
        )
        async with aclosing(
            self._pages(resource, scope, as_, metadata_only=metadata_only)
        ) as pages:
            async for page in pages:
                if page is not None:
                    yield page[0]

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        as_: type[T],
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Sequence[T]:
        scope = Scope(
            namespace=namespace, label_selector=label_selector, field_selector=field_selector
        )
        found: list[T] = []
        async for page in self._pages(resource, scope, as_, metadata_only=metadata_only):
            if page is None:
                found.clear()
            else:
                found += page[0]
        return found

    async def _pages(
        self, resource: Resource, scope: Scope, as_: type[T], *, metadata_only: bool
    ) -> AsyncGenerator[tuple[Sequence[T], str] | None]:
        """Page by page with its resourceVersion; None where the list starts again from the top."""
        question = _question("list", resource, scope.namespace)
        given = {"labelSelector": scope.label_selector, "fieldSelector": scope.field_selector}
        query = {"limit": str(PAGE_SIZE)} | {k: v for k, v in given.items() if v}
        headers = _METADATA_ONLY if metadata_only else {}
        continue_, restarts = "", 0
        while True:
            asked = query | ({"continue": continue_} if continue_ else {})
            path = f"{_path(resource, scope.namespace)}?{urlencode(asked)}"
            request = Request(method="GET", path=path, question=question, headers=headers)
            try:
                answer = await self._http.send(request)
            except ClusterError as error:
                if error.reason is not ErrorReason.EXPIRED or restarts == LIST_RESTARTS:
                    raise
                yield None
                continue_, restarts = "", restarts + 1
                continue
            with _Understood(answer, question):
                page = _page(answer.body)
                items = [msgspec.json.decode(item, type=as_) for item in page.items or ()]
            yield items, page.metadata.resource_version
            continue_ = page.metadata.continue_
            if not continue_:
                return

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], as_: type[T],
        *, dry_run: bool = False,
    ) -> T:  # fmt: skip
        question = _question("create", resource, namespace)
        query = _QUERY + ("&dryRun=All" if dry_run else "")
        return await self._send(
            "POST", f"{_path(resource, namespace)}?{query}", question, as_, body
        )

    async def replace(
        self, resource: Resource, name: str, namespace: str | None, body: Mapping[str, Any],
        as_: type[T],
    ) -> T:  # fmt: skip
        question = _question("update", resource, namespace, name)
        path = f"{_path(resource, namespace, name)}?{_QUERY}"
        return await self._send("PUT", path, question, as_, body)

    async def patch(
        self, resource: Resource, name: str, namespace: str | None, body: Mapping[str, Any],
        as_: type[T],
    ) -> T:  # fmt: skip
        question = _question("patch", resource, namespace, name)
        path = f"{_path(resource, namespace, name)}?{_QUERY}"
        return await self._send("PATCH", path, question, as_, body)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        as_: type[T],
        version_of: Callable[[T], str],
        *,
        label_selector: str = "",
    ) -> AsyncGenerator[ObjectEvent[T]]:
        scope = Scope(namespace=namespace, label_selector=label_selector)

        async def relist() -> AsyncGenerator[tuple[Sequence[T], str]]:
            async with aclosing(self._pages(resource, scope, as_, metadata_only=False)) as pages:
                async for page in pages:
                    if page is not None:
                        yield page

        watch = Watch(
            self._http,
            _path(resource, namespace),
            [("labelSelector", label_selector)] if label_selector else [],
            _question("watch", resource, namespace),
            as_=as_,
            version_of=version_of,
            relist=relist,
            policy=self._watches,
        )
        async with aclosing(watch.changes("")) as changes:
            async for change in changes:
                yield ObjectEvent(type=change.type, object=change.object, listed=change.listed)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None, *, uid: str = "",
        grace_period_seconds: int | None = None,
    ) -> None:  # fmt: skip
        question = _question("delete", resource, namespace, name)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        path = _path(resource, namespace, name)
        try:
            await self._send("DELETE", path, question, msgspec.Raw, options)
        except ClusterError as error:
            gone = (ErrorReason.GONE, ErrorReason.NOT_FOUND, ErrorReason.REPLACED)
            if error.reason not in gone:
                raise

    async def _send(
        self,
        method: str,
        path: str,
        question: Question,
        as_: type[T],
        body: Mapping[str, Any] | None = None,
    ) -> T:
        answer = await self._http.send(
            Request(
                method=method,
                path=path,
                question=question,
                body=None if body is None else msgspec.json.encode(body),
                headers=_HEADERS.get(method, {} if body is None else _JSON),
                timeout_seconds=45.0,  # the server gives up after 34
            )
        )
        with _Understood(answer, question):
            return msgspec.json.decode(answer.body, type=as_)


class _Understood:
    """An answer that is no such object is the server's failure, in one line."""

    def __init__(self, answer: Answer, question: Question) -> None:
        self._answer = answer
        self._question = question

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
            message = f"cannot {self._question}: the answer is not understood: {error}"
            status = self._answer.status
            raise ClusterError(ErrorReason.SERVER, one_line(message), status=status) from error
