"""`podmedic policy`: hand the administrator's word to the API server."""

import re
from pathlib import Path

import click

from runner.cli.exit_codes import ExitCode
from runner.policy import load_policy, manifests

_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,315})=[A-Za-z0-9._-]{0,63}")


@click.group(short_help="Hand a policy to the API server.")
def policy() -> None:
    """What the administrator allows: docs/policy.md."""


@policy.command(short_help="Print the policy as a ValidatingAdmissionPolicy.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--service-account",
    "account",
    default="",
    metavar="NAMESPACE/NAME",
    help="Hold only this ServiceAccount to it. Default: everybody.",
)
@click.option(
    "--namespace-label",
    "label",
    default="",
    metavar="KEY=VALUE",
    help="Only in namespaces with this label. Default: in all.",
)
def vap(file: Path, account: str, label: str) -> int:  # fmt: skip
    """Print FILE as a ValidatingAdmissionPolicy and its binding (Kubernetes 1.30), so that the API
    server refuses the same when the runner is bypassed.

        podmedic policy vap policy.yaml | kubectl apply -f -
    """
    import yaml  # noqa: PLC0415

    if account and not _ACCOUNT.fullmatch(account):
        raise click.UsageError(f"--service-account {account!r}: expected NAMESPACE/NAME")
    if label and not _LABEL.fullmatch(label):
        raise click.UsageError(f"--namespace-label {label!r}: expected KEY=VALUE")
    documents = manifests(load_policy(file), account=account, namespaces=label)
    click.echo(yaml.safe_dump_all(documents, sort_keys=False, width=100), nl=False)
    return ExitCode.OK
