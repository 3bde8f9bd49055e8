"""Fairlead: the layer between an application and every outside service it depends on.

The public names are loaded when they are first used, so that `import fairlead` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.errors import FairleadError
    from fairlead.model.call import Ref
    from fairlead.model.money import Money
    from fairlead.model.outcome import Effect, Outcome
    from fairlead.model.secret import Secret
    from fairlead.runtime.fairlead import Fairlead
    from fairlead.spec.mapping import ResponseMapping

__version__ = "0.1.0"

_HOMES = {
    "Effect": "fairlead.model.outcome",
    "Fairlead": "fairlead.runtime.fairlead",
    "FairleadError": "fairlead.errors",
    "Money": "fairlead.model.money",
    "Outcome": "fairlead.model.outcome",
    "Ref": "fairlead.model.call",
    "ResponseMapping": "fairlead.spec.mapping",
    "Secret": "fairlead.model.secret",
}

__all__ = ["Effect", "Fairlead", "FairleadError", "Money", "Outcome", "Ref", "ResponseMapping", "Secret"]


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fairlead' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
