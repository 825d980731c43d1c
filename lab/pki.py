"""Keys and certificates of one lab, made with openssl."""

import base64
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.layout import LabError, Network, save
from lab.network import KUBERNETES_SERVICE

_DAYS = "365"
_COMMAND_SECONDS = 60.0


@dataclass(frozen=True)
class Identity:
    """A certificate: `organization` is the Kubernetes group, `common_name` the user."""

    name: str
    common_name: str
    organization: str = ""
    alternative_names: tuple[str, ...] = ()


def identities(network: Network, node: str) -> tuple[Identity, ...]:
    """Everyone in the lab who shows a certificate."""
    own = (f"IP:{network.node_address}", f"IP:{network.machine_address}", "IP:127.0.0.1")
    service = "kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"
    return (
        Identity(
            "apiserver",
            "kube-apiserver",
            alternative_names=(
                *own,
                f"IP:{KUBERNETES_SERVICE}",
                *(f"DNS:{name}" for name in service),
            ),
        ),
        Identity("admin", "lab-admin", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("node", f"system:node:{node}", "system:nodes", (*own, f"DNS:{node}")),
        Identity("kwok", "lab-kwok", "system:masters", own),
        Identity("apiserver-to-kubelet", "lab-apiserver", "system:masters"),
    )


def create(folder: Path, wanted: tuple[Identity, ...]) -> None:
    """Writes ca.crt, NAME.crt and NAME.key for each, sa.key and sa.pub; raises `LabError`."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _key(folder / "ca.key")
    subject = ("-subj", "/CN=podmedic-lab", "-days", _DAYS)
    _openssl("req", "-x509", "-new", "-key", folder / "ca.key", "-out", folder / "ca.crt", *subject)
    for identity in wanted:
        _certificate(folder, identity)
    _key(folder / "sa.key")
    _openssl("pkey", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")


def _key(path: Path) -> None:
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def _certificate(folder: Path, identity: Identity) -> None:
    key = folder / f"{identity.name}.key"
    request = folder / f"{identity.name}.csr"
    extensions = folder / f"{identity.name}.ext"
    _key(key)
    group = f"/O={identity.organization}" if identity.organization else ""
    subject = f"{group}/CN={identity.common_name}"
    _openssl("req", "-new", "-key", key, "-out", request, "-subj", subject)
    names = ",".join(identity.alternative_names or (f"DNS:{identity.name}",))
    extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
    authority = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial")
    certificate = folder / f"{identity.name}.crt"
    about = ("-days", _DAYS, "-extfile", extensions)
    _openssl("x509", "-req", "-in", request, "-out", certificate, *authority, *about)
    request.unlink()
    extensions.unlink()


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["openssl", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise LabError(f"openssl {arguments[0]}: {done.stderr.strip()}")


def kubeconfig(folder: Path, name: str, server: str, path: Path) -> None:
    """Writes a kubeconfig that carries its certificates, so that it may be copied away."""

    def data(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    user = {
        "client-certificate-data": data(f"{name}.crt"),
        "client-key-data": data(f"{name}.key"),
    }
    save(
        path,
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
            "current-context": "lab",
        },
    )
    path.chmod(0o600)
