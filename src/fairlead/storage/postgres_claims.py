"""Claiming on PostgreSQL. It waits for no lock that another holds: what is locked is left for the next time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.storage.job_rows import CRASHED
from fairlead.storage.jobs import MOST_CRASHES, Job, JobState
from fairlead.storage.postgres_jobs import ALL, lift, with_newest
from fairlead.storage.postgres_turn import Subject, Turn, columns_of

# A claim looks so often for others, where all that it found had to be parked; the next claim goes on.
_MOST_LOOKS = 10
_AT_ONCE = 200

_LOST = """
SELECT lost.* FROM unnest($1::text[]) AS k, LATERAL (
    SELECT id, kind, source, subject FROM {s}.jobs AS j WHERE j.kind = k AND state = 1 AND lease_until <= $2
    ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED) AS lost
"""
_TAKE_BACK = """
UPDATE {s}.jobs SET crashes = crashes + 1, owner = NULL, lease_until = NULL,
    state = CASE WHEN crashes + 1 >= $2 THEN 3 ELSE 0 END,
    error = CASE WHEN crashes + 1 >= $2 THEN $3 END,
    finished_at = CASE WHEN crashes + 1 >= $2 THEN $4::float8 END,
    run_at = CASE WHEN crashes < 1 THEN run_at ELSE greatest(run_at, $4 + 2.0 ^ (crashes - 1)) END
WHERE id = ANY ($1::bigint[]) RETURNING kind, source, name, subject, state, crashes
"""
_DUE = """
SELECT due.* FROM unnest($1::text[]) AS k, LATERAL (
    SELECT id, kind, source, subject, run_at FROM {s}.jobs AS j
    WHERE j.kind = k AND state = 0 AND NOT parked AND run_at <= $2
    ORDER BY run_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) AS due
"""
_HEADS = """
SELECT u.kind, u.source, u.subject,
    EXISTS (SELECT 1 FROM {s}.jobs AS j WHERE j.kind = u.kind AND j.source = u.source AND j.subject = u.subject
        AND j.state = 1 AND j.state < 2) AS is_running, parked.id AS parked, parked.position AS parked_at,
    free.id AS free, free.position AS free_at
FROM unnest($1::text[], $2::text[], $3::text[]) AS u (kind, source, subject)
LEFT JOIN LATERAL (SELECT id, position FROM {s}.jobs AS j WHERE j.kind = u.kind AND j.source = u.source
    AND j.subject = u.subject AND j.state = 0 AND j.state < 2 AND j.parked
    ORDER BY position NULLS FIRST, id LIMIT 1) AS parked ON true
LEFT JOIN LATERAL (SELECT id, position FROM {s}.jobs AS j WHERE j.kind = u.kind AND j.source = u.source
    AND j.subject = u.subject AND j.state = 0 AND j.state < 2 AND NOT j.parked AND run_at <= $4
    ORDER BY position NULLS FIRST, id LIMIT 1) AS free ON true
"""
_FREE = "SELECT id FROM {s}.jobs WHERE id = ANY ($1::bigint[]) AND state = 0 ORDER BY id FOR UPDATE SKIP LOCKED"
_TAKE = f"""
UPDATE {{s}}.jobs AS j SET state = 1, parked = false, generation = generation + 1, owner = $2, lease_until = $3
WHERE id = ANY ($1::bigint[]) RETURNING {ALL}
"""  # noqa: S608  # our own words


async def claim(turn: Turn, kinds: Sequence[str], owner: str, lease_s: float, limit: int) -> list[Job]:
    """Take what is due, in the order in which it became due."""
    wanted = sorted(set(kinds))
    await _take_back(turn, wanted, limit)
    taken: list[Any] = []
    for look in range(_MOST_LOOKS):
        room = limit - len(taken)
        most = max(room, _AT_ONCE if look else 0)
        due = await turn.fetch(_DUE, wanted, turn.now, most)
        due.sort(key=lambda row: (row["run_at"], row["id"]))
        chosen, parked, has_skipped = await _choose(turn, due, room)
        if parked:
            await turn.fetch("UPDATE {s}.jobs SET parked = true WHERE id = ANY ($1::bigint[])", parked)
        if chosen:
            taken += await turn.fetch(_TAKE, chosen, owner, turn.now + lease_s)
        if len(taken) == limit or has_skipped or len(due) < most:
            break
    return await with_newest(turn, taken)


async def _choose(turn: Turn, due: Sequence[Any], room: int) -> tuple[list[int], list[int], bool]:
    """Return what can begin, what is to be parked, and whether something was left because another has its lock."""
    subjects = {_subject(row) for row in due if row["subject"] is not None}
    locked = await turn.try_lock(subjects)
    heads: dict[Subject, int] = {}
    running: set[Subject] = set()
    for row in await turn.fetch(_HEADS, *columns_of(sorted(locked), 3), turn.now) if locked else ():
        if row["is_running"]:
            running.add(_subject(row))
        elif (first := _first(row)) is not None:
            heads[_subject(row)] = first
    free = {row["id"] for row in await turn.fetch(_FREE, sorted(heads.values()))} if heads else set()
    chosen: list[int] = []
    parked: list[int] = []
    has_skipped = False
    for row in due:
        if len(chosen) == room:
            break
        if row["subject"] is None:
            chosen.append(row["id"])
            continue
        subject = _subject(row)
        first = heads.get(subject)
        if subject in running or (first in free and first != row["id"]):
            parked.append(row["id"])
        elif subject not in locked or first not in free:
            has_skipped = True
        if first is not None and first in free and first not in chosen:
            chosen.append(first)
    return chosen, parked, has_skipped


def _subject(row: Any) -> Subject:
    return row["kind"], row["source"], row["subject"]


def _first(row: Any) -> int | None:
    """Return which of a subject comes first: the first of those that are parked, or of the others."""
    heads = [(row[f"{which}_at"], row[which]) for which in ("parked", "free") if row[which] is not None]
    return min(heads, key=lambda head: (head[0] is not None, head[0] or 0, head[1]), default=(None, None))[1]


async def _take_back(turn: Turn, kinds: Sequence[str], most: int) -> None:
    """Let what a dead process left wait again, or set it aside where that happened too often."""
    lost = await turn.fetch(_LOST, kinds, turn.now, most)
    if not lost:
        return
    locked = await turn.try_lock(_subject(row) for row in lost if row["subject"] is not None)
    mine = [row["id"] for row in lost if row["subject"] is None or _subject(row) in locked]
    rows = await turn.fetch(_TAKE_BACK, mine, MOST_CRASHES, CRASHED, turn.now)
    dead = [row for row in rows if row["state"] == JobState.DEAD]
    for row in dead:
        turn.count(row["kind"], row["source"], row["name"], "dead")
    waiting = [row for row in rows if row["state"] == JobState.DEAD or row["crashes"] > 1]  # see `wait_after`
    await lift(turn, [(row["kind"], row["source"], row["subject"]) for row in waiting])
