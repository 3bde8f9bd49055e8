"""What is remembered of one connection's answers, so that drift is looked for seldom and told once.

Pure: no clock, no I/O. Reading an answer writes what it found here, and whoever drives the operation takes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import local
from typing import Any

import msgspec

from fairlead.spec.drift import DriftKind, Finding
from fairlead.spec.mapping import ResponseMapping

# After that many, every that many are looked at.
_SELDOM = 256
_MOST_MAPPINGS = 256
_MOST_FINDINGS = 100


class _Watching(local):
    watch: Watch | None = None


#: Who watches what this thread reads now. An answer is read without a wait, so no other task comes between; a context
#: variable would do, at three times the price, which every call pays. There it is set by hand, without `with`.
WATCHING = _Watching()


class Memory(msgspec.Struct):
    """What is remembered of one mapping."""

    answers: int = 0
    #: Kind and path of what was told, with whether it was tolerated.
    told: dict[tuple[DriftKind, str], bool] = {}
    #: Marks of the names under which fields were found.
    marks: tuple[bytes, ...] = ()


class Watch:
    """Remembers, for each mapping, how many answers it read and what of them was told.

    Its memory is bounded: 256 mappings, the oldest forgotten first, and 100 findings of each, beyond which nothing
    more of that mapping is told.
    """

    def __init__(self) -> None:
        self._memories: dict[Any, Memory] = {}
        self._news: list[tuple[ResponseMapping[Any], Finding]] = []
        self._before: Watch | None = None

    def __enter__(self) -> None:
        """Watch what this thread reads from here on; nothing is to be awaited inside."""
        self._before, WATCHING.watch = WATCHING.watch, self

    def __exit__(self, *_: object) -> None:
        WATCHING.watch = self._before

    def remember(self, mapping: ResponseMapping[Any]) -> Memory:
        """Return what is known of a mapping."""
        memory = self._memories.get(mapping.key)
        if memory is None:
            if len(self._memories) >= _MOST_MAPPINGS:
                del self._memories[next(iter(self._memories))]
            memory = self._memories[mapping.key] = Memory()
        return memory

    def note(self, mapping: ResponseMapping[Any], findings: Iterable[Finding]) -> None:
        """Keep what has not been told; what was tolerated is told again when it is no more."""
        told = self.remember(mapping).told
        for each in findings:
            key = each.kind, each.path
            if (told[key] and not each.is_tolerated) if key in told else len(told) < _MOST_FINDINGS:
                told[key] = each.is_tolerated
                self._news.append((mapping, each))

    def take(self) -> Iterable[tuple[ResponseMapping[Any], Finding]]:
        """Return what there is to tell, once."""
        if not self._news:
            return ()
        news, self._news = self._news, []
        return news


def current_watch() -> Watch | None:
    """Return who watches what is read now."""
    return WATCHING.watch


def is_due(memory: Memory) -> bool:
    """Count an answer that fits; return whether to look at it closely: the 1st, 2nd, 4th, 8th ... then every 256th."""
    memory.answers += 1
    if memory.answers >= _SELDOM:
        return memory.answers % _SELDOM == 0
    return memory.answers & (memory.answers - 1) == 0
