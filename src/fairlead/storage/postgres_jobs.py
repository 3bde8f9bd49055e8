"""The statements of the store of jobs on PostgreSQL: what many ask for is one statement each, over arrays.

A job that is due but must wait for another of its subject is *parked*, as on SQLite (`sqlite_claims`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.errors import InvalidArgumentError, StorageError
from fairlead.storage.job_rows import COLUMNS, OVER, begin_job, check_effect, read_job
from fairlead.storage.jobs import Added, Claim, Ending, Job, JobState, NewJob, Query, Reject
from fairlead.storage.postgres_reads import fetch_planned, select_ids
from fairlead.storage.postgres_turn import Subject, Turn, columns_of

ALL = ", ".join(f"j.{name}" for name in COLUMNS)
# A key that is there when one is added, and gone when it is looked for, was deleted just then: it is added again.
_TRIES = 3

_ADD = """
WITH given AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('{s}.jobs', 'id')) AS id, u.*
    FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::bytea[], $7::text[], $8::bigint[],
        $9::float8[], $10::text[], $11::float8[], $12::bytea[]) WITH ORDINALITY
        AS u (kind, source, name, state, key, fingerprint, subject, position, run_at, owner, lease_until, payload, nth)
), kept AS (
    INSERT INTO {s}.jobs (id, kind, source, name, state, key, fingerprint, subject, position, created_at, run_at,
        generation, owner, lease_until, payload)
    SELECT id, kind, source, name, state, key, fingerprint, subject, position, $13, run_at, state, owner, lease_until,
        payload
    FROM given ORDER BY kind, source, key, id
    ON CONFLICT (kind, key, source) WHERE key IS NOT NULL DO NOTHING
    RETURNING id
)
SELECT given.id, kept.id IS NOT NULL FROM given LEFT JOIN kept USING (id) ORDER BY nth
"""
_OF_KEYS = (
    f"SELECT {ALL} FROM unnest($1::text[], $2::text[], $3::text[]) AS u (kind, source, key) "  # noqa: S608  # our own
    "JOIN {s}.jobs AS j ON j.kind = u.kind AND j.key = u.key AND j.source = u.source"
)
_NEWEST = (
    "SELECT s.kind, s.source, s.subject, s.newest "
    "FROM unnest($1::text[], $2::text[], $3::text[]) AS u (kind, source, subject) JOIN {s}.subjects AS s "
    "ON s.kind = u.kind AND s.source = u.source AND s.subject = u.subject"
)


# --- Adding -------------------------------------------------------------------------------------------------------


async def add(turn: Turn, jobs: Sequence[NewJob]) -> list[Added]:
    """Keep jobs; what is merged from several callers comes in one piece."""
    added: list[Added | None] = [None] * len(jobs)
    left = list(range(len(jobs)))
    for _ in range(_TRIES):
        for at, one in zip(left, await _add(turn, [jobs[at] for at in left]), strict=True):
            added[at] = one
        left = [at for at in left if added[at] is None]
        if not left:
            break
    whole = [one for one in added if one is not None]
    if len(whole) < len(jobs):
        raise StorageError("A key was added and deleted over and over.", hint="Delete what is old less eagerly.")
    for one in whole:
        turn.count(one.job.kind, one.job.source, one.job.name, "added" if one.is_new else "repeated")
    turn.has_news = turn.has_news or any(one.is_new and one.job.state is JobState.WAITING for one in whole)
    return whole


async def _add(turn: Turn, jobs: Sequence[NewJob]) -> list[Added | None]:
    if not jobs:
        return []
    begins = [new.owner is not None and new.subject is None for new in jobs]
    rows = [
        (
            new.kind,
            new.source,
            new.name,
            int(at_once),
            new.key,
            new.fingerprint,
            new.subject,
            new.position,
            new.run_at,
            new.owner if at_once else None,
            turn.now + new.lease_s if at_once else None,
            new.payload,
        )
        for new, at_once in zip(jobs, begins, strict=True)
    ]
    kept = await turn.fetch(_ADD, *columns_of(rows, 12), turn.now)
    keys = [(new.kind, new.source, new.key) for new, (_, is_new) in zip(jobs, kept, strict=True) if not is_new]
    known = {}
    if keys:
        found = [read_job(row) for row in await turn.fetch(_OF_KEYS, *columns_of(sorted(set(keys)), 3))]
        known = {(job.kind, job.source, job.key): job for job in found}
    added: list[Added | None] = []
    for new, at_once, (identifier, is_new) in zip(jobs, begins, kept, strict=True):
        job = (
            begin_job(new, identifier, turn.now, begins=at_once)
            if is_new
            else known.get((new.kind, new.source, new.key))
        )
        added.append(Added(job=job, is_new=is_new) if job else None)
    return await _begin_at_once(turn, jobs, added)


async def _begin_at_once(turn: Turn, jobs: Sequence[NewJob], added: Sequence[Added | None]) -> list[Added | None]:
    """Let those begin whose owner waits, and before whom nothing of their subject is to be done."""
    wanted = {
        one.job.id: new
        for new, one in zip(jobs, added, strict=True)
        if one and one.is_new and new.owner and new.subject
    }
    await turn.lock((new.kind, new.source, new.subject or "") for new in wanted.values())
    begun = {}
    for identifier, new in wanted.items():
        rows = await turn.fetch(_BEGIN, identifier, new.owner, turn.now + new.lease_s, turn.now)
        begun.update({job.id: job for job in await with_newest(turn, rows)})
    return [Added(job=begun.get(one.job.id, one.job), is_new=True) if one and one.is_new else one for one in added]


_BEGIN = f"""
UPDATE {{s}}.jobs AS j SET state = 1, generation = 1, owner = $2, lease_until = $3
WHERE id = $1 AND NOT EXISTS (
    SELECT 1 FROM {{s}}.jobs AS o WHERE o.kind = j.kind AND o.source = j.source AND o.subject = j.subject
    AND o.state < 2 AND (o.state = 1 OR o.run_at <= $4 AND
        (coalesce(o.position, -9223372036854775808), o.id) < (coalesce(j.position, -9223372036854775808), j.id)))
RETURNING {ALL}
"""  # noqa: S608  # our own words


async def with_newest(turn: Turn, rows: Sequence[Any]) -> list[Job]:
    """Return the jobs of rows, in the order in which they were due, with what is known of their subjects."""
    subjects = sorted({(row["kind"], row["source"], row["subject"]) for row in rows if row["subject"] is not None})
    newest: dict[tuple[str, str, str | None], int] = {}
    if subjects:
        newest = {(k, s, t): at for k, s, t, at in await turn.fetch(_NEWEST, *columns_of(subjects, 3))}
    jobs = [read_job(row, newest.get((row["kind"], row["source"], row["subject"]))) for row in rows]
    return sorted(jobs, key=lambda job: (job.run_at, job.id))


# --- While one has it ---------------------------------------------------------------------------------------------


async def renew(turn: Turn, claims: Sequence[Claim], lease_s: float) -> list[bool]:
    """Hold on to them."""
    return await _change(turn, claims, "lease_until = $4", turn.now + lease_s)


async def mark(turn: Turn, held: Claim, text: bytes) -> bool:
    """Write down what is about to be sent."""
    return (await _change(turn, [held], "mark = $4", text))[0]


async def report(turn: Turn, held: Claim, progress: float) -> bool:
    """Write down how far it is."""
    return (await _change(turn, [held], "progress = $4", progress))[0]


_CHANGE = """
UPDATE {s}.jobs AS j SET {what} FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u (id, owner, generation)
WHERE j.id = u.id AND j.owner = u.owner AND j.generation = u.generation AND j.state = 1
RETURNING u.id, u.owner, u.generation
"""


async def _change(turn: Turn, claims: Sequence[Claim], what: str, value: object) -> list[bool]:
    rows = await turn.fetch(
        _CHANGE.replace("{what}", what),
        *columns_of([(each.id, each.owner, each.generation) for each in claims], 3),
        value,
    )
    good = {tuple(row) for row in rows}
    return [(each.id, each.owner, each.generation) in good for each in claims]


# --- Ending -------------------------------------------------------------------------------------------------------

_FINISH = """
UPDATE {s}.jobs AS j SET state = u.state, result = u.result, error = u.error, run_at = coalesce(u.run_at, j.run_at),
    finished_at = u.finished_at, failures = j.failures + u.failed, mark = coalesce(u.mark, j.mark),
    owner = NULL, lease_until = NULL
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::smallint[], $5::bytea[], $6::text[], $7::float8[], $8::float8[],
    $9::bigint[], $10::bytea[])
    AS u (id, owner, generation, state, result, error, run_at, finished_at, failed, mark)
WHERE j.id = u.id AND j.owner = u.owner AND j.generation = u.generation AND j.state = 1
RETURNING j.id, j.kind, j.source, j.name, j.subject, j.position, j.state
"""
_RAISE = (
    "INSERT INTO {s}.subjects AS s (kind, source, subject, newest) "
    "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) "
    "ON CONFLICT (kind, source, subject) DO UPDATE SET newest = greatest(s.newest, excluded.newest)"
)
_LIFT = """
UPDATE {s}.jobs SET parked = false WHERE id IN (
    SELECT first.id FROM unnest($1::text[], $2::text[], $3::text[]) AS u (kind, source, subject), LATERAL (
        SELECT id FROM {s}.jobs AS j WHERE j.kind = u.kind AND j.source = u.source AND j.subject = u.subject
        AND j.state = 0 AND j.state < 2 AND j.parked ORDER BY j.position NULLS FIRST, j.id LIMIT 1) AS first)
RETURNING id
"""


async def finish(turn: Turn, endings: Sequence[Ending]) -> list[bool]:
    """End jobs, each of which is there but once, and do what is to happen with them."""
    if any(ending.state is JobState.RUNNING for ending in endings):
        raise InvalidArgumentError("A job does not end by running.")
    await lock_jobs(turn, [ending.claim.id for ending in endings])
    rows = [
        (
            ending.claim.id,
            ending.claim.owner,
            ending.claim.generation,
            int(ending.state),
            ending.result,
            ending.error,
            None if ending.state.is_over else ending.run_at,
            turn.now if ending.state.is_over else None,
            int(ending.has_failed),
            ending.mark,
        )
        for ending in endings
    ]
    ended = {row["id"]: row for row in await turn.fetch(_FINISH, *columns_of(rows, 10))}
    newest: dict[Subject, int] = {}
    for row in ended.values():
        if row["state"] in {JobState.DONE, JobState.DEAD}:
            turn.count(row["kind"], row["source"], row["name"], JobState(row["state"]).name.lower())
        if row["state"] == JobState.DONE and row["subject"] is not None and row["position"] is not None:
            subject = (row["kind"], row["source"], row["subject"])
            newest[subject] = max(row["position"], newest.get(subject, row["position"]))
    if newest:
        await turn.fetch(_RAISE, *columns_of([(*subject, at) for subject, at in sorted(newest.items())], 4))
    await lift(turn, [(row["kind"], row["source"], row["subject"]) for row in ended.values()])
    turn.has_news = turn.has_news or any(row["state"] == JobState.WAITING for row in ended.values())
    for ending in endings:
        if ending.claim.id in ended:
            for effect in ending.effects:
                check_effect(effect.sql)
                await turn.connection.execute(effect.sql, *effect.parameters)
    return [ending.claim.id in ended for ending in endings]


async def lock_jobs(turn: Turn, identifiers: Sequence[int]) -> None:
    """Lock the subjects of jobs: those do not change, so they can be read before."""
    rows = await turn.fetch(
        "SELECT DISTINCT kind, source, subject FROM {s}.jobs WHERE id = ANY ($1::bigint[]) AND subject IS NOT NULL",
        identifiers,
    )
    await turn.lock((row[0], row[1], row[2]) for row in rows)


async def lift(turn: Turn, subjects: Sequence[tuple[str, str, str | None]]) -> None:
    """Let the first of each subject that is parked be found again."""
    wanted = sorted({subject for subject in subjects if subject[2] is not None})
    if wanted and await turn.fetch(_LIFT, *columns_of(wanted, 3)):
        turn.has_news = True


# --- By hand ------------------------------------------------------------------------------------------------------


async def cancel(turn: Turn, identifier: int) -> bool:
    """Cancel what is not over."""
    await lock_jobs(turn, [identifier])
    rows = await turn.fetch(
        "UPDATE {s}.jobs SET state = 4, parked = false, owner = NULL, lease_until = NULL, finished_at = $2 "
        "WHERE id = $1 AND state < 2 RETURNING kind, source, subject",
        identifier,
        turn.now,
    )
    await lift(turn, [(row[0], row[1], row[2]) for row in rows])
    return bool(rows)


async def again(turn: Turn, query: Query, run_at: float) -> int:
    """Make what is over wait again."""
    ids, values = select_ids(query, OVER)
    sql = (
        "UPDATE {s}.jobs SET state = 0, run_at = $1, failures = 0, crashes = 0, error = NULL, finished_at = NULL, "  # noqa: S608
        "progress = 0, mark = CASE WHEN state = 2 THEN ''::bytea ELSE mark END "
        f"WHERE id = ANY (ARRAY({ids})) AND state >= 2 RETURNING id"
    )
    rows = await fetch_planned(turn.connection, sql.replace("{s}", turn.schema), run_at, *values)
    turn.has_news = turn.has_news or bool(rows)
    return len(rows)


_FORGET = """
DELETE FROM {s}.subjects AS s USING unnest($1::text[], $2::text[], $3::text[]) AS u (kind, source, subject)
WHERE s.kind = u.kind AND s.source = u.source AND s.subject = u.subject AND NOT EXISTS (
    SELECT 1 FROM {s}.jobs AS j WHERE j.kind = u.kind AND j.subject = u.subject AND j.source = u.source)
"""


async def prune(turn: Turn, ages_s: Mapping[tuple[str, JobState], float], limit: int) -> int:
    """Delete what was over for longer; what is known of a subject goes with its last job."""
    left = limit
    for (kind, state), age_s in sorted(ages_s.items()):
        if not state.is_over:
            raise InvalidArgumentError("Only jobs that are over are deleted.")
        gone = await turn.fetch(
            "DELETE FROM {s}.jobs WHERE id IN (SELECT id FROM {s}.jobs WHERE kind = $1 AND state = $2 AND state >= 2 "
            "AND finished_at < $3 ORDER BY finished_at LIMIT $4 FOR UPDATE SKIP LOCKED) "
            "RETURNING kind, source, subject",
            kind,
            int(state),
            turn.now - age_s,
            left,
        )
        await turn.fetch(
            _FORGET,
            *columns_of(sorted({tuple(row) for row in gone if row["subject"] is not None}), 3),
        )
        left -= len(gone)
    return limit - left


async def count_rejects(turn: Turn, rejects: Sequence[Reject]) -> None:
    """Add to the counts, in one order."""
    for each in sorted(rejects, key=lambda each: (each.hour, each.source, each.reason)):
        await turn.fetch(
            "INSERT INTO {s}.rejects AS r (hour, source, reason, count, last_at, sample) "
            "VALUES ($1, $2, $3, $4, $5, $6) "
            "ON CONFLICT (hour, source, reason) DO UPDATE SET count = r.count + excluded.count, "
            "last_at = greatest(r.last_at, excluded.last_at), "
            "sample = CASE WHEN excluded.last_at >= r.last_at THEN excluded.sample ELSE r.sample END",
            each.hour,
            each.source,
            each.reason,
            each.count,
            each.last_at,
            each.sample,
        )


async def check(turn: Turn) -> None:
    """Write something that is read by nobody."""
    await turn.fetch(
        "INSERT INTO {s}.health (id, checked_at) VALUES (1, $1) "
        "ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at",
        turn.now,
    )
