"""A whole sigstore of the test's own beside the lab's API server, all of it real: Fulcio, which
believes the tokens of the API server, TesseraCT for its certificates, Rekor, a timestamp authority.

They run in the lab's network, where the API server has the name that its tokens say.
"""

import base64
import contextlib
import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import binaries
from lab.handle import Lab
from lab.network import KUBERNETES_SERVICE

ISSUER = "https://kubernetes.default.svc"
_ISSUER_HOST = "kubernetes.default.svc"
# What the timestamp authority opens beside its port cannot be chosen, so nothing else has 2112.
_FULCIO, _FULCIO_GRPC, _FULCIO_METRICS = 5555, 5554, 5556
_REKOR, _REKOR_GRPC, _REKOR_METRICS = 3003, 3004, 3005
_TSA = 3006
_CT = 6962
_START_SECONDS = 30
_STARTED = "2026-01-01T00:00:00Z"
_CONFIG = f"""\
oidc-issuers:
  {ISSUER}:
    issuer-url: {ISSUER}
    client-id: sigstore
    type: kubernetes
"""
_DISCOVERY = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:service-account-issuer-discovery}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:unauthenticated}]
"""
# In a mount namespace of its own, as in a pod: the cluster's CA where Fulcio looks for it, and a
# name for the API server.
_AS_IN_A_POD = """\
mount -t tmpfs none /run && mkdir /run/fulcio && cat "$1" >/run/fulcio/ca.crt &&
mount --bind "$2" /etc/hosts && shift 2 && exec "$@"
"""


@dataclass(frozen=True)
class Sigstore:
    """`trust` is the ClientTrustConfig, as files of it are."""

    folder: Path
    trust: dict[str, Any]

    @property
    def trust_file(self) -> Path:
        return self.written("trust.json", self.trust)

    def written(self, name: str, document: object) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path


@contextlib.contextmanager
def running(lab: Lab, folder: Path) -> Iterator[Sigstore]:
    names = ("tesseract", "rekor-server", "timestamp-server", "fulcio")
    programs = binaries.ensure(names, lab.layout.cache)
    binding = f"issuer-discovery-{secrets.token_hex(4)}"
    lab.apply(_DISCOVERY % binding)
    try:
        with contextlib.ExitStack() as stack:
            yield _started(lab, folder, programs, stack)
    finally:
        lab.kubectl("delete", "clusterrolebinding", binding)


def _started(
    lab: Lab, folder: Path, programs: dict[str, Path], stack: contextlib.ExitStack
) -> Sigstore:
    host = lab.api.removeprefix("https://").rsplit(":", 1)[0]
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{KUBERNETES_SERVICE} {_ISSUER_HOST}\n")
    (folder / "fulcio.yaml").write_text(_CONFIG)
    ct_key, rekor_key = _key(folder / "ct.pem"), _key(folder / "rekor.pem")

    def start(
        name: str, *arguments: object, port: int, path: str, before: tuple[object, ...] = ()
    ) -> str:
        with (folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net={lab.netns}", *map(str, (*before, programs[name], *arguments))],
                stdout=log, stderr=log, cwd=folder,
            )  # fmt: skip
        stack.callback(_ended, process)
        url = f"http://{host}:{port}"
        _await(url + path, process, folder / f"{name}.log")
        return url

    fulcio = start(
        "fulcio", "serve", "--ca=ephemeralca", f"--config-path={folder / 'fulcio.yaml'}",
        f"--port={_FULCIO}", f"--grpc-port={_FULCIO_GRPC}", f"--metrics-port={_FULCIO_METRICS}",
        f"--legacy-unix-domain-socket={folder / 'fulcio.sock'}",
        f"--ct-log-url=http://127.0.0.1:{_CT}", "--ct-log-origin=ct.test",
        port=_FULCIO, path="/healthz",
        before=("unshare", "--mount", "sh", "-c", _AS_IN_A_POD, "sh", lab.layout.pki / "ca.crt",
                folder / "hosts"),
    )  # fmt: skip
    roots = json.loads(_get(f"{fulcio}/api/v2/trustBundle"))["chains"][0]["certificates"]
    (folder / "roots.pem").write_text("".join(roots))
    start(
        "tesseract", f"--private_key={folder / 'ct.pem'}", "--origin=ct.test",
        f"--storage_dir={folder / 'ct'}", f"--roots_pem_file={folder / 'roots.pem'}",
        "--ext_key_usages=CodeSigning", f"--http_endpoint=0.0.0.0:{_CT}",
        "--checkpoint_interval=1s", "--batch_max_age=100ms",
        port=_CT, path="/healthz",
    )  # fmt: skip
    rekor = start(
        "rekor-server", "serve", f"--http-port={_REKOR}", "--http-address=0.0.0.0",
        f"--http-metrics-port={_REKOR_METRICS}", f"--grpc-port={_REKOR_GRPC}",
        "--hostname=rekor.test", f"--storage-dir={folder / 'rekor'}",
        f"--signer-filepath={folder / 'rekor.pem'}", "--checkpoint-interval=1s",
        "--batch-max-age=100ms",
        port=_REKOR, path="/healthz",
    )  # fmt: skip
    tsa = start(
        "timestamp-server", "serve", "--host=0.0.0.0", f"--port={_TSA}",
        "--timestamp-signer=memory", "--disable-ntp-monitoring", port=_TSA, path="/ping",
    )  # fmt: skip
    clock = _get(f"{tsa}/api/v1/timestamp/certchain").decode()
    return Sigstore(folder, _trust(fulcio, rekor, tsa, "".join(roots), clock, ct_key, rekor_key))


def _trust(
    fulcio: str, rekor: str, tsa: str, roots: str, clock: str, ct_key: bytes, rekor_key: bytes
) -> dict[str, Any]:
    def service(url: str, version: int) -> dict[str, Any]:
        valid = {"start": _STARTED}
        return {"url": url, "majorApiVersion": version, "validFor": valid, "operator": "test"}

    def log(url: str, key: bytes) -> dict[str, Any]:
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64.b64encode(key).decode(),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": _STARTED},
            },
            "logId": {"keyId": base64.b64encode(sha256(key).digest()).decode()},
        }

    def authority(url: str, pem: str) -> dict[str, Any]:
        return {
            "subject": {"organization": "test", "commonName": "test"},
            "uri": url,
            "certChain": {"certificates": [{"rawBytes": der} for der in _ders(pem)]},
            "validFor": {"start": _STARTED},
        }

    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(rekor, rekor_key)],
            "certificateAuthorities": [authority(fulcio, roots)],
            "ctlogs": [log("http://ct.test", ct_key)],
            "timestampAuthorities": [authority(tsa, clock)],
        },
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(fulcio, 1)],
            "rekorTlogUrls": [service(rekor, 2)],
            "tsaUrls": [service(f"{tsa}/api/v1/timestamp", 1)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        },
    }


def _ders(pem: str) -> list[str]:
    found = x509.load_pem_x509_certificates(pem.encode())
    return [
        base64.b64encode(one.public_bytes(serialization.Encoding.DER)).decode() for one in found
    ]


def _key(path: Path) -> bytes:
    """Writes a private key, as openssl's `ec` does; the public one in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def _await(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        try:
            _get(url)
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
