"""The keys that leave a session without ending it. Pure."""

DEFAULT_DETACH_KEYS = "ctrl-],d"
_CONTROL = {chr(code + 64).lower(): code for code in range(32)}


def parse_keys(text: str) -> bytes:
    r"""As docker spells them, `ctrl-p,ctrl-q`: keys with commas between, each a character or
    `ctrl-` and one of a-z @ [ \ ] ^ _. Empty: no keys. Raises ValueError."""
    found = bytearray()
    for key in text.split(",") if text else ():
        control = key.removeprefix("ctrl-")
        if control != key and control in _CONTROL:
            found.append(_CONTROL[control])
        elif len(key) == 1 and key.isascii() and key.isprintable():
            found += key.encode()
        else:
            raise ValueError(
                f"{key!r}: a character or ctrl-KEY is expected, with commas between: ctrl-p,ctrl-q"
            )
    return bytes(found)


class DetachKeys:
    """Looks for the keys in what is typed; their beginning is held until the next key decides."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._seen = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to pass on of it, and whether the keys were there; what follows them is lost."""
        if not self._keys:
            return typed, False
        passed = bytearray()
        for byte in typed:
            if byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self._seen = 0
                    return bytes(passed), True
                continue
            passed += self._keys[: self._seen]
            self._seen = 1 if byte == self._keys[0] and len(self._keys) > 1 else 0
            if not self._seen:
                passed.append(byte)
        return bytes(passed), False
