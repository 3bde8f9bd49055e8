"""Addresses that no mail may go to, whichever vendor said so: a hard bounce or a complaint at one is honoured at all.

Each is a row of the store of jobs that nobody ever does. It is kept together with the event that it follows from, in
one commit; taken off the list it is cancelled, and the next bounce puts it back. Who unsubscribes is not put on it by
itself: what they still want, as the answer to a lost password, only the application knows.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from fairlead.capabilities.mailbox import Address
from fairlead.capabilities.news.email import Bounce, EmailNews
from fairlead.errors import InvalidArgumentError
from fairlead.model.event import Event
from fairlead.model.ports import Clock
from fairlead.storage.jobs import Added, Job, JobState, JobStore, NewJob, Query

SUPPRESSION = "suppression"
#: Why an address may be on the list.
REASONS = ("bounced", "complained", "unsubscribed", "by_hand")
# Later than anybody looks.
_NEVER = 32_503_680_000.0
_LOT = 1000


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """One address. `since` is in seconds since 1970; `connection` and `detail` are of the event it follows from."""

    email: str
    reason: str
    since: float
    tenant: str | None = None
    connection: str | None = None
    detail: str | None = None


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    since: float
    connection: str | None = None
    detail: str | None = None


def suppression_of(event: Event, connection: str, *, now: float) -> NewJob | None:
    """Return what an event says of its address: a row to be kept with it; None where nothing follows."""
    news = event.data if isinstance(event.data, EmailNews) else None
    is_hard = event.type == "email.bounced" and news is not None and news.bounce is Bounce.HARD
    reason = "bounced" if is_hard else "complained" if event.type == "email.complained" else None
    if reason is None or not event.recipient:
        return None
    detail = (news.detail or news.status) if news else None
    return _row(event.recipient, reason, None, _Kept(event.occurred_at or now, connection, detail))


async def put_back(store: JobStore, added: Iterable[Added]) -> None:
    """Put those on the list again that had been taken off it."""
    for each in added:
        job = each.job
        if job.kind == SUPPRESSION and not each.is_new and job.state is JobState.CANCELLED:
            await store.again(Query(kind=SUPPRESSION, source=job.source, key=job.key, limit=1), run_at=_NEVER)


class Suppressions:
    """The list. A tenant has its own, beside the one that holds for all."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, emails: Sequence[str], tenant: str | None = None) -> dict[str, str]:
        """Return why each of these addresses may not be written to; those that may are left out."""
        places = [(email, source) for email in dict.fromkeys(emails) for source in dict.fromkeys(("", tenant or ""))]
        looks = (self._store.find_key(SUPPRESSION, source, email.lower()) for email, source in places)
        jobs = await asyncio.gather(*looks)  # what is read together costs the store one turn
        return {
            email: job.name
            for (email, _), job in zip(places, jobs, strict=True)
            if job is not None and not job.state.is_over
        }

    async def add(self, email: str, *, reason: str = "by_hand", tenant: str | None = None, detail: str = "") -> bool:
        """Put an address on the list; False where it is there already."""
        kept = _Kept(self._clock.wall(), None, detail or None)
        return bool(await self._add([_row(Address.read(email).email, reason, tenant, kept)]))

    async def remove(self, email: str, *, tenant: str | None = None) -> bool:
        """Take an address off the list, until it bounces or complains again; False where it is not on it."""
        job = await self._store.find_key(SUPPRESSION, tenant or "", Address.read(email).email.lower())
        return job is not None and await self._store.cancel(job.id)

    async def list(self, *, tenant: str | None = None, limit: int = 100, before: int | None = None) -> Sequence[Job]:
        """Return rows of the list, newest first; `describe` reads one."""
        query = Query(kind=SUPPRESSION, source=tenant or "", state=JobState.WAITING, limit=limit, before=before)
        return await self._store.list(query)

    async def export(self, *, tenant: str | None = None) -> str:
        """Return the whole list as CSV: email, reason, since, connection, detail."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(("email", "reason", "since", "connection", "detail"))
        before: int | None = None
        while lot := await self.list(tenant=tenant, limit=_LOT, before=before):
            before = lot[-1].id
            for job in lot:
                whole = await self._store.find(job.id)
                each = describe(whole or job)
                table.writerow((each.email, each.reason, each.since, each.connection or "", each.detail or ""))
        return text.getvalue()

    async def load(self, text: str, *, tenant: str | None = None) -> int:
        """Put a list in CSV on this one, by its columns `email` and `reason`; return how many are new."""
        rows = list(csv.DictReader(io.StringIO(text)))
        if rows and "email" not in rows[0]:
            raise InvalidArgumentError("The list has no column `email`.", hint="Its first line names the columns.")
        now = self._clock.wall()
        new = [
            _row(
                Address.read(each["email"]).email,
                each.get("reason") or "by_hand",
                tenant,
                _Kept(_number(each.get("since")) or now, each.get("connection") or None, each.get("detail") or None),
            )
            for each in rows
        ]
        return sum([await self._add(new[at : at + _LOT]) for at in range(0, len(new), _LOT)])

    async def _add(self, rows: Sequence[NewJob]) -> int:
        added = await self._store.add(rows)
        await put_back(self._store, added)
        return sum(each.is_new or each.job.state is JobState.CANCELLED for each in added)


def describe(job: Job) -> Suppression:
    """Return what a row of the list says."""
    kept = msgspec.msgpack.decode(job.payload, type=_Kept) if job.payload else _Kept(job.created_at)
    return Suppression(
        email=job.key or "",
        reason=job.name,
        since=kept.since,
        tenant=job.source or None,
        connection=kept.connection,
        detail=kept.detail,
    )


def _row(email: str, reason: str, tenant: str | None, kept: _Kept) -> NewJob:
    if reason not in REASONS:
        raise InvalidArgumentError(f"{reason!r} is no reason.", hint=f"There are: {', '.join(REASONS)}.")
    return NewJob(
        kind=SUPPRESSION,
        source=tenant or "",
        name=reason,
        key=email.lower(),
        run_at=_NEVER,
        payload=msgspec.msgpack.encode(kept),
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
