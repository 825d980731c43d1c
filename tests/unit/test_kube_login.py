"""Who we are there: tokens, files, plug-ins, impersonation."""

import base64
from pathlib import Path

import pytest

from runner.cluster import ClusterError
from runner.kube import access as access_module
from tests.unit.kubeconfigs import config, error_of, loaded, write


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


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    document = config("c", current="c", tokenFile=str(tmp_path / "token"))
    path = write(tmp_path / "config", document)

    message = error_of(tmp_path, kubeconfig=str(path))

    assert (
        message == f"context c: tokenFile of its user: {tmp_path}/token: No such file or directory"
    )


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


def test_no_header_is_smuggled_in_by_a_name(tmp_path: Path) -> None:
    """A line feed in a group would be a header of its own."""
    user = {"as": "jane", "as-groups": ["dev\r\nImpersonate-Group: system:masters"]}
    path = write(tmp_path / "config", config("c", current="c", **user))

    assert error_of(tmp_path, kubeconfig=str(path)) == (
        "Impersonate-Group: 'dev\\r\\nImpersonate-Group: system:masters' has characters that no "
        "name may have"
    )


def test_a_token_that_cannot_be_sent(tmp_path: Path) -> None:
    """A line feed in the middle would be a header of its own."""
    path = write(tmp_path / "config", config("c", current="c", token="a\nX-Other: b"))

    assert error_of(tmp_path, kubeconfig=str(path)) == (
        "context c: the token has characters that none may have"
    )
