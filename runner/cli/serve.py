"""`podmedic serve`: takes webhooks, and starts runs as Kubernetes Jobs."""

import asyncio
import logging
import re
import secrets
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from runner.cli import options
from runner.cli.exit_codes import ExitCode
from runner.cli.main import explain
from runner.cli.routes import routes_of
from runner.playbook import builtin, syntax
from runner.playbook.load import read_text
from runner.policy import DEFAULT as DEFAULT_POLICY
from runner.policy import load_policy
from runner.triggers.jobs import Template, TemplateError
from runner.triggers.queue import Limits

_FILE = click.Path(path_type=Path)
_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]*):(?P<port>[0-9]{1,5})")
_STOP_SECONDS = 10.0


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int
    load: Callable[[], Any]
    config: Any
    limits: Limits
    connection: options.Connection
    namespace: str
    auth: Any
    tls: Any


@click.command(short_help="Take alerts, and start runs for them.")
@click.option(
    "--job-template",
    type=_FILE,
    metavar="FILE",
    required=True,
    help="A Job whose first container is `podmedic run`: what is made for each run.",
)
@options.routes_option
@options.policy_options
@click.option("--listen", default="0.0.0.0:8080", show_default=True, metavar="HOST:PORT",
              help="Where to listen; port 0 takes a free one.")  # fmt: skip
@click.option("-n", "--namespace", default="", metavar="NAMESPACE",
              help="Where the Jobs are made; default: kubeconfig's, or this pod's.")  # fmt: skip
@click.option("--bearer-token-file", type=_FILE, metavar="FILE",
              help="Tokens that clients show, one a line.")  # fmt: skip
@click.option("--basic-auth-file", type=_FILE, metavar="FILE",
              help="USER:PASSWORD, one a line.")  # fmt: skip
@click.option("--hmac-key-file", type=_FILE, metavar="FILE",
              help="Keys that POST /v1/runs may be signed with, one a line.")  # fmt: skip
@click.option(
    "--tls-cert-file", type=_FILE, metavar="FILE", help="Serve TLS with this certificate."
)
@click.option("--tls-key-file", type=_FILE, metavar="FILE", help="Its private key.")
@click.option("--client-ca-file", type=_FILE, metavar="FILE",
              help="Admit clients whose certificate this authority signed.")  # fmt: skip
@click.option("--runs-per-minute", default=6, type=click.IntRange(min=1), show_default=True,
              help="Runs that may begin within a minute; more wait.")  # fmt: skip
@click.option("--max-runs", default=5, type=click.IntRange(min=1), show_default=True,
              help="Runs that go on at the same time; more wait.")  # fmt: skip
@click.option("--max-queued", default=100, type=click.IntRange(min=1), show_default=True,
              help="Runs that may wait; beyond that the answer is 503.")  # fmt: skip
@click.option("--cool-down", "cool_down_seconds", default=300.0, type=options.Seconds(),
              show_default=True,
              help="Seconds after a run in which no other one with the same playbooks is started "
              "for the same workload.")  # fmt: skip
@options.connection_options
def serve(routes_file: Path | None, policy_file: Path | None, **given: Any) -> int:
    """Take the webhooks of Alertmanager and Grafana (POST /v1/alerts) and requests of others (POST
    /v1/runs), and start runs for them: each is a Kubernetes Job made from --job-template. 202 means
    that the API server has stored it. Several replicas may serve at once: docs/triggers.md."""
    settings = _settings(routes_file, policy_file, given)
    return asyncio.run(_serve(settings))


def _settings(
    routes_file: Path | None, policy_file: Path | None, given: dict[str, Any]
) -> _Settings:
    """Raises UsageError, PlaybookErrors."""
    from runner.serve.auth import Auth, AuthError  # noqa: PLC0415
    from runner.serve.listen import Tls  # noqa: PLC0415

    listen = _LISTEN.fullmatch(given["listen"])
    if listen is None or int(listen["port"]) > 65535:
        raise click.UsageError(f"--listen {given['listen']!r}: expected HOST:PORT")
    certificate, key = given["tls_cert_file"], given["tls_key_file"]
    client_ca = given["client_ca_file"]
    if (certificate is None) is not (key is None):
        raise click.UsageError("--tls-cert-file and --tls-key-file belong together")
    if client_ca is not None and certificate is None:
        raise click.UsageError("--client-ca-file needs --tls-cert-file and --tls-key-file")
    auth = Auth(
        bearer_file=given["bearer_token_file"],
        basic_file=given["basic_auth_file"],
        hmac_file=given["hmac_key_file"],
        client_certificates=client_ca is not None,
    )
    if not auth.is_configured:
        raise click.UsageError(
            "nobody could be told from a stranger: give --bearer-token-file, --basic-auth-file, "
            "--hmac-key-file or --client-ca-file"
        )
    tls = None
    if certificate is not None:
        tls = Tls(certificate=certificate, key=key, client_ca=client_ca)
    try:
        auth.check()
        if tls is not None:
            tls.context()
    except AuthError as error:
        raise click.UsageError(str(error)) from None
    if given["namespace"]:
        options.make_selection([given["namespace"]], "", "", all_namespaces=False)
    cool_down = given["cool_down_seconds"]
    read = partial(_config, routes_file, policy_file, given["job_template"], cool_down)
    return _Settings(
        host=listen["host"].strip("[]") or "0.0.0.0",  # noqa: S104  what was asked for
        port=int(listen["port"]),
        load=partial(_loaded, read),
        config=read(),
        limits=Limits(
            runs_per_minute=given["runs_per_minute"],
            runs=given["max_runs"],
            queued=given["max_queued"],
            cool_down_seconds=cool_down,
        ),
        connection=options.Connection(
            **{k: given[k] for k in ("kubeconfig", "context", "impersonate", "qps", "burst")}
        ),
        namespace=given["namespace"],
        auth=auth,
        tls=tls,
    )


def _config(
    routes_file: Path | None, policy_file: Path | None, template: Path, cool_down_seconds: float
) -> Any:
    """Raises UsageError, PlaybookErrors, OutputError."""
    from runner.serve.config import Config, versions_of  # noqa: PLC0415

    versions = versions_of([file for file in (routes_file, policy_file, template) if file])
    routes = routes_of(routes_file)
    policy, _ = options.allowed_by(
        DEFAULT_POLICY if policy_file is None else load_policy(policy_file),
        options.load_playbooks(routes.playbooks(), None),
    )
    return Config(
        template=_template(template, cool_down_seconds),
        routes=routes,
        policy=policy,
        playbooks=frozenset((*(path.stem for path in builtin()), *routes.playbooks())),
        versions=versions,
    )


def _loaded(read: Callable[[], Any]) -> Any:
    """Raises ConfigError for whatever is wrong: serve goes on with what it has."""
    from runner.serve.config import ConfigError  # noqa: PLC0415

    try:
        return read()
    except Exception as error:
        raise ConfigError(" ".join(explain(error)[0].split())) from error


def _template(file: Path, cool_down_seconds: float) -> Template:
    import yaml  # noqa: PLC0415

    text = read_text(file)
    try:
        return Template(yaml.safe_load(text), cool_down_seconds)
    except yaml.MarkedYAMLError as error:
        line, column, words = syntax.said(text, error)
        place = f"--job-template {file}:{line}:{column}"
        raise click.UsageError(f"{place}: not valid YAML: {words}") from None
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        raise click.UsageError(f"--job-template {file}: not valid YAML: {words}") from None
    except TemplateError as error:
        raise click.UsageError(f"--job-template {file}: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)


async def _serve(settings: _Settings) -> ExitCode:
    from aiohttp import web  # noqa: PLC0415

    from runner.kube import connect  # noqa: PLC0415
    from runner.redact import Redactor  # noqa: PLC0415
    from runner.serve.accept import Acceptor  # noqa: PLC0415
    from runner.serve.app import Service  # noqa: PLC0415
    from runner.serve.config import Configuration  # noqa: PLC0415
    from runner.serve.listen import Listener, bind  # noqa: PLC0415
    from runner.serve.log import Libraries, log  # noqa: PLC0415
    from runner.serve.metrics import Metrics  # noqa: PLC0415
    from runner.serve.release import Releaser  # noqa: PLC0415
    from runner.serve.store import JobStore  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, handlers=[Libraries()], force=True)
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    connection = settings.connection
    cluster = await connect(
        kubeconfig=connection.kubeconfig, context=connection.context, qps=connection.qps,
        burst=connection.burst, impersonate=connection.impersonate,
    )  # fmt: skip
    async with cluster:
        metrics = Metrics()
        configuration = Configuration(settings.config, settings.load, metrics)
        prefix = settings.config.template.prefix
        store = JobStore(cluster.objects, settings.namespace or cluster.default_namespace)
        releaser = Releaser(
            store, cluster.objects, settings.limits, metrics,
            name=f"{prefix}-serve", identity=secrets.token_hex(4), now=_now,
        )  # fmt: skip
        _gauges(metrics, store, releaser)
        acceptor = Acceptor(
            store, configuration, settings.limits, metrics,
            redact=Redactor(secrets.token_bytes(32)), now=_now,
        )  # fmt: skip
        service = Service(acceptor, store, settings.auth, metrics, configuration, stop)
        runner = web.AppRunner(
            service.application(), access_log=None, shutdown_timeout=_STOP_SECONDS,
            keepalive_timeout=30.0,
        )  # fmt: skip
        await runner.setup()
        try:
            listening = bind(settings.host, settings.port)
        except OSError as error:
            raise click.UsageError(
                f"--listen {settings.host}:{settings.port}: {error.strerror}"
            ) from None
        with listening:
            listener = Listener(runner, listening, settings.tls)
            await listener.start()
            log("listening", port=listening.getsockname()[1], namespace=store.namespace)
            tasks = [
                store.follow(), listener.renew(), configuration.renew(reload), releaser.run(stop),
            ]  # fmt: skip
            await _until_stopped(stop, [asyncio.create_task(each) for each in tasks])
            await runner.cleanup()
            log("stopped")
    return ExitCode.OK


def _gauges(metrics: Any, store: Any, releaser: Any) -> None:
    from runner.triggers.queue import failed, in_flight, queued  # noqa: PLC0415

    metrics.watch("podmedic_serve_runs_queued", lambda: len(queued(store.jobs)))
    metrics.watch("podmedic_serve_runs_in_flight", lambda: in_flight(store.jobs))
    metrics.watch("podmedic_serve_runs_failed", lambda: failed(store.jobs))
    metrics.watch("podmedic_serve_leader", lambda: float(releaser.leads))
    metrics.watch("podmedic_serve_ready", lambda: float(store.synced))


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Raises what ended one of the tasks."""
    waiting = asyncio.create_task(stop.wait())
    endless = {waiting, *tasks}
    try:
        while not stop.is_set():
            done, endless = await asyncio.wait(endless, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        stop.set()
        # The Lease is given back, not only left.
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*tasks[3:], return_exceptions=True)
        for task in (waiting, *tasks):
            task.cancel()
        await asyncio.gather(waiting, *tasks, return_exceptions=True)
