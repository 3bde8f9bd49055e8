"""Tell the event stream what reading an answer has found."""

from __future__ import annotations

from fairlead.model.call import Call
from fairlead.observe.events import DriftFound
from fairlead.runtime.connection import Connection
from fairlead.runtime.ports import Ports


def tell_drift(call: Call, connection: Connection, ports: Ports) -> None:
    """Emit what is new of a connection's drift; mostly nothing."""
    for mapping, finding in connection.watch.take():
        ports.events.emit(
            DriftFound(
                call_id=call.id,
                connection=connection.name,
                operation=call.operation,
                mapping=mapping.title,
                version=mapping.version or connection.provider.api_version,
                kind=finding.kind,
                path=finding.path,
                expected=finding.expected,
                found=finding.found,
                is_tolerated=finding.is_tolerated,
            )
        )
