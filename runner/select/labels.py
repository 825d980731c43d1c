"""Label selectors as objects of the API spell them."""

from collections.abc import Mapping
from typing import Any


def selector_means(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """`matchLabels` and `matchExpressions`; an empty selector means everything."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(k) == v for k, v in wanted.items()) and all(
        _meets(labels, each) for each in selector.get("matchExpressions") or ()
    )


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
