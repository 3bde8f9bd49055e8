"""What a caller may wish of a call, in `fairlead-*` headers."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.errors import InvalidArgumentError
from fairlead.runtime.by_name import parse_number
from fairlead.runtime.wanted import CallOptions


def read_wishes(fields: Mapping[str, str], *, has_key: bool) -> CallOptions:
    """Read the options of a call; raise `InvalidArgumentError` for those that cannot be.

    A drill is for callers that have shown a key: nobody else may send the traffic away from a vendor.
    """
    found: CallOptions = {"correlation_id": fields.get("fairlead-correlation-id")}
    if "fairlead-deadline-ms" in fields:
        found["deadline_s"] = parse_number(fields["fairlead-deadline-ms"], "fairlead-deadline-ms") / 1000
    if "fairlead-sticky-key" in fields:
        found["sticky_key"] = fields["fairlead-sticky-key"]
    if "fairlead-drill" in fields:
        if not has_key:
            raise InvalidArgumentError("A drill is for callers with a key.", hint="Give the gateway api_keys.")
        found["drill"] = tuple(filter(None, (name.strip() for name in fields["fairlead-drill"].split(","))))
    return found
