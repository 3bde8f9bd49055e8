"""The synchronous face: the same names, for code without an event loop.

    from fairlead.sync import Fairlead

    with Fairlead.from_config() as fl:
        page = fl.recipes.search("pasta")

All clients of a process share one event loop in a background thread, started by the first call. A client may be made,
and used, before a fork: every worker has a loop and sockets of its own. Context variables of the caller are seen by the
call; Ctrl-C cancels it; what was not closed is closed at exit.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from fairlead.config.read import read_settings
from fairlead.config.settings import Settings
from fairlead.model.call import Ref
from fairlead.model.deadline import Deadline
from fairlead.observe.events import ConfigReloaded
from fairlead.resilience.breaker import Hold, State
from fairlead.resilience.chaos import Chaos
from fairlead.runtime.fairlead import Fairlead as AsyncFairlead
from fairlead.runtime.handlers import F
from fairlead.runtime.ports import Ports
from fairlead.sync.calls import BackgroundCalls
from fairlead.sync.email import EmailFacade, Suppressions
from fairlead.sync.http import HttpFacade
from fairlead.sync.loop import BACKGROUND
from fairlead.sync.payments import PaymentsFacade, SubscriptionsFacade
from fairlead.sync.recipes import RecipesFacade
from fairlead.sync.webhooks import WebhooksFacade

__all__ = [
    "BackgroundCalls",
    "EmailFacade",
    "Fairlead",
    "HttpFacade",
    "PaymentsFacade",
    "RecipesFacade",
    "SubscriptionsFacade",
    "Suppressions",
    "WebhooksFacade",
]


class Fairlead:
    """Connections, routes and the calls through them. Use it as `with`; it closes its sockets at the end."""

    def __init__(
        self,
        settings: Settings,
        *,
        source: str = "configuration",
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
    ) -> None:
        self._fl = AsyncFairlead(settings, source=source, environment=environment, ports=ports)
        BACKGROUND.look_after(self._fl)
        weakref.finalize(self, BACKGROUND.let_go, self._fl).atexit = False

    @classmethod
    def from_config(
        cls,
        path: str | Path = "fairlead.toml",
        *,
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
    ) -> Self:
        """Read a configuration file; raise `ConfigError` naming the file and the key of what is wrong."""
        return cls(read_settings(path), source=str(path), environment=environment, ports=ports)

    def __enter__(self) -> Self:
        BACKGROUND.run(self._fl.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what runs in the background, and close every socket."""
        BACKGROUND.run(self._fl.close)

    def invalidate(self, *tags: Ref | str) -> int:
        """Forget the kept answers that have any of the tags; return how many were. See the asynchronous face."""
        return BACKGROUND.run(lambda: self._fl.invalidate(*tags))

    def hold_circuit(self, connection: str, state: Hold | None) -> State:
        """Hold a circuit `open` or `closed` by hand, or with None let it decide. See the asynchronous face."""
        return BACKGROUND.run(lambda: self._fl.hold_circuit(connection, state))

    def reload(self, settings: Settings, *, source: str = "configuration") -> ConfigReloaded:
        """Put new settings in force. Where they are wrong, raise `ConfigError` and change nothing."""
        return BACKGROUND.run(lambda: self._fl.reload(settings, source=source))

    def reload_from(self, path: str | Path) -> ConfigReloaded:
        """Read a configuration file, with its references, and put it in force as `reload` does."""
        return BACKGROUND.run(lambda: self._fl.reload_from(path))

    def deadline(self, seconds: float) -> AbstractContextManager[Deadline]:
        """Bound every call made inside: `with fl.deadline(2.0):`."""
        return self._fl.deadline(seconds)

    @property
    def chaos(self) -> Chaos | None:
        """Trouble made on purpose, where the settings have rules for it; its switch is `is_on`."""
        return self._fl.chaos

    @property
    def calls(self) -> BackgroundCalls:
        """The calls that are kept."""
        return BackgroundCalls(self._fl.calls, self)

    @property
    def recipes(self) -> RecipesFacade:
        """Recipes: search them, fetch one, and know what is in it."""
        return RecipesFacade(self._fl.recipes, self)

    @property
    def email(self) -> EmailFacade:
        """Email: send it once, whoever carries it, and ask what became of it."""
        return EmailFacade(self._fl.email, self)

    @property
    def payments(self) -> PaymentsFacade:
        """Payments: money taken once and given back, by whichever processor serves."""
        return PaymentsFacade(self._fl.payments, self)

    @property
    def subscriptions(self) -> SubscriptionsFacade:
        """Subscriptions: what somebody pays for again and again, and what they may do for it."""
        return SubscriptionsFacade(self._fl.subscriptions, self)

    @property
    def suppressions(self) -> Suppressions:
        """Addresses that no mail may go to, whichever vendor said so."""
        return Suppressions(self._fl.suppressions, self)

    @property
    def webhooks(self) -> WebhooksFacade:
        """What vendors send of their own accord: take it, look at it, have it handled again."""
        return WebhooksFacade(self._fl.webhooks, self)

    def on(
        self, pattern: str, *, name: str | None = None, skip_late: bool = False, transaction: bool = False
    ) -> Callable[[F], F]:
        """Register a function for events: `@fl.on("payment.succeeded")`. See the asynchronous face.

        An ordinary function runs in a thread of its own, where it may use this client. Events are handled in every
        process from its first delivery on, or from the beginning where the client is used as `with`.
        """
        return self._fl.on(pattern, name=name, skip_late=skip_late, transaction=transaction)

    def http(self, connection: str) -> HttpFacade:
        """Return the way to send plain requests to a connection."""
        return HttpFacade(self._fl.http(connection), self)
