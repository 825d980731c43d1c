"""How much work one text may ask for."""

_PLACES = 1500
_BYTES_PER_PLACE = 400
_SLACK = 100  # as segments of the text may fall otherwise
# May be unpacked of one text in all, and so much more for each of its own bytes.
_UNPACKED_BYTES = 16 << 20
_UNPACKED_PER_BYTE = 4


class Budget:
    """How many places may be looked at: a store that is full at first, and is filled up as the
    text goes by. So a thousand secrets in a row are found, and one in 400 bytes for ever.

    Once empty it stays so. Were it filled up again, each part that is redacted as a whole would
    take away the bytes that paid for the next one, and a second redaction would find more.
    """

    __slots__ = ("_bytes", "_left", "_lowest", "_packed")

    def __init__(self, text_bytes: int = 0) -> None:
        self._left = self._lowest = _PLACES
        self._bytes = 0
        self._packed = _UNPACKED_BYTES + _UNPACKED_PER_BYTE * text_bytes

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

    def unpack(self, unpacked_bytes: int) -> bool:
        """False if that was more than may be unpacked."""
        self._packed -= unpacked_bytes
        return self._packed >= 0

    def is_ample(self, removed_bytes: int) -> bool:
        """Whether it lasts for the same text without these bytes too."""
        removed_bytes = max(0, removed_bytes)
        return (
            self._lowest > removed_bytes // _BYTES_PER_PLACE + _SLACK
            and self._packed >= removed_bytes * _UNPACKED_PER_BYTE
        )
