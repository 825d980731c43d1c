"""One DNS question, asked from inside the lab."""

import secrets
import struct

from lab import linux

_TIMEOUT_SECONDS = 0.5
_TYPE_A, _CLASS_IN = 1, 1
_RESPONSE = 0x8000
_RCODE = 0x000F


def answers(server: str, name: str, network_namespace: str) -> bool:
    """Whether the server gives an address for the name."""
    number = secrets.randbelow(1 << 16)
    try:
        with linux.udp_socket(network_namespace) as socket:
            socket.settimeout(_TIMEOUT_SECONDS)
            socket.connect((server, 53))
            socket.send(question(number, name))
            return has_address(number, socket.recv(1500))
    except OSError:
        return False


def question(number: int, name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    header = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!2H", _TYPE_A, _CLASS_IN)


def has_address(number: int, message: bytes) -> bool:
    """Whether a message answers the question of this number without an error, with a record."""
    if len(message) < 12:
        return False
    same, flags, _, records, _, _ = struct.unpack("!6H", message[:12])
    return same == number and bool(flags & _RESPONSE) and not flags & _RCODE and records > 0
