"""`podmedic rbac`: the exact permissions that playbooks need, as YAML that kubectl apply takes."""

import re
from pathlib import Path

import click

from runner.cli import options
from runner.cli.exit_codes import ExitCode
from runner.cli.key import key_of
from runner.permissions import SERVICE_ACCOUNT, manifests, needs, shell_needs

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@click.command(short_help="Print the exact permissions that playbooks need.")
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="NAMESPACE",
    help="Namespace to sweep; may be given several times, with --namespaced.",
)
@click.option(
    "--namespaced",
    is_flag=True,
    help="A Role in each namespace, instead of a ClusterRole for all of them.",
)
@click.option(
    "--name",
    default=SERVICE_ACCOUNT,
    show_default=True,
    help="Name of the ServiceAccount, the roles and the bindings.",
)
@click.option(
    "--service-account-namespace",
    "account_namespace",
    default=None,
    metavar="NAMESPACE",
    help="Where the ServiceAccount lives. Default: the first -n, else podmedic.",
)
@click.option("--lease", is_flag=True, help="What `podmedic run --lease` needs besides.")
@click.option("--events", is_flag=True, help="What `podmedic run --events` needs besides.")
@click.option(
    "--key",
    metavar="k8s://NAMESPACE/NAME",
    help="What `--key` of `run` and `bundle` needs besides: a Role that reads that Secret alone.",
)
@click.option("--shell", is_flag=True, help="What `podmedic shell` needs, instead of a run.")
def rbac(
    playbooks: tuple[str, ...], namespaces: tuple[str, ...], namespaced: bool, name: str,
    account_namespace: str | None, lease: bool, events: bool, key: str | None,
    shell: bool,
) -> int:  # fmt: skip
    """Print ServiceAccount, Role or ClusterRole, and bindings with exactly the verbs that a run
    of PLAYBOOKs needs (without one: triage, which includes crashloop). Needs no cluster.

        podmedic rbac crashloop --namespaced -n shop | kubectl apply -f -

        podmedic rbac --shell --name debugger
    """
    import yaml  # noqa: PLC0415

    options.make_selection(namespaces, "", "", all_namespaces=False)
    for option, given in (("--name", name), ("--service-account-namespace", account_namespace)):
        if given is not None and not _NAME.fullmatch(given):
            raise click.UsageError(
                f"{option} {given!r}: lower case letters, digits and '-' are expected"
            )
    if shell and (playbooks or lease or events or key):
        raise click.UsageError(
            "--shell goes without playbooks, --lease, --events and --key: print that role by "
            "another command"
        )
    secret = key_of(key)
    if isinstance(secret, Path):
        raise click.UsageError(f"--key {key}: a file takes no permission; see k8s://NAMESPACE/NAME")
    loaded = () if shell else options.load_playbooks(playbooks, None)
    named = tuple(dict.fromkeys(n for p in loaded for n in p.spec.targets.namespaces))
    where = namespaces or named
    if namespaced and not where:
        raise click.UsageError("--namespaced: which ones? Name them by -n NAMESPACE")
    if namespaces and not namespaced:
        raise click.UsageError("-n goes with --namespaced; a ClusterRole is for all namespaces")
    documents = manifests(
        shell_needs() if shell else needs(loaded),
        name=name,
        account_namespace=account_namespace or next(iter(namespaces), "podmedic"),
        namespaces=where if namespaced else None,
        lease=lease,
        events=events,
        key=None if secret is None else (secret.namespace, secret.name),
    )
    click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)
    return ExitCode.OK
