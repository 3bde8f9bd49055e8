"""Webhooks in: verify, persist, acknowledge. What is done about an event comes later: no vendor waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

import msgspec

from fairlead.errors import FairleadError, UnknownConnectionError, WebhookError, WebhookReason
from fairlead.model.event import Notice
from fairlead.model.fetch import Fetch
from fairlead.model.headers import Headers, Pairs
from fairlead.model.incoming import Incoming, Reply
from fairlead.model.secret import Secret
from fairlead.observe.events import WebhookReceived, WebhookRejected
from fairlead.runtime.connection import Connection
from fairlead.runtime.consequences import Consequences
from fairlead.runtime.deliver import EVENT, Kept
from fairlead.runtime.lookup import Lookups
from fairlead.runtime.ports import Ports
from fairlead.runtime.rejects import Rejects
from fairlead.spec.webhook import Webhooks
from fairlead.storage.jobs import JobStore, NewJob
from fairlead.webhooks.verify import Verdict, verify

# Whoever keeps an event does not need what proved it; and it may be a password, in the schemes without a signature.
_NOT_KEPT = frozenset({"authorization", "cookie", "proxy-authorization"})
# No id of a vendor's is as long; a longer one is made up, and the store's index need not carry it.
_LONGEST_KEY = 512
# How long a vendor should wait before it tries again, in seconds, where we could not keep what it sent.
_COME_BACK_S = "30"
#: What a delivery to nobody is answered. It is counted without the name, which is whatever a stranger makes it.
NO_CONNECTION, NO_WEBHOOKS = "unknown_connection", "no_webhooks"

#: The kind of jobs that used nonces are: when its time has come, one may be forgotten.
NONCE = "nonce"
# Longer than any vendor's signature counts.
_NONCE_S = 5 * 86_400.0

_STATUS = {WebhookReason.MALFORMED: 400, WebhookReason.NO_SECRET: 503}


class Inbox:
    """Takes deliveries. `secrets` gives what a connection's deliveries are verified with: several values of each."""

    def __init__(
        self,
        store: JobStore,
        ports: Ports,
        *,
        find_connection: Callable[[str], Connection],
        lookups: Lookups,
        rejects: Rejects,
        consequences: Consequences,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._ports = ports
        self._find_connection = find_connection
        self._lookups = lookups
        self._rejects = rejects
        self._consequences = consequences
        self._wake = wake

    async def receive(self, name: str, incoming: Incoming) -> Reply:
        """Keep what a delivery brings, and return the answer to it: a good one means that it is on disk.

        It raises nothing: what is refused, and what cannot be kept, is an answer too.
        """
        started = self._ports.clock.monotonic()
        try:
            connection = self._find_connection(name)
            webhooks = connection.provider.webhooks
            if webhooks is None:
                return self.refuse(name, NO_WEBHOOKS, 404, incoming)
            verdict = await self._verify(connection, webhooks, incoming)
            if verdict.reply is not None:
                return verdict.reply
            notices = webhooks.split(incoming)
            jobs = self._jobs(name, connection, incoming, notices)
            followed = self._consequences.draw(connection, notices, now=self._ports.clock.wall())
            if verdict.nonce is not None:
                await self._use_up(name, verdict.nonce, jobs)
            added = await self._store.add([*jobs, *followed.jobs]) if jobs else ()
            await self._consequences.follow(name, followed, added)
        except UnknownConnectionError:
            return self.refuse("", NO_CONNECTION, 404, incoming)
        except WebhookError as error:
            return self.refuse(name, error.reason, _STATUS.get(error.reason, 401), incoming)
        except FairleadError as error:  # our store, or the vendor's server with its certificate, does not answer
            return _problem(503, error.code, (("retry-after", _COME_BACK_S),))
        new = sum(each.is_new for each in added[: len(jobs)])
        if new:
            self._wake()
        seconds = self._ports.clock.monotonic() - started
        self._ports.events.emit(WebhookReceived(connection=name, events=new, repeated=len(jobs) - new, seconds=seconds))
        return webhooks.acknowledge

    def refuse(self, source: str, reason: str, status: int, incoming: Incoming | None = None) -> Reply:
        """Count what is turned away, and return the answer to it."""
        sample = f"{incoming.method}, {len(incoming.body)} bytes" if incoming else ""
        self._rejects.count(source, reason, sample)
        self._ports.events.emit(WebhookRejected(connection=source, reason=reason))
        return _problem(status, reason)

    async def settle(self) -> None:
        """Write down what is counted so far; raise `StorageError`."""
        await self._rejects.write()

    async def _verify(self, connection: Connection, webhooks: Webhooks, incoming: Incoming) -> Verdict:
        """Return what verification says, with look-ups where it asks for them."""
        now = self._ports.clock.wall()
        steps = verify(webhooks.scheme, incoming, webhook_secrets(connection, webhooks), now=now)
        try:
            wanted: Fetch = next(steps)
            while True:
                wanted = steps.send(await self._lookups.fetch(wanted))
        except StopIteration as over:
            verdict: Verdict = over.value
            return verdict
        finally:
            steps.close()

    async def _use_up(self, name: str, nonce: str, jobs: Sequence[NewJob]) -> None:
        """Write down that a nonce was used, and for which events; raise `WebhookError` where it was for others.

        It is written before they are: a delivery that was kept in part is the same one when it comes again.
        """
        events = sha256(b"\0".join(sorted((each.key or "").encode() for each in jobs))).digest()
        (used,) = await self._store.add([
            NewJob(
                kind=NONCE,
                source=name,
                name="nonce",
                key=sha256(nonce.encode()).hexdigest(),
                fingerprint=events,
                run_at=self._ports.clock.wall() + _NONCE_S,
            )
        ])  # fmt: skip
        if used.job.fingerprint != events:
            raise WebhookError.of(WebhookReason.REPLAYED)

    def _jobs(self, name: str, connection: Connection, incoming: Incoming, notices: Sequence[Notice]) -> list[NewJob]:
        """Make the row of each event."""
        if any(not 0 < len(each.key) <= _LONGEST_KEY for each in notices):
            raise WebhookError.of(WebhookReason.MALFORMED)
        now = self._ports.clock.wall()
        headers = _kept_headers(incoming.headers)
        return [
            NewJob(
                kind=EVENT,
                source=name,
                name=each.type,
                run_at=now,
                key=each.key,
                subject=each.subject,
                position=each.position,
                payload=msgspec.msgpack.encode(Kept(connection.provider.id, headers, each.body or incoming.body)),
            )
            for each in notices
        ]


def webhook_secrets(connection: Connection, webhooks: Webhooks) -> Mapping[str, Sequence[Secret]]:
    """Return what deliveries are verified with: by the name of each credential its value, and those that count too."""
    also = connection.made_of.webhook_secrets
    found: dict[str, Sequence[Secret]] = {}
    for name in webhooks.secrets:
        own = (connection.credentials[name],) if name in connection.credentials else ()
        found[name] = (*own, *also.get(name, ()))
    return found


def _kept_headers(headers: Headers) -> Pairs:
    return tuple((name, value) for name, value in headers.pairs if name.lower() not in _NOT_KEPT)


def _problem(status: int, code: str, headers: Pairs = ()) -> Reply:
    """Return a short answer (RFC 9457); whoever is refused learns the reason, and nothing else."""
    body = msgspec.json.encode({"type": "about:blank", "status": status, "code": code})
    return Reply(status, (("content-type", "application/problem+json"), *headers), body)
