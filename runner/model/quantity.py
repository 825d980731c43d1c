"""Amounts as Kubernetes writes them: `64Mi`, `250m`."""

_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "m": 0.001, "k": 10**3,
          "M": 10**6, "G": 10**9, "T": 10**12}  # fmt: skip


def quantity(text: object) -> float | None:
    """None for what is not understood."""
    word = str(text)
    unit = next((unit for unit in _UNITS if word.endswith(unit)), "")
    try:
        return float(word.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        return None


def quantity_bytes(text: object) -> int | None:
    """Of an amount of memory; None for what is not understood."""
    amount = quantity(text)
    try:
        return None if amount is None else int(amount)
    except (ValueError, OverflowError):  # nan, inf
        return None
