"""Which image a name means, whatever host it names."""

import pytest

import runner
from lab import images
from lab.layout import LabError


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("busybox", "library/busybox:latest"),
        ("busybox:1.36", "library/busybox:1.36"),
        ("docker.io/busybox:1.36", "library/busybox:1.36"),
        ("docker.io/library/busybox:1.36", "library/busybox:1.36"),
        ("podmedic/tools:1", "podmedic/tools:1"),
        ("ghcr.io/podmedic/tools:1", "podmedic/tools:1"),
        ("localhost/podmedic/tools", "podmedic/tools:latest"),
        ("10.99.1.1:5000/podmedic/tools:1", "podmedic/tools:1"),
        ("registry.k8s.io/coredns/coredns:v1.14.7", "coredns/coredns:v1.14.7"),
    ],
)
def test_repository_path(reference: str, path: str) -> None:
    assert images.repository_path(reference) == path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pause", "pause"),
        ("registry.k8s.io/pause:3.10", "pause"),
        ("busybox:1.36", "busybox"),
        ("python:3.12-slim", "python"),
        ("debian:bookworm-slim", "debian"),
        (f"ghcr.io/podmedic/tools:{runner.__version__}", "tools"),
    ],
)
def test_find(name: str, found: str) -> None:
    assert images.find(name).name == found


def test_no_tag_belongs_to_two_images() -> None:
    references = [one for image in images.definitions().values() for one in image.references]
    assert sorted(references) == sorted(set(references))


def test_unknown_image() -> None:
    with pytest.raises(LabError, match=r"image 'mysql:8': expected one of busybox, .*tools"):
        images.find("mysql:8")
