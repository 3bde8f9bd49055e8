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


def period_of(reset: QuotaReset, *, now: float) -> int:
    """Return the number of the period that `now` (since 1970) is in: it grows by one at each reset."""
    moment = datetime.fromtimestamp(now, UTC)
    return moment.toordinal() if reset is QuotaReset.MIDNIGHT_UTC else moment.year * 12 + moment.month
