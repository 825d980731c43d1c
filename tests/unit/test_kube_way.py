"""Certificates and proxies: how the server is reached, and whom we trust."""

import base64
import ssl
import stat
from pathlib import Path

import pytest

from runner.kube.network import complete_proxy, proxy_from_environment
from tests.unit.kubeconfigs import config, error_of, loaded, system_certificate, write


def test_a_useless_certificate_authority(tmp_path: Path) -> None:
    """A file that is no certificate is named."""
    document = config("prod", current="prod")
    document["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
    (tmp_path / "ca.crt").write_text("no certificate")
    path = write(tmp_path / "config", document)

    message = error_of(tmp_path, kubeconfig=str(path))

    assert message.startswith(
        f"context prod: certificate authority {tmp_path}/ca.crt cannot be used: "
    )


@pytest.mark.parametrize(
    ("cluster", "user", "message"),
    [
        (
            {"certificate-authority-data": "!!!"}, {},
            "{path}: cluster 'c': certificate-authority-data is not base64",
        ),
        (
            {}, {"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="},
            (
                "{path}: user 'c': client-certificate-data holds no PEM: expected -----BEGIN … in "
                "base64"
            ),
        ),
        (
            {}, {"client-certificate-data": "SYSTEM", "client-key-data": "LS0tLS1CRUdJTiA="},
            (
                "context c: client certificate and key of the kubeconfig cannot be used: one of "
                "them is no PEM, or the key is kept under a password"
            ),
        ),
    ],
)  # fmt: skip
def test_certificates_inside_a_kubeconfig_that_are_none(
    tmp_path: Path, cluster: dict[str, str], user: dict[str, str], message: str
) -> None:
    """Told by their fields, not by a file of ours in /tmp that is gone."""
    document = config("c", current="c", **user)
    for field, value in document["users"][0]["user"].items():
        if value == "SYSTEM":
            encoded = base64.b64encode(system_certificate()).decode()
            document["users"][0]["user"][field] = encoded
    document["clusters"][0]["cluster"].update(cluster)
    path = write(tmp_path / "config", document)

    assert error_of(tmp_path, kubeconfig=str(path)) == message.format(path=path)


async def test_private_keys_do_not_stay_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library writes what a kubeconfig holds to temporary files: they are gone at once."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    document = config("c", current="c")
    encoded = base64.b64encode(system_certificate()).decode()
    document["clusters"][0]["cluster"]["certificate-authority-data"] = encoded
    path = write(tmp_path / "config", document)

    access = await loaded(tmp_path, kubeconfig=str(path))

    assert access.ssl is not True
    assert list((tmp_path / "tmp").iterdir()) == []
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) != 0
    again = await loaded(tmp_path, kubeconfig=str(path))
    assert again.ssl is not True


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://k.example.org:6443", {}, None),
        ("https://k.example.org:6443", {"HTTPS_PROXY": "http://p:8080"}, "http://p:8080"),
        ("https://k.example.org:6443", {"https_proxy": "p:8080"}, "http://p:8080"),
        ("http://k.example.org:6443", {"HTTPS_PROXY": "http://p:8080"}, None),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:8080"}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://p:8080"}, None),
        ("https://k.example.org", {"HTTPS_PROXY": "p", "NO_PROXY": "example.org"}, None),
        ("https://k.example.org", {"HTTPS_PROXY": "p", "NO_PROXY": ".example.org"}, None),
        ("https://k.example.org", {"HTTPS_PROXY": "p", "NO_PROXY": "*"}, None),
        ("https://k.example.org", {"HTTPS_PROXY": "p", "NO_PROXY": "ample.org"}, "http://p"),
        ("https://k.example.org:1", {"HTTPS_PROXY": "p", "NO_PROXY": "k.example.org:1"}, None),
        (
            "https://k.example.org:1",
            {"HTTPS_PROXY": "p", "NO_PROXY": "k.example.org:2"},
            "http://p",
        ),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": "p", "NO_PROXY": "a, 10.0.0.0/8"}, None),
        ("https://11.1.2.3:6443", {"HTTPS_PROXY": "p", "NO_PROXY": "a, 10.0.0.0/8"}, "http://p"),
    ],
)
def test_the_proxy_is_the_one_kubectl_takes(
    server: str, environ: dict[str, str], proxy: str | None
) -> None:
    """HTTPS_PROXY and NO_PROXY with names, ports and networks; never for loopback."""
    assert proxy_from_environment(server, environ) == proxy


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("ftp://p:1080", "proxy by ftp: only http, https, socks5, socks5h work"),
        ("http://u:secret@p:x", "the proxy is no URL: expected http://HOST:PORT"),
        ("::::", "the proxy is no URL: expected http://HOST:PORT"),
        ("http://[::1", "the proxy is no URL: expected http://HOST:PORT"),
    ],
)
def test_proxies_that_do_not_work_are_refused(tmp_path: Path, proxy: str, words: str) -> None:
    """Said before anything is sent past the proxy."""
    document = config("c", current="c")
    document["clusters"][0]["cluster"]["proxy-url"] = proxy
    path = write(tmp_path / "config", document)

    assert error_of(tmp_path, kubeconfig=str(path)) == f"context c: {words}"


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ("http://p", "http://p:80"),
        ("https://me:pw@p/", "https://me:pw@p:443/"),
        ("http://p:8080", "http://p:8080"),
        ("socks5://[fd00::1]", "socks5h://[fd00::1]:1080"),
    ],
)
def test_a_proxy_has_the_port_that_kubectl_takes(given: str, complete: str) -> None:
    """And a SOCKS proxy resolves names, as kubectl has it."""
    assert complete_proxy(given) == complete


async def test_tls_to_a_proxy_alone_goes_by_certificates_too(tmp_path: Path) -> None:
    """They are read though the server has none."""
    document = config("c", current="c")
    document["clusters"][0]["cluster"] = {
        "server": "http://k.example.org",
        "proxy-url": "https://p.example.org:8443",
    }
    access = await loaded(tmp_path, kubeconfig=str(write(tmp_path / "config", document)))

    assert isinstance(access.ssl, ssl.SSLContext)
    assert access.ssl.verify_mode is ssl.CERT_REQUIRED
