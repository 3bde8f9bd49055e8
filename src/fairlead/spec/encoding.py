"""How the bytes of a signature are written."""

from __future__ import annotations

from base64 import b64encode
from enum import StrEnum


class Encoding(StrEnum):
    """How the bytes of a signature are written."""

    HEX = "hex"
    BASE64 = "base64"

    def write(self, digest: bytes) -> str:
        """Write them so."""
        return digest.hex() if self is Encoding.HEX else b64encode(digest).decode()
