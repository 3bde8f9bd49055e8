"""The settings of what must last; `docs/explanation/ledger.md` explains them."""

from __future__ import annotations

from fairlead.config.group import Age, Group

_DAY_S = 86_400.0


class Retention(Group, frozen=True):
    """How long jobs that are over are kept, in seconds. Those that are not over are kept until they are.

    An idempotency key, and the id of an event, are known for as long as their job is kept: a repeat that comes later
    is taken for new.
    """

    #: Background calls, and calls with an idempotency key, that are done.
    calls_done_s: Age = 7 * _DAY_S
    #: Calls that were given up, or whose outcome nobody knows: somebody should look at them.
    calls_dead_s: Age = 30 * _DAY_S
    #: Calls that were cancelled.
    calls_cancelled_s: Age = 7 * _DAY_S
    #: Received events that were dealt with.
    events_done_s: Age = 7 * _DAY_S
    #: Received events that were given up.
    events_dead_s: Age = 30 * _DAY_S
    #: Received events that were cancelled.
    events_cancelled_s: Age = 7 * _DAY_S
    #: The turns of schedules that went well; at least as long as the longest of them.
    tasks_done_s: Age = 7 * _DAY_S
    #: The turns of schedules that went wrong.
    tasks_dead_s: Age = 30 * _DAY_S
    #: The turns of schedules that were cancelled.
    tasks_cancelled_s: Age = 7 * _DAY_S


class Storage(Group, frozen=True):
    """Where background calls, idempotency keys, received events and schedules are kept.

    It is opened when the first of them is to be kept, and not before.
    """

    #: The path of an SQLite file, or `postgresql://user@host:port/database`; a password may not stand in it.
    url: str = "fairlead.db"
    #: `env:NAME` or `file:/path` of the password.
    password: str | None = None
    retention: Retention = Retention()
