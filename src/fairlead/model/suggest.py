"""What was meant, perhaps: the hint for a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(name: str, known: Iterable[str], *, lead: str = "There are") -> str:
    """Return the hint for a name that nobody knows: the closest one, as a question, or else all that are known."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"{lead}: {', '.join(names) or 'none'}."
