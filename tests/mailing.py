"""Messages for tests, and a Fairlead that sends them by the connections it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from fairlead.capabilities.email import Attachment, EmailMessage, EmailReceipt
from fairlead.capabilities.mailbox import Address
from fairlead.config.read import parse_settings
from fairlead.model.operation import Operation
from fairlead.observe.events import Event, EventStream
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.runtime.wanted import CallOptions, Wanted

ADA, BOB = Address("ada@kitchen.test", "Ada"), Address("bob@table.test", "Bob")
LOGO = Attachment(name="logo.png", content=b"\x89PNG\0", type="image/png", content_id="logo")
MENU = Attachment(name="menü.pdf", content=b"%PDF-1", type="application/pdf")


def letter(**fields: Any) -> EmailMessage:
    """Write a message from Ada to Bob."""
    return EmailMessage(**{"sender": ADA, "to": (BOB,), "subject": "Soup ☃", "text": "It is ready.", **fields})


class Office:
    """A Fairlead, and what it told."""

    def __init__(self, settings: str, environment: Mapping[str, str], *, random: float = 0.0) -> None:
        self.events: list[Event] = []
        ports = Ports(random=lambda: random, events=EventStream((self.events.append,)))
        self.fl = Fairlead(parse_settings(settings), source="test.toml", environment=environment, ports=ports)

    async def send(
        self, message: EmailMessage, *names: str, reference: str = "", deadline_s: float = 10.0
    ) -> EmailReceipt:
        """Send by these connections, or else by all of them."""
        receipt: EmailReceipt = await self.ask("send", message, *names, reference=reference, deadline_s=deadline_s)
        return receipt

    async def ask(self, name: str, argument: Any, *names: str, reference: str = "", deadline_s: float = 10.0) -> Any:
        """Call an operation of the capability."""

        def begin(connection: Connection) -> Operation[Any]:
            made = connection.provider.capabilities["email"](connection.name)
            made.reference = reference
            operation: Operation[Any] = getattr(made, name)(argument)
            return operation

        candidates = [self.fl.connection(each) for each in names or self.fl.connections]
        wanted = Wanted(operation=f"email.{name}", candidates=candidates, begin=begin, deadline_s=deadline_s)
        return await self.fl._calls.make(wanted, CallOptions())

    def told(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind."""
        return [each for each in self.events if isinstance(each, kind)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fl.close()
