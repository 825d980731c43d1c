"""Bundles signed without a key: with a Fulcio, a Rekor, a certificate log and a timestamp authority
as they are, and tokens of the lab's API server."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

import runner
from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab import sigstore_server
from tests.lab.sigstore_server import ISSUER, Sigstore
from tests.unit.bundles import run_directory

ACCOUNT = "podmedic"


@pytest.fixture(scope="module")
def sigstore(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstore]:
    with sigstore_server.running(lab, tmp_path_factory.mktemp("sigstore")) as started:
        yield started


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[str]:
    with lab.namespace("sigstore") as name:
        lab.kubectl("create", "serviceaccount", ACCOUNT, "-n", name)
        yield name


@pytest.fixture(scope="module")
def token(lab: Lab, place: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the kubelet would project it for `audience: sigstore`."""
    return token_for(lab, place, "sigstore", tmp_path_factory.mktemp("token") / "token")


def token_for(lab: Lab, namespace: str, audience: str, file: Path) -> Path:
    file.write_text(
        lab.kubectl("create", "token", ACCOUNT, "-n", namespace, "--audience", audience)
    )
    return file


def identity_in(namespace: str) -> str:
    return f"https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{ACCOUNT}"


def by(namespace: str) -> tuple[str, ...]:
    return ("--sigstore-identity", identity_in(namespace), "--sigstore-issuer", ISSUER)


def test_a_run_is_signed_by_its_service_account_and_verified_without_a_cluster(
    lab: Lab, sigstore: Sigstore, place: str, token: Path, tmp_path: Path
) -> None:
    """The run of an empty namespace: what is signed is not what this is about."""
    run, trust = tmp_path / "run", ("--trust-config", sigstore.trust_file)
    how = ("--bundle", "--sigstore", "--identity-token", token, *trust)
    done = pm.podmedic(lab, "run", "-n", place, "--allow-empty", "-o", run, *how, directory=run)
    bundle = tmp_path / "run.tar.zst"
    assert (done.code, f"Bundle: {bundle} (" in done.stderr) == (0, True), done.stderr
    for sealed in (bundle, run):
        verified = pm.podmedic(None, "verify", sealed, *by(place), *trust, directory=run)
        assert (verified.code, verified.stderr) == (0, "")
        assert verified.stdout.splitlines()[1] == (
            f"Signature: by {identity_in(place)} (issuer {ISSUER})"
        )
    # The roots alone say whom to believe.
    roots = sigstore.written("roots.json", sigstore.trust["trustedRoot"])
    offline: tuple[str | Path, ...] = ("verify", bundle, "--trust-config", roots, *by(place), "-q")
    assert pm.podmedic(None, *offline, directory=run).code == 0
    # Nobody has to believe podmedic: sigstore's own command reads the same two files.
    own = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "sigstore", *trust, "verify", "identity",
            "--bundle", run / "manifest.sigstore.json", "--cert-identity", identity_in(place),
            "--cert-oidc-issuer", ISSUER, run / "manifest.json",
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (own.returncode, own.stderr) == (0, f"OK: {run / 'manifest.json'}\n")


def test_a_pod_signs_by_the_token_that_the_kubelet_gives_it(
    lab: Lab, sigstore: Sigstore, place: str, tmp_path: Path
) -> None:
    """As docs/evidence.md has it: a projected token, the trust in a ConfigMap, nothing secret."""
    lab.images("runner")
    folder = tmp_path / "work"
    folder.mkdir()
    run_directory(folder / "run")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)  # the image's user is not ours
    lab.kubectl("create", "configmap", "sigstore-trust", "-n", place,
                f"--from-file=trust.json={sigstore.trust_file}")  # fmt: skip
    documented = yaml.safe_load(documented_pod())
    volumes = [
        *documented["volumes"],
        {"name": "work", "hostPath": {"path": str(folder)}},
    ]
    signing = [word for word in documented["args"] if word not in ("run", "-n", "shop")]
    container = {
        "name": "podmedic",
        "image": f"podmedic/runner:{runner.__version__}",
        "imagePullPolicy": "Always",
        "args": ["bundle", "/work/run", "-o", "/work/b.tar.gz",
                 *signing[signing.index("--sigstore"):]],
        "volumeMounts": [*documented["volumeMounts"], {"name": "work", "mountPath": "/work"}],
        "securityContext": {"readOnlyRootFilesystem": True, "runAsNonRoot": True},
    }  # fmt: skip
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "signer", "namespace": place},
        "spec": {
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [container],
            "volumes": volumes,
        },
    }
    lab.put(pod)
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    lab.kubectl("wait", "-n", place, "pod/signer", ended, "--timeout=120s")
    said = lab.kubectl("logs", "-n", place, "signer")
    assert said == "Bundle: /work/b.tar.gz (7 files, signed)\n"
    trust = ("--trust-config", sigstore.trust_file)
    done = pm.podmedic(
        None, "verify", folder / "b.tar.gz", *by(place), *trust, directory=tmp_path / "run"
    )
    assert (done.code, done.stderr) == (0, "")


def documented_pod() -> str:
    """The YAML of docs/evidence.md, with the volumes that stand there as a comment."""
    text = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()
    (found,) = re.findall(r"```yaml\n(args: [^`]*--sigstore[^`]*)```", text)
    return re.sub(r"^# ", "", str(found), flags=re.MULTILINE)


def test_what_was_signed_by_somebody_else_or_for_something_else(
    sigstore: Sigstore, place: str, token: Path, tmp_path: Path
) -> None:
    trust = ("--trust-config", sigstore.trust_file)
    for number in range(2):
        run = run_directory(tmp_path / f"run-{number}", files={"blobs/0a": bytes([number])})
        target = tmp_path / f"{number}.tar.gz"
        how = ("-o", target, "--sigstore", "--identity-token", token, *trust)
        done = pm.podmedic(None, "bundle", run, *how, directory=run)
        assert (done.code, done.stderr) == (0, f"Bundle: {target} (5 files, signed)\n")
    first, second = (unpacked(tmp_path / f"{number}.tar.gz") for number in range(2))

    def problem(sealed: Path, *words: str | Path) -> str:
        done = pm.podmedic(None, "verify", sealed, *words, directory=sealed)
        lines = done.stderr.splitlines()
        assert (done.code, lines[-1]) == (1, f"podmedic: {sealed} is NOT what was sealed")
        return lines[0].removeprefix(f"podmedic: {sealed}: ")

    was = f"manifest.sigstore.json was signed by {identity_in(place)} (issuer {ISSUER}), not by "
    other, issuer = "--sigstore-identity", "--sigstore-issuer"
    assert problem(first, other, identity_in("other"), issuer, ISSUER, *trust) == (
        f"{was}{identity_in('other')} (issuer {ISSUER})"
    )
    assert problem(first, other, identity_in(place), issuer, "https://evil", *trust) == (
        f"{was}{identity_in(place)} (issuer https://evil)"
    )
    # Of another sigstore: the same parts but for one whose word is not theirs.
    for part, said in (
        ("certificateAuthorities", "failed to build timestamp certificate chain"),
        ("timestampAuthorities", "not enough sources of verified time"),
        ("ctlogs", "failed to verify SCT on signing certificate"),
        ("tlogs", "invalid log entry"),
    ):
        strange = sigstore.written(f"{part}.json", with_another(sigstore.trust, part))
        found = problem(first, *by(place), "--trust-config", strange)
        assert found.startswith(f"manifest.sigstore.json does not hold: {said}"), found
        assert found.endswith(" (signed with another sigstore? --trust-config names it)"), found
    # A signature that is good, of another bundle.
    name = "manifest.sigstore.json"
    own = (first / name).read_bytes()
    (first / name).write_bytes((second / name).read_bytes())
    assert problem(first, *by(place), *trust) == (
        f"{name} does not state what is here: it belongs to something else, or that was changed"
    )
    # One character of the signature, in what is JSON as before.
    inner = json.loads(own)
    sig = inner["dsseEnvelope"]["signatures"][0]["sig"]
    changed = own.replace(
        sig.encode(), (sig[:20] + ("A" if sig[20] != "A" else "B") + sig[21:]).encode()
    )
    (first / name).write_bytes(changed)
    assert problem(first, *by(place), *trust).startswith(f"{name} does not hold: ")


def unpacked(bundle: Path) -> Path:
    folder = bundle.with_suffix(".unpacked")
    folder.mkdir()
    subprocess.run(["tar", "-xzf", bundle, "-C", folder], check=True)
    return folder


def with_another(trust: dict[str, Any], part: str) -> dict[str, Any]:
    """The trust of somebody who has another one of these."""
    changed = deepcopy(trust)
    root = changed["trustedRoot"]
    if part in ("certificateAuthorities", "timestampAuthorities"):
        # Each has the other's certificates.
        others = {"certificateAuthorities", "timestampAuthorities"} - {part}
        root[part][0]["certChain"] = trust["trustedRoot"][others.pop()][0]["certChain"]
    else:
        others = {"ctlogs", "tlogs"} - {part}
        root[part] = trust["trustedRoot"][others.pop()]
    return changed


def test_whoever_cannot_sign_is_told_why_in_one_line(
    lab: Lab, sigstore: Sigstore, place: str, token: Path, tmp_path: Path
) -> None:
    run = run_directory(tmp_path / "run")
    target = tmp_path / "b.tar.gz"

    def said(token_file: Path, trust: Path) -> tuple[int, str]:
        how = ("-o", target, "--sigstore", "--identity-token", token_file, "--trust-config", trust)
        done = pm.podmedic(None, "bundle", run, *how, directory=run)
        assert (target.exists(), done.stderr.count("\n")) == (False, 1), done.stderr
        return done.code, done.stderr.removeprefix("podmedic: ").rstrip("\n")

    trust = sigstore.trust_file
    wrong = token_for(lab, place, "https://kubernetes.default.svc", tmp_path / "wrong")
    assert said(wrong, trust) == (
        4, f"the identity token in {wrong} is not for the audience sigstore"
    )  # fmt: skip
    # Whoever signs a token themselves is nobody to Fulcio.
    forged = tmp_path / "forged"
    claims = jwt.decode(token.read_text(), options={"verify_signature": False})
    forged.write_text(jwt.encode(claims, "x" * 32, "HS256"))
    fulcio = sigstore.trust["signingConfig"]["caUrls"][0]["url"]
    code, line = said(forged, trust)
    assert code == 6
    assert line == (
        f"cannot sign: {fulcio}/api/v2/signingCert answered 400: There was an error processing the "
        "identity token"
    )
    for urls, where in (
        ("caUrls", "/api/v2/signingCert"),
        ("rekorTlogUrls", "/api/v2/log/entries"),
    ):
        away = sigstore.written("away.json", elsewhere(sigstore.trust, urls))
        assert said(token, away) == (
            6, f"cannot sign: http://127.0.0.1:1{where} cannot be reached: Connection refused"
        )  # fmt: skip
    away = sigstore.written("away.json", elsewhere(sigstore.trust, "tsaUrls"))
    code, line = said(token, away)
    assert code == 6
    assert line.startswith(
        "cannot sign: bundle must contain an inclusion promise or signed timestamp(s) (Unable to "
        "use http://127.0.0.1:1/ to timestamp the bundle."
    )
    # What could not be verified later is not written now.
    strange = sigstore.written("strange.json", with_another(sigstore.trust, "timestampAuthorities"))
    code, line = said(token, strange)
    assert code == 6
    assert line == (
        "cannot sign: what was signed could not be verified: it does not hold: not enough sources "
        "of verified time (signed with another sigstore? --trust-config names it)"
    )


def elsewhere(trust: dict[str, Any], urls: str) -> dict[str, Any]:
    """With one server where nobody listens."""
    changed = deepcopy(trust)
    end = "/" if urls == "tsaUrls" else ""
    changed["signingConfig"][urls][0]["url"] = f"http://127.0.0.1:1{end}"
    return changed
