"""Label selectors as objects of the API spell them."""

from collections.abc import Mapping
from typing import Any


def selector_means(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """`matchLabels` and `matchExpressions`; an empty selector means everything."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(k) == v for k, v in wanted.items()) and all(
        _meets(labels, each) for each in selector.get("matchExpressions") or ()
    )


def selector_may_mean(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """The same of something that may have more labels than these: False only where they forbid
    it."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(k, v) == v for k, v in wanted.items()) and all(
        _meets(labels, each)
        for each in selector.get("matchExpressions") or ()
        if each.get("key") in labels
    )


def selector_must_mean(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """True only where these labels suffice, whatever others it has."""
    expressions = selector.get("matchExpressions") or ()
    return selector_means(selector, labels) and all(e.get("key") in labels for e in expressions)


def _meets(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    key, values = str(expression.get("key", "")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
