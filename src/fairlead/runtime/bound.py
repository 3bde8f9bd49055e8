"""The deadline that bounds every call made within a task: what a handler has left is all that its own calls may take.

A context variable carries it, so it follows `await`, tasks and threads as the task's context does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fairlead.errors import InvalidArgumentError
from fairlead.model.deadline import Deadline

_bound: ContextVar[Deadline | None] = ContextVar("fairlead_deadline", default=None)


@contextmanager
def bound_by(seconds: float, *, now: float) -> Iterator[Deadline]:
    """Bound the calls made inside; a bound within another can only be earlier. Raises `InvalidArgumentError`."""
    if not seconds > 0:
        raise InvalidArgumentError(f"The deadline is {seconds} s.", hint="Give the calls some seconds, above 0.")
    deadline = earlier(Deadline.after(seconds, now=now))
    token = _bound.set(deadline)
    try:
        yield deadline
    finally:
        _bound.reset(token)


@contextmanager
def unbound() -> Iterator[None]:
    """Let no bound of the present task hold inside: for what is done for others too."""
    token = _bound.set(None)
    try:
        yield
    finally:
        _bound.reset(token)


def earlier(deadline: Deadline) -> Deadline:
    """Return the deadline, or the bound where that is earlier."""
    bound = _bound.get()
    return deadline if bound is None or deadline.at_s <= bound.at_s else bound
