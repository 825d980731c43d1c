"""Which cluster is meant: kubectl's rules, and one clear line when not."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
import yaml

from tests.unit.kubeconfigs import config, error_of, loaded, service_account, write


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
    assert message == (
        f"context two: certificate-authority of cluster 'two': {tmp_path}/b/ca.crt: "
        "there is no such file"
    )


@pytest.mark.parametrize("field", ["client-certificate", "client-key"])
def test_files_that_are_not_there_are_named_with_their_field(tmp_path: Path, field: str) -> None:
    given = config("one", current="one")
    there = write(tmp_path / "there", {})
    user = {"client-certificate": str(there), "client-key": str(there), field: "/no/file"}
    given["users"][0]["user"] = user
    path = write(tmp_path / "config", given)
    assert error_of(tmp_path, kubeconfig=str(path)) == (
        f"context one: {field} of its user: /no/file: there is no such file"
    )


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
    assert error_of(tmp_path, kubeconfig=str(tmp_path)) == (
        f"--kubeconfig {tmp_path}: it is a directory"
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
        (
            "a: [\n",
            "{}:2:1: not valid YAML: the file ends here, and a bracket ([ or {{) before it is not closed",
        ),
        ("- 1\n", "{}: not a kubeconfig: expected a mapping at the top"),
        ("contexts: {a: b}\n", "{}: contexts: expected a list"),
        ("contexts: [{name: 5}]\n", "{}: contexts[0]: name must be a string, found a number"),
        ("current-context: [a]\n", "{}: current-context must be a string, found a list"),
        ("contexts: [{context: {}}]\n", "{}: contexts[0]: expected name and context"),
        ("", "{}: there is no context in it: it is no kubeconfig, or an empty one"),
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


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("context", "cluster", ["a"], "context 'c': cluster must be a string, found a list"),
        ("context", "namespace", 5, "context 'c': namespace must be a string, found a number"),
        ("cluster", "server", "https://a:99999", "cluster 'c' has no server that is a URL: found 'https://a:99999', expected https://HOST:PORT"),
        ("cluster", "server", "https://[::1", "cluster 'c' has no server that is a URL: found 'https://[::1', expected https://HOST:PORT"),
        ("cluster", "proxy-url", 5, "cluster 'c': proxy-url must be a string, found a number"),
        ("cluster", "insecure-skip-tls-verify", "yes", "cluster 'c': insecure-skip-tls-verify must be true or false, found a string"),
        ("user", "token", 5, "user 'c': token must be a string, found a number"),
        ("user", "tokenFile", {}, "user 'c': tokenFile must be a string, found a mapping"),
        ("user", "client-certificate", "a.crt", "user 'c': client-certificate is there without client-key"),
        ("user", "exec", "aws", "user 'c': exec must be a mapping, found a string"),
        ("user", "exec", {}, "user 'c': exec has no apiVersion and no command"),
        ("user", "exec", {"apiVersion": "v1", "command": "a", "args": "b"}, "user 'c': exec.args must be a list, found a string"),
        ("user", "exec", {"apiVersion": "v1", "command": "a", "args": [1]}, "user 'c': exec.args[0] must be a string, found a number"),
        ("user", "exec", {"apiVersion": "v1", "command": "a", "env": ["b"]}, "user 'c': exec.env[0] must be a mapping of name and value, found a string"),
        ("user", "exec", {"apiVersion": "v1", "command": "a", "env": [{"name": True}]}, "user 'c': exec.env[0]: name must be a string, found true or false"),
    ],
)  # fmt: skip
def test_a_field_of_another_kind(
    tmp_path: Path, part: str, field: str, value: object, message: str
) -> None:
    """The value itself is not said: it may be meant as a secret."""
    document = config("c", current="c")
    document[f"{part}s"][0][part][field] = value
    path = write(tmp_path / "config", document)
    assert error_of(tmp_path, kubeconfig=str(path)) == f"{path}: {message}"


def test_an_unknown_context_is_hinted_at(tmp_path: Path) -> None:
    """The closest name, or all there are."""
    path = write(tmp_path / "config", config("production", "staging", current="staging"))

    close = error_of(tmp_path, kubeconfig=str(path), context="prodution")
    far = error_of(tmp_path, kubeconfig=str(path), context="zzz")

    assert close == f"{path}: there is no context 'prodution' (did you mean 'production'?)"
    assert far == f"{path}: there is no context 'zzz' (there are: production, staging)"


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


async def test_in_a_pod(tmp_path: Path) -> None:
    """Token, namespace and address come from where the kubelet puts them."""
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}

    access = await loaded(tmp_path, service_account=service_account(tmp_path), environ=environ)

    assert access.server == "https://[fd00::1]:443"
    assert dict(access.headers) == {"Authorization": "Bearer of-the-pod"}
    assert (access.description, access.default_namespace) == ("in the cluster", "ops")
