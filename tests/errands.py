"""A vendor whose requests act, in memory behind the transport's seam: what it did can be counted.

It is the package of somebody else, with a capability of its own: `run` an errand once, `keep` a note under an
idempotency key, `tell` somebody something that nobody can ask about later, and `move` in two steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, Unpack

import msgspec

from fairlead.model.answer import Answer
from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.runtime.facade import Facade
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.wanted import LedgerOptions
from fairlead.spec.answer import decode
from fairlead.spec.provider import Provider
from fairlead.spec.settlement import Absent, Acting, Case, Found, Seen, Settlement, Unknowable
from fairlead.storage.jobs import Ending, Job, JobStore
from fairlead.testing.clock import FakeClock
from scripted import REFUSED, RESET, TIMEOUT, Line, World, answer, build_world

#: The vendor's look-up shows an errand only so long after it was done, in seconds.
VISIBLE_AFTER_S = 30.0
WINDOW_S = 600.0


class Errand(Answer, frozen=True, kw_only=True):
    """What the vendor has done."""

    id: str


class Errands(Acting):
    """The capability."""

    EFFECTS: ClassVar[Mapping[str, Effect]] = {
        "run": Effect.ONCE, "keep": Effect.IDEMPOTENT, "tell": Effect.ONCE, "move": Effect.ONCE, "check": Effect.READ
    }  # fmt: skip

    def __init__(self, connection: str) -> None:
        self.connection = connection

    def run(self, text: str) -> Operation[Errand]:
        raise NotImplementedError

    def keep(self, text: str) -> Operation[Errand]:
        raise NotImplementedError

    def tell(self, text: str) -> Operation[Errand]:
        raise NotImplementedError

    def move(self, text: str) -> Operation[Errand]:
        raise NotImplementedError

    def check(self, identifier: str) -> Operation[Errand]:
        raise NotImplementedError


class AcmeErrands(Errands):
    """The adapter."""

    SETTLE: ClassVar[Mapping[str, Settlement | Unknowable]] = {
        "run": Settlement(look="look", visible_after_s=VISIBLE_AFTER_S, until_s=7200.0),
        "move": Settlement(look="look", visible_after_s=VISIBLE_AFTER_S, until_s=7200.0),
        "tell": Unknowable("The vendor keeps no list of what was told."),
    }

    def run(self, text: str) -> Operation[Errand]:
        return decode((yield self._post("/run", text)), Errand)

    def tell(self, text: str) -> Operation[Errand]:
        return decode((yield self._post("/tell", text)), Errand)

    def keep(self, text: str) -> Operation[Errand]:
        return decode((yield self._post("/keep", text, Effect.IDEMPOTENT)), Errand)

    def move(self, text: str) -> Operation[Errand]:
        yield self._post("/keep", text, Effect.IDEMPOTENT)
        return decode((yield self._post("/run", text)), Errand)

    def check(self, identifier: str) -> Operation[Errand]:
        return decode((yield Request.get(f"/errands/{identifier}")), Errand)

    def look(self, case: Case) -> Operation[Seen]:
        found = decode((yield Request.get("/errands", query={"reference": case.reference})), list[Errand])
        return Found(found[0]) if found else Absent()

    def _post(self, path: str, text: str, effect: Effect = Effect.ONCE) -> Request:
        return Request.post(path, json={"text": text, "reference": self.reference}, effect=effect)


PROVIDER = Provider(
    id="acme",
    title="Acme Errands",
    docs_url="https://acme.example/docs",
    api_version="1",
    base_url="https://acme.test",
    credentials=(),
    auth=(),
    capabilities={"errands": AcmeErrands},
    idempotency_header="idempotency-key",
    idempotency_window_s=WINDOW_S,
)


class ErrandsFacade(Facade):
    """The names that an application knows."""

    async def do(self, operation: str, text: str, **options: Unpack[LedgerOptions]) -> Any:
        return await self._call(operation, (text,), None, options)


class Killed(BaseException):  # nobody may catch it: the process is gone
    """The process was killed at that moment."""


class Effects(msgspec.Struct):
    """One thing that the vendor did."""

    path: str
    text: str
    reference: str
    key: str | None
    at: float


_UNDONE: Mapping[str, Response | Broken] = {
    "lose": TIMEOUT, "refuse": REFUSED, "wrong": answer(400, {"message": "no"})
}  # fmt: skip


class Vendor:
    """Acts, as its next mood says: `fine`, `drop` (acts, and the answer is lost), `lose` (does nothing, and no answer
    comes), `refuse`, `wrong` (400), `kill_before` and `kill_after` (it is the caller that dies).
    """

    def __init__(self, clock: FakeClock, *, honours_keys: bool = True) -> None:
        self._clock = clock
        self._honours_keys = honours_keys
        self.moods: list[str] = []
        self.done: list[Effects] = []
        #: Is called with each request that acts, before it does.
        self.watching: Callable[[Request], object] = lambda _: None
        #: Its look-up is out of order.
        self.is_silent = False
        self.looks = 0

    def count(self, text: str, path: str | None = None) -> int:
        """Return how often something was done."""
        return sum(each.text == text and path in {None, each.path} for each in self.done)

    def __call__(self, request: Request) -> Response | Broken:
        """Answer a request."""
        if request.effect is Effect.READ:
            return self._read(request)
        mood = self.moods.pop(0) if self.moods else "fine"
        if mood == "kill_before":
            raise Killed
        if mood in {"lose", "refuse", "wrong"}:
            return _UNDONE[mood]
        made = self._act(request)
        if mood == "kill_after":
            raise Killed
        return RESET if mood == "drop" else answer(201, {"id": str(made)})

    def _act(self, request: Request) -> int:
        self.watching(request)
        asked = msgspec.json.decode(request.body)
        key = dict(request.headers).get("idempotency-key")
        if key and self._honours_keys:
            for place, each in enumerate(self.done):
                if each.key == key and self._clock.wall() - each.at < WINDOW_S:
                    return place
        self.done.append(Effects(request.path, asked["text"], asked.get("reference", ""), key, self._clock.wall()))
        return len(self.done) - 1

    def _read(self, request: Request) -> Response:
        if self.is_silent:
            return answer(503)
        if request.path != "/errands":
            return answer(content={"id": request.path.rpartition("/")[2]})
        self.looks += 1
        wanted = dict(request.query)["reference"]
        return answer(
            content=[
                {"id": str(place)}
                for place, each in enumerate(self.done)
                if each.reference == wanted and each.path == "/run"
                and self._clock.wall() - each.at >= VISIBLE_AFTER_S
            ]
        )  # fmt: skip


@cache
def install() -> None:
    """Install the package, so that it is found as any other."""
    info = Path(mkdtemp(prefix="acme-")) / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fairlead.providers]\nacme = {__name__}:PROVIDER\n")
    sys.path.append(str(info.parent))


CONFIG = '[connections.acme]\nprovider = "acme"\nretry = { max_attempts = 2 }\nbreaker = { min_attempts = 100 }\n'
NO_RETRY = CONFIG.replace("max_attempts = 2", "max_attempts = 1")


_numbers = count(1)


def _new_id() -> str:
    """Return a name that no other process has either."""
    return f"id-{next(_numbers)}"


class Shop:
    """A process with a vendor: its Fairlead, and a hand to work off the jobs with."""

    def __init__(
        self, store: JobStore | None = None, vendor: Vendor | None = None, *, clock: FakeClock | None = None,
        settings: str = CONFIG, seed: int = 1, others: Mapping[str, Line] = {},
    ) -> None:  # fmt: skip
        install()
        self.clock = clock or FakeClock()
        self.vendor = vendor or Vendor(self.clock)
        self.world: World = build_world(
            settings, {"acme": self.vendor, **others}, clock=self.clock, store=store, seed=seed, ids=_new_id
        )
        self.fl: Fairlead = self.world.fl
        self.fl.desk.wake = lambda: None  # the test itself works off the jobs
        self.store = store or self.fl.desk.store
        self.errands = ErrandsFacade(partial(self.fl.route, "errands"), self.fl._calls)

    async def turn(self, owner: str = "worker", *, kinds: Sequence[str] = ("call", "settle")) -> list[Job]:
        """Work off what is due, once; return what was."""
        jobs = await self.store.claim(kinds, owner, lease_s=30.0, limit=10)
        for job in jobs:
            ending = await self.fl._durable.runners[job.kind](job)
            assert isinstance(ending, Ending)
            await self.store.finish(ending)
        return list(jobs)

    async def work(self, *, most_s: float = 86_400.0, until: Callable[[], bool] = lambda: False) -> None:
        """Work off everything, letting the time pass from one to the next."""
        end = self.clock.wall() + most_s
        while self.clock.wall() <= end and not until():
            if await self.turn():
                continue
            wait_s = await self.store.until_due(("call", "settle"))
            if wait_s is None:
                return
            self.clock.advance(wait_s + 0.001)
