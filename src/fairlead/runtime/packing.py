"""What is kept of calls, as MessagePack: their arguments and their answers, read back by the types of the operation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from fairlead.errors import StorageError, UsageError
from fairlead.model.headers import Headers


def pack(value: Any) -> bytes:
    """Write a value down; raise `TypeError` where it is nothing that can be written."""
    return msgspec.msgpack.encode(value, enc_hook=_take_apart)


def unpack(data: bytes, kind: Any) -> Any:
    """Read a value back; raise `StorageError` where it is no longer of that type."""
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_put_together)
    except msgspec.DecodeError as error:
        raise StorageError(
            f"What was kept cannot be read any more: {error}.", hint="It was written by another version."
        ) from None


def pack_arguments(arguments: Iterable[Any], operation: str) -> bytes:
    """Write the arguments of an operation down; raise `UsageError` naming the one that cannot be."""
    packed: list[msgspec.Raw] = []
    for place, argument in enumerate(arguments, start=1):
        try:
            packed.append(msgspec.Raw(pack(argument)))
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise refused(operation, f"argument {place} ({type(argument).__name__})") from None
    return msgspec.msgpack.encode(packed)


def unpack_arguments(data: bytes, kinds: Iterable[Any]) -> tuple[Any, ...]:
    """Read arguments back, each by its type."""
    return tuple(unpack(raw, kind) for raw, kind in zip(unpack(data, list[msgspec.Raw]), kinds, strict=True))


def refused(operation: str, what: str) -> UsageError:
    """Return the error for what cannot be kept."""
    return UsageError(
        f"{operation}: {what} cannot be kept for later.",
        hint="A stream is read once: pass bytes, text or plain values.",
    )


def fingerprint(*parts: str | bytes) -> bytes:
    """Return a digest of what was asked, to tell a repeat from another use of a key."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "big"))
        made.update(data)
    return made.digest()


def _take_apart(value: Any) -> Any:
    if isinstance(value, Headers):
        return value.pairs
    raise TypeError(f"{type(value).__name__} cannot be written down.")


def _put_together(kind: type, value: Any) -> Any:
    if kind is Headers:
        return Headers((str(name), str(text)) for name, text in value)
    raise NotImplementedError(f"{kind.__name__} cannot be read.")
