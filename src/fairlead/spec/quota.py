"""When a vendor's quota starts anew."""

from datetime import UTC, datetime, timedelta

from fairlead.spec.provider import QuotaReset


def seconds_to_reset(reset: QuotaReset, *, now: float) -> float:
    """Return the seconds from `now` (since 1970) to the next reset."""
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if reset is QuotaReset.MIDNIGHT_UTC:
        return (midnight + timedelta(days=1)).timestamp() - now
    first = midnight.replace(day=1)
    return (first + timedelta(days=32)).replace(day=1).timestamp() - now
