"""What the lab applies by itself, and where."""

import pytest

from lab import objects


@pytest.mark.parametrize(
    ("version", "kind", "own", "expected"),
    [
        ("v1", "Pod", {}, "/api/v1/namespaces/shop/pods/web"),
        ("v1", "Pod", {"namespace": "other"}, "/api/v1/namespaces/other/pods/web"),
        ("apps/v1", "Deployment", {}, "/apis/apps/v1/namespaces/shop/deployments/web"),
        ("v1", "Node", {}, "/api/v1/nodes/web"),
        ("example.com/v1", "Cactus", {}, None),
    ],
)
def test_each_object_has_its_place(
    version: str, kind: str, own: dict[str, str], expected: str | None
) -> None:
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "web", **own}}

    assert objects.path(manifest, "shop") == expected


def test_documents_of_both_languages() -> None:
    manifests = (
        '---\nkind: Pod\ntext: |\n  ---\n  x\n---\n{"kind": "\\ud83d\\ude00"}\n---\n# empty\n'
    )

    assert list(objects.documents(manifests)) == [
        {"kind": "Pod", "text": "---\nx\n"},
        {"kind": "\N{GRINNING FACE}"},
    ]
