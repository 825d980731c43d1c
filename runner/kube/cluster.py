"""`KubeCluster`: the port `runner.cluster.Cluster` over HTTP."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from runner import __version__
from runner.cluster import Access as AccessQuestion
from runner.cluster import ClusterError, ErrorReason, PodEvent, Scope
from runner.kube import patching
from runner.kube.access import find_access
from runner.kube.errors import Question, one_line
from runner.kube.http import Answer, HttpClient, Request
from runner.kube.objects import LIST_RESTARTS, PAGE_SIZE, KubeObjects
from runner.kube.retry import RetryPolicy
from runner.kube.rights import Rights, User
from runner.kube.watch import Watch, WatchPolicy
from runner.model.base import Value
from runner.model.pod import Event, Pod

if TYPE_CHECKING:
    from runner.kube.exec import KubeStreams, StreamPolicy

T = TypeVar("T")
Page = TypeVar("Page", "_PodList", "_EventList")

EVENTS_LIMIT = 5000
_PATCH_QUERY = "?fieldManager=podmedic&fieldValidation=Strict"
_DRY_RUN_QUERY = f"{_PATCH_QUERY}&dryRun=All"


class _ListMeta(Value, frozen=True, kw_only=True):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _PodList(Value, frozen=True, kw_only=True):
    metadata: _ListMeta
    items: tuple[Pod, ...] | None = None


class _EventList(Value, frozen=True, kw_only=True):
    metadata: _ListMeta
    items: tuple[Event, ...] | None = None


_pod_list = msgspec.json.Decoder(_PodList).decode
_event_list = msgspec.json.Decoder(_EventList).decode
_pod = msgspec.json.Decoder(Pod).decode


async def connect(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    qps: float = 50.0,
    burst: int = 100,
    user_agent: str = f"podmedic/{__version__}",
    impersonate: str | None = None,
    retries: RetryPolicy | None = None,
    watches: WatchPolicy | None = None,
    streams: "StreamPolicy | None" = None,
) -> "KubeCluster":
    """The cluster of --kubeconfig, else of KUBECONFIG, else of ~/.kube/config, else the one this
    pod runs in. Sends nothing yet; raises ClusterError(CONFIG). `qps` <= 0 means unlimited."""
    access = find_access(kubeconfig=kubeconfig, context=context, impersonate=impersonate)
    await access.load()
    http = HttpClient(
        access, qps=qps, burst=burst, user_agent=user_agent, policy=retries or RetryPolicy()
    )
    return KubeCluster(
        http,
        description=f"{access.description} ({access.shown_server})",
        server=access.shown_server,
        default_namespace=access.default_namespace,
        watches=watches or WatchPolicy(),
        streams=streams,
    )


class KubeCluster:
    """Implements `runner.cluster.Cluster`; to be closed, or used as `async with`."""

    def __init__(
        self,
        http: HttpClient,
        *,
        description: str,
        server: str,
        default_namespace: str,
        watches: WatchPolicy,
        streams: "StreamPolicy | None",
    ) -> None:
        self._http = http
        self._watches = watches
        self._description = description
        self.server = server
        self.objects = KubeObjects(http, watches)
        self._stream_policy = streams
        self._rights = Rights(self.objects)
        self.default_namespace = default_namespace

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.close()

    @cached_property
    def streams(self) -> "KubeStreams":
        # With aiohttp, of which a sweep needs nothing.
        from runner.kube.exec import KubeStreams, StreamPolicy  # noqa: PLC0415

        return KubeStreams(self._http, self._stream_policy or StreamPolicy())

    @property
    def description(self) -> str:
        return self._description

    @property
    def requests_sent(self) -> Mapping[tuple[str, str], int]:
        return MappingProxyType(self._http.sent)

    async def list_pods(self, scope: Scope) -> AsyncGenerator[tuple[Sequence[Pod], str]]:
        """Pages of at most 500 pods. When the server forgot where we were (410), the list starts
        again from the top: a pod may then come twice, the later one counts."""
        question = Question(verb="list", resource="pods", namespace=scope.namespace)
        async with aclosing(self._pages("pods", _pod_list, question, _selectors(scope))) as pages:
            async for page in pages:
                yield page.items or (), page.metadata.resource_version

    async def watch_pods(
        self, scope: Scope, resource_version: str, *, may_wait: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[PodEvent]:
        watch = Watch(
            self._http,
            _path(scope.namespace, "pods"),
            _selectors(scope),
            Question(verb="watch", resource="pods", namespace=scope.namespace),
            as_=Pod,
            version_of=lambda pod: pod.metadata.resource_version,
            relist=lambda: self.list_pods(scope),
            policy=self._watches,
            may_wait=may_wait,
        )
        listed: set[str] = set()
        async with aclosing(watch.changes(resource_version)) as changes:
            async for change in changes:
                if change.object is None:
                    yield PodEvent(type="sync", uids=frozenset(listed))
                    listed = set()
                else:
                    if change.listed:
                        listed.add(change.object.metadata.uid)
                    yield PodEvent(type=change.type, pod=change.object)

    async def list_events(
        self, namespace: str | None, field_selector: str = ""
    ) -> tuple[Sequence[Event], str]:
        events: list[Event] = []
        latest = ""
        async with aclosing(self._event_pages(namespace, field_selector)) as pages:
            async for page, version in pages:
                latest = version
                events.extend(page)
                if len(events) >= EVENTS_LIMIT:
                    break
        return events[:EVENTS_LIMIT], latest

    async def watch_events(
        self, namespace: str | None, resource_version: str, field_selector: str = ""
    ) -> AsyncGenerator[Event]:
        """Events since then. When the server forgot what came since (410), all events there are
        come again."""
        watch = Watch(
            self._http,
            _path(namespace, "events"),
            _selectors(Scope(namespace=namespace, field_selector=field_selector)),
            Question(verb="watch", resource="events", namespace=namespace),
            as_=Event,
            version_of=lambda event: event.metadata.resource_version,
            relist=lambda: self._event_pages(namespace, field_selector),
            policy=self._watches.without_bookmarks(),
        )
        async with aclosing(watch.changes(resource_version)) as changes:
            async for change in changes:
                if change.type == "modified" and change.object is not None:
                    yield change.object

    async def add_ephemeral_container(
        self, pod: Pod, container: Mapping[str, Any], *, dry_run: bool = False,
        if_unchanged: bool = False,
    ) -> tuple[Pod, Sequence[str]]:  # fmt: skip
        meta = pod.metadata
        path = _path(meta.namespace, "pods", meta.name, "ephemeralcontainers")
        question = Question(
            verb="patch",
            resource="pods/ephemeralcontainers",
            namespace=meta.namespace,
            name=meta.name,
        )
        patch = (
            patching.patch_if_unchanged(pod, container)
            if if_unchanged
            else patching.patch(meta.uid, container)
        )
        request = Request(
            method="PATCH",
            path=path + (_DRY_RUN_QUERY if dry_run else _PATCH_QUERY),
            question=question,
            body=patch.body,
            headers={"Content-Type": patch.content_type},
            timeout_seconds=45.0,  # the server gives up after 34
        )
        try:
            answer = await self._http.send(request)
        except ClusterError as error:
            if if_unchanged and patching.is_changed(error):
                message = f"cannot {question}: the pod has changed meanwhile"
                raise ClusterError(ErrorReason.CONFLICT, message, status=422) from error
            raise
        warnings = [patching.warning_text(header) for header in answer.warnings]
        stored = _understood(patching.stored_containers, answer, question)
        warnings += patching.check(container, stored, where=f"{meta.namespace}/{meta.name}")
        return _understood(_pod, answer, question), warnings

    async def read_log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        limit_bytes: int,
        previous: bool = False,
        tail_lines: int | None = None,
        timestamps: bool = False,
        timeout_seconds: float = 60.0,
    ) -> AsyncGenerator[bytes]:
        """Retries happen before the first chunk only; a log that breaks off raises UNREACHABLE."""
        query = {"container": container, "limitBytes": str(limit_bytes)}
        if previous:
            query["previous"] = "true"
        if timestamps:
            query["timestamps"] = "true"
        if tail_lines is not None:
            query["tailLines"] = str(tail_lines)
        request = Request(
            method="GET",
            path=f"{_path(namespace, 'pods', pod, 'log')}?{urlencode(query)}",
            question=Question(verb="get", resource="pods/log", namespace=namespace, name=pod),
            timeout_seconds=timeout_seconds,
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
        )
        async with self._http.stream(request) as chunks:
            async for chunk in chunks:
                yield chunk

    async def denied(self, questions: Sequence[AccessQuestion]) -> Sequence[AccessQuestion]:
        return await self._rights.denied(questions)

    async def user(self) -> User:
        """Who we are. Raises ClusterError."""
        return await self._rights.user()

    async def _event_pages(
        self, namespace: str | None, field_selector: str
    ) -> AsyncGenerator[tuple[Sequence[Event], str]]:
        question = Question(verb="list", resource="events", namespace=namespace)
        selectors = _selectors(Scope(namespace=namespace, field_selector=field_selector))
        async with aclosing(self._pages("events", _event_list, question, selectors)) as pages:
            async for page in pages:
                yield page.items or (), page.metadata.resource_version

    async def _pages(
        self,
        resource: str,
        decode: Callable[[bytes], Page],
        question: Question,
        selectors: Sequence[tuple[str, str]],
    ) -> AsyncGenerator[Page]:
        continue_, restarts = "", 0
        while True:
            # No resourceVersion=0: with it the server's cache ignores the limit.
            query = [*selectors, ("limit", str(PAGE_SIZE))]
            if continue_:
                query.append(("continue", continue_))
            path = f"{_path(question.namespace, resource)}?{urlencode(query)}"
            try:
                answer = await self._http.send(Request(method="GET", path=path, question=question))
            except ClusterError as error:
                if error.reason is not ErrorReason.EXPIRED or restarts == LIST_RESTARTS:
                    raise
                continue_, restarts = "", restarts + 1
                continue
            page = _understood(decode, answer, question)
            yield page
            continue_ = page.metadata.continue_
            if not continue_:
                return


def _understood(decode: Callable[[bytes], T], answer: Answer, question: Question) -> T:
    try:
        return decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"cannot {question}: the answer is not understood: {error}"
        raise ClusterError(ErrorReason.SERVER, one_line(message), status=answer.status) from error


def _path(namespace: str | None, *parts: str) -> str:
    inside = () if namespace is None else ("namespaces", namespace)
    return "/api/v1/" + "/".join(quote(part, safe="") for part in (*inside, *parts))


def _selectors(scope: Scope) -> list[tuple[str, str]]:
    selectors = (("labelSelector", scope.label_selector), ("fieldSelector", scope.field_selector))
    return [(name, value) for name, value in selectors if value]
