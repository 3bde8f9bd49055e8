"""Names for what is kept. They tell tenants, accounts and questions apart, and give nothing of them away."""

from __future__ import annotations

from hashlib import blake2b
from secrets import token_bytes
from typing import Any

import msgspec

from fairlead.model.secret import Secret
from fairlead.runtime.connection import Connection

#: In bytes; two names that meet by chance are out of the question, in any store.
_SIZE = 24


class Fingerprints:
    """Makes keyed names. Whoever shall find what another process keeps needs the same key; else chance gives one."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or token_bytes(32)
        self._known: dict[Connection, tuple[tuple[Secret, ...], bytes]] = {}

    def name(self, *parts: Any) -> str:
        """Return the name of what is made of these parts: plain values and structs."""
        return blake2b(_ENCODER.encode(parts), key=self._key, digest_size=_SIZE).hexdigest()

    def account(self, connection: Connection) -> bytes:
        """Return the mark of the account behind a connection: its address and its credentials.

        Other credentials may be another account, whose answers are nobody else's business.
        """
        secrets = tuple(connection.credentials.values())
        known = self._known.get(connection)
        if known and len(known[0]) == len(secrets) and all(map(_is_same, known[0], secrets)):
            return known[1]
        marks = [(name, secret.fingerprint(self._key)) for name, secret in sorted(connection.credentials.items())]
        where = (connection.provider.id, connection.provider.base_url)
        mark = blake2b(_ENCODER.encode((where, marks)), key=self._key, digest_size=_SIZE).digest()
        self._known[connection] = (secrets, mark)
        return mark


def _is_same(one: Secret, other: Secret) -> bool:
    return one is other


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
