"""How much work one text may ask for."""

_PLACES = 1500
_BYTES_PER_PLACE = 400
_SLACK = 100  # as segments of the text may fall otherwise


class Budget:
    """How many places may be looked at: a store that is full at first, and is filled up as the
    text goes by. So a thousand secrets in a row are found, and one in 400 bytes for ever.

    Once empty it stays so. Were it filled up again, each part that is redacted as a whole would
    take away the bytes that paid for the next one, and a second redaction would find more.
    """

    __slots__ = ("_bytes", "_left", "_lowest")

    def __init__(self) -> None:
        self._left = self._lowest = _PLACES
        self._bytes = 0

    def fill(self, passed_bytes: int) -> None:
        if self._left > 0:
            self._bytes += passed_bytes
            places, self._bytes = divmod(self._bytes, _BYTES_PER_PLACE)
            self._left = min(_PLACES, self._left + places)

    def take(self, places: int = 1) -> bool:
        """False if there are none left."""
        self._left = max(0, self._left - places)
        self._lowest = min(self._lowest, self._left)
        return self._left > 0

    def is_ample(self, removed_bytes: int) -> bool:
        """Whether it lasts for the same text without these bytes too."""
        return self._lowest > max(0, removed_bytes) // _BYTES_PER_PLACE + _SLACK
