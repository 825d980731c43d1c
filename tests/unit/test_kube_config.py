"""Which cluster is meant and who we are there: kubectl's rules, and one clear line when not."""

import asyncio
import base64
import gc
import json
import os
import ssl
import stat
import threading
from asyncio.base_subprocess import BaseSubprocessTransport
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cluster import ClusterError, ErrorReason
from runner.kube import access as access_module
from runner.kube.access import Access, find_access
from runner.kube.network import complete_proxy, proxy_from_environment

SERVER = "https://127.0.0.1:1"


def config(*names: str, current: str = "", **user: Any) -> dict[str, Any]:
    """A kubeconfig with a context, a cluster and a user for each name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
        "clusters": [{"name": n, "cluster": {"server": f"https://{n}:6443"}} for n in names],
        "users": [{"name": n, "user": user or {"token": f"token-of-{n}"}} for n in names],
    }


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


async def loaded(
    home: Path, *, kubeconfig: str | None = None, context: str | None = None, **more: Any
) -> Access:
    access = find_access(
        kubeconfig=kubeconfig,
        context=context,
        environ=more.pop("environ", {}),
        home=home,
        service_account=more.pop("service_account", home / "none"),
        **more,
    )
    await access.load()
    return access


def error_of(home: Path, **arguments: Any) -> str:
    """The message of the ClusterError(CONFIG) that finding and loading raises."""
    with pytest.raises(ClusterError) as caught:
        asyncio.run(loaded(home, **arguments))
    assert caught.value.reason is ErrorReason.CONFIG
    assert caught.value.message.isprintable()
    return caught.value.message


async def test_the_option_beats_the_variable_beats_home_beats_the_pod(tmp_path: Path) -> None:
    """--kubeconfig, KUBECONFIG, ~/.kube/config, service account: in this order."""
    pod = service_account(tmp_path)
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    found = [(await loaded(tmp_path, service_account=pod, environ=environ)).server]
    write(tmp_path / ".kube/config", config("home", current="home"))
    found.append((await loaded(tmp_path, service_account=pod, environ=environ)).server)
    variable = write(tmp_path / "variable", config("variable", current="variable"))
    environ["KUBECONFIG"] = str(variable)
    found.append((await loaded(tmp_path, service_account=pod, environ=environ)).server)
    option = write(tmp_path / "option", config("option", current="option"))
    found.append((await loaded(tmp_path, kubeconfig=str(option), environ=environ)).server)

    assert found == [
        "https://10.0.0.1:443",
        "https://home:6443",
        "https://variable:6443",
        "https://option:6443",
    ]


async def test_several_files_are_merged_as_kubectl_does(tmp_path: Path) -> None:
    """Of each name and of current-context the first file counts; missing files do not matter."""
    first = write(tmp_path / "a/config", config("one", current="one"))
    second = config("one", "two", current="two")
    second["users"][0]["user"] = {"token": "not this one"}
    second["clusters"][1]["cluster"]["certificate-authority"] = "ca.crt"
    write(tmp_path / "b/config", second)
    environ = {"KUBECONFIG": f"{first}:{tmp_path}/absent:{tmp_path}/b/config"}

    access = await loaded(tmp_path, environ=environ)

    assert access.server == "https://one:6443"
    assert dict(access.headers) == {"Authorization": "Bearer token-of-one"}
    message = await asyncio.to_thread(error_of, tmp_path, environ=environ, context="two")
    assert message == f"context two: File does not exists: {tmp_path}/b/ca.crt"


async def test_a_kubeconfig_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As a shell makes it of `--kubeconfig <(vault read …)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = yaml.safe_dump(config("prod", current="prod"))
    writer = threading.Thread(target=pipe.write_text, args=(text,), daemon=True)
    writer.start()

    access = await loaded(tmp_path, kubeconfig=str(pipe))

    writer.join()
    assert access.server == "https://prod:6443"


def test_missing_files_are_named(tmp_path: Path) -> None:
    """Each way of naming a file has its own message."""
    assert (
        error_of(tmp_path, kubeconfig="/no/such") == "--kubeconfig /no/such: there is no such file"
    )
    assert error_of(tmp_path, environ={"KUBECONFIG": "/no/a:/no/b"}) == (
        "KUBECONFIG=/no/a:/no/b: there is no such file"
    )
    assert error_of(tmp_path) == (
        "no kubeconfig: name one by --kubeconfig or KUBECONFIG "
        "(there is no ~/.kube/config, and this is not a pod with a service account)"
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("a: [\n", "{}:2:1: not valid YAML: did not find expected node content"),
        ("- 1\n", "{}: not a kubeconfig: expected a mapping at the top"),
        ("contexts: {a: b}\n", "{}: contexts: expected a list"),
        ("contexts: [{context: {}}]\n", "{}: contexts[0]: expected name and context"),
        ("", "{}: no current-context; name one with --context (there is none in it)"),
        (
            config("prod", "staging"),
            "{}: no current-context; name one with --context (prod, staging)",
        ),
        (
            config("prod", current="pord"),
            "{}: there is no context 'pord' (did you mean 'prod'?)",
        ),
        (
            {**config("prod", current="prod"), "clusters": []},
            "{}: context 'prod' names cluster 'prod', which is not in it (there is none)",
        ),
        (
            {**config("prod", current="prod"), "users": []},
            "{}: context 'prod' names user 'prod', which is not in it (there is none)",
        ),
        (
            {
                **config("prod", current="prod"),
                "clusters": [{"name": "prod", "cluster": {"server": "prod:6443"}}],
            },
            (
                "{}: cluster 'prod' has no server that is a URL: "
                "found 'prod:6443', expected https://HOST:PORT"
            ),
        ),
        (
            "a: \x00\n",
            (
                "{}: not valid YAML: unacceptable character #x0000: control characters are not allowed "
                'in "<byte string>", position 3'
            ),
        ),
    ],
)
def test_a_broken_file_gives_one_line(tmp_path: Path, document: object, message: str) -> None:
    """Where it is, and what is wrong."""
    path = write(tmp_path / "config", document)

    assert error_of(tmp_path, kubeconfig=str(path)) == message.format(path)


def test_an_unknown_context_is_hinted_at(tmp_path: Path) -> None:
    """The closest name, or all there are."""
    path = write(tmp_path / "config", config("production", "staging", current="staging"))

    close = error_of(tmp_path, kubeconfig=str(path), context="prodution")
    far = error_of(tmp_path, kubeconfig=str(path), context="zzz")

    assert close == f"{path}: there is no context 'prodution' (did you mean 'production'?)"
    assert far == f"{path}: there is no context 'zzz' (there are: production, staging)"


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


async def test_token_files_win_over_tokens_and_lose_their_line_feed(tmp_path: Path) -> None:
    """As with kubectl; a line feed in a header would be an error in every request."""
    (tmp_path / "token").write_text("from-the-file\n")
    path = write(tmp_path / "config", config("c", current="c", token="inline", tokenFile="token"))

    access = await loaded(tmp_path, kubeconfig=str(path))

    assert dict(access.headers) == {"Authorization": "Bearer from-the-file"}


async def test_a_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute, and at once after a 401; a file that is gone keeps the old token."""
    token = tmp_path / "token"
    token.write_text("one")
    path = write(tmp_path / "config", config("c", current="c", tokenFile="token"))
    access = await loaded(tmp_path, kubeconfig=str(path))
    seen = [dict(access.headers)["Authorization"]]

    token.write_text("two")
    await access.refresh()
    seen.append(dict(access.headers)["Authorization"])
    await access.replace(access.headers)
    seen.append(dict(access.headers)["Authorization"])
    monkeypatch.setattr(access_module, "REFRESH_SECONDS", -1.0)
    token.write_text("three")
    await access.refresh()
    seen.append(dict(access.headers)["Authorization"])
    token.unlink()
    await access.refresh()
    seen.append(dict(access.headers)["Authorization"])

    assert seen == ["Bearer one", "Bearer one", "Bearer two", "Bearer three", "Bearer three"]
    with pytest.raises(ClusterError):
        await access.replace(access.headers)


async def test_many_refused_requests_refresh_once(tmp_path: Path) -> None:
    """A plug-in that opens a browser opens it once."""
    calls = tmp_path / "calls"
    plugin = exec_plugin(tmp_path, f"echo x >> {calls}", {"token": "t"})
    access = await loaded(tmp_path, kubeconfig=str(plugin))

    refused = access.headers

    await asyncio.gather(*(access.replace(refused) for _ in range(20)))
    await access.replace(refused)  # a 401 that was long on its way

    assert calls.read_text() == "x\nx\n"


def exec_plugin(folder: Path, before: str, status: dict[str, str]) -> Path:
    answer = json.dumps(
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": status,
        }
    )
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{before}\ncat <<'E'\n{answer}\nE\n")
    program.chmod(0o700)
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "Never",
    }
    return write(folder / "config", config("c", current="c", exec=command))


async def test_exec_plugins_give_tokens(tmp_path: Path) -> None:
    """The token of the plug-in goes with each request."""
    path = exec_plugin(tmp_path, "true", {"token": "of-the-plugin"})

    access = await loaded(tmp_path, kubeconfig=str(path))

    assert dict(access.headers) == {"Authorization": "Bearer of-the-plugin"}


def test_a_failing_plugin_is_heard(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What it wrote is in our line, not beside it; we do not go on as nobody."""
    path = exec_plugin(tmp_path, 'echo "it\'s late: log in" >&2; exit 3', {"token": "t"})

    message = error_of(tmp_path, kubeconfig=str(path))

    assert message == "context c: exec: process returned 3. it's late: log in"
    assert capfd.readouterr() == ("", "")


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    """With the hint of the kubeconfig."""
    path = exec_plugin(tmp_path, "true", {"token": "t"})
    (tmp_path / "plugin").unlink()

    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"]["exec"]["installHint"] = "Get it from the shop."
    write(path, document)

    message = error_of(tmp_path, kubeconfig=str(path))

    assert message == (
        f"context c: exec plug-in {tmp_path}/plugin: No such file or directory; "
        "Get it from the shop."
    )


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    document = config("c", current="c", tokenFile=str(tmp_path / "token"))
    path = write(tmp_path / "config", document)

    message = error_of(tmp_path, kubeconfig=str(path))

    assert message == f"context c: {tmp_path}/token: No such file or directory"


async def test_a_plugin_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, for ever."""
    monkeypatch.setattr(access_module, "LOGIN_SECONDS", 0.2)
    path = exec_plugin(tmp_path, "exec sleep 1", {"token": "t"})

    with pytest.raises(ClusterError) as caught:
        await loaded(tmp_path, kubeconfig=str(path))

    assert caught.value.message == (
        "context c: no credentials within 0 s: does the exec plug-in wait for input?"
    )
    await subprocesses_ended()


async def subprocesses_ended() -> None:
    """The library leaves its plug-in behind; its end must not fall into another test."""
    for _ in range(1000):
        transports = [o for o in gc.get_objects() if isinstance(o, BaseSubprocessTransport)]
        if all(t.is_closing() and t.get_returncode() is not None for t in transports):
            return
        await asyncio.sleep(0.01)
    pytest.fail("a plug-in does not end")


async def test_user_and_password(tmp_path: Path) -> None:
    """Basic authentication, where a server still takes it."""
    path = write(tmp_path / "config", config("c", current="c", username="u", password="p"))

    access = await loaded(tmp_path, kubeconfig=str(path))

    basic = base64.b64encode(b"u:p").decode()
    assert dict(access.headers) == {"Authorization": f"Basic {basic}"}


async def test_a_context_without_a_user_is_anonymous(tmp_path: Path) -> None:
    """No header rather than a traceback."""
    document = config("c", current="c")
    del document["contexts"][0]["context"]["user"]
    path = write(tmp_path / "config", document)

    access = await loaded(tmp_path, kubeconfig=str(path))

    assert dict(access.headers) == {}


async def test_impersonation_of_the_kubeconfig_is_kept(tmp_path: Path) -> None:
    """`as` means fewer rights than the token has; --as beats it."""
    path = write(
        tmp_path / "config",
        config(
            "c",
            current="c",
            token="t",
            **{
                "as": "jane",
                "as-groups": ["dev", "ops"],
                "as-user-extra": {"example.org/reason": ["audit"]},
            },
        ),
    )

    of_file = await loaded(tmp_path, kubeconfig=str(path))
    of_option = await loaded(tmp_path, kubeconfig=str(path), impersonate="john")

    assert of_file.headers == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-example.org%2Freason", "audit"),
        ("Authorization", "Bearer t"),
    ]
    assert of_option.headers == [
        ("Impersonate-User", "john"),
        ("Authorization", "Bearer t"),
    ]


async def test_what_the_report_says_of_the_cluster(tmp_path: Path) -> None:
    """The context and the server without a password in its URL; how to check it by hand."""
    document = config("my ctx", current="my ctx")
    document["clusters"][0]["cluster"]["server"] = "https://user:secret@prod.example.org:6443/k8s/"
    document["contexts"][0]["context"]["namespace"] = "shop"
    path = write(tmp_path / "config", document)

    access = await loaded(tmp_path, kubeconfig=str(path))

    assert (access.description, access.shown_server) == (
        "context my ctx",
        "https://prod.example.org:6443/k8s",
    )
    assert access.default_namespace == "shop"
    assert access.check_command == f"kubectl --kubeconfig {path} --context 'my ctx' version"


def service_account(folder: Path) -> Path:
    pod = folder / "serviceaccount"
    pod.mkdir()
    (pod / "token").write_text("of-the-pod\n")
    (pod / "namespace").write_text("ops\n")
    (pod / "ca.crt").write_bytes(_system_certificate())
    return pod


def _system_certificate() -> bytes:
    bundle = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    return (
        bundle.partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    ).encode()


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
            encoded = base64.b64encode(_system_certificate()).decode()
            document["users"][0]["user"][field] = encoded
    document["clusters"][0]["cluster"].update(cluster)
    path = write(tmp_path / "config", document)

    assert error_of(tmp_path, kubeconfig=str(path)) == message.format(path=path)


async def test_in_a_pod(tmp_path: Path) -> None:
    """Token, namespace and address come from where the kubelet puts them."""
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}

    access = await loaded(tmp_path, service_account=service_account(tmp_path), environ=environ)

    assert access.server == "https://[fd00::1]:443"
    assert dict(access.headers) == {"Authorization": "Bearer of-the-pod"}
    assert (access.description, access.default_namespace) == ("in the cluster", "ops")


async def test_private_keys_do_not_stay_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library writes what a kubeconfig holds to temporary files: they are gone at once."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    document = config("c", current="c")
    encoded = base64.b64encode(_system_certificate()).decode()
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


def test_proxies_that_do_not_work_are_refused(tmp_path: Path) -> None:
    """Said before anything is sent past the proxy."""
    document = config("c", current="c")
    document["clusters"][0]["cluster"]["proxy-url"] = "ftp://p:1080"
    path = write(tmp_path / "config", document)

    assert error_of(tmp_path, kubeconfig=str(path)) == (
        "context c: proxy by ftp: only http, https, socks5, socks5h work"
    )


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


def test_no_header_is_smuggled_in_by_a_name(tmp_path: Path) -> None:
    """A line feed in a group would be a header of its own."""
    user = {"as": "jane", "as-groups": ["dev\r\nImpersonate-Group: system:masters"]}
    path = write(tmp_path / "config", config("c", current="c", **user))

    assert error_of(tmp_path, kubeconfig=str(path)) == (
        "Impersonate-Group: 'dev\\r\\nImpersonate-Group: system:masters' has characters that no "
        "name may have"
    )


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


def test_a_token_that_cannot_be_sent(tmp_path: Path) -> None:
    """A line feed in the middle would be a header of its own."""
    path = write(tmp_path / "config", config("c", current="c", token="a\nX-Other: b"))

    assert error_of(tmp_path, kubeconfig=str(path)) == (
        "context c: the token has characters that none may have"
    )
