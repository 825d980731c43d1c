"""Examine one pod: capture, inject, wait, collect."""

from runner.examine.context import Context, Limits
from runner.examine.copy import PODS
from runner.examine.evidence import clean_pod
from runner.examine.harm import sentence as harm_sentence
from runner.examine.harm import with_harm, with_node
from runner.examine.images import OneImage
from runner.examine.pod import Examined, examine_pod, pod_result
from runner.examine.tampered import TAMPERED
from runner.examine.watch import PodHub

__all__ = [
    "PODS",
    "TAMPERED",
    "Context",
    "Examined",
    "Limits",
    "OneImage",
    "PodHub",
    "clean_pod",
    "examine_pod",
    "harm_sentence",
    "pod_result",
    "with_harm",
    "with_node",
]
