-- Jobs, the newest position of each subject, and counts. What is long stands last, so that the rest is read without it.
CREATE TABLE fairlead_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- an id is never given twice: a late claim must not fit another job
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    -- Due, but behind another of its subject; whoever ends that one lifts it.
    parked INTEGER NOT NULL DEFAULT 0,
    key TEXT,
    fingerprint BLOB NOT NULL,
    subject TEXT,
    position INTEGER,
    created_at REAL NOT NULL,
    run_at REAL NOT NULL,
    finished_at REAL,
    generation INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until REAL,
    error TEXT,
    progress REAL NOT NULL DEFAULT 0,
    mark BLOB NOT NULL DEFAULT X'',
    payload BLOB NOT NULL,
    result BLOB NOT NULL DEFAULT X''
);

CREATE UNIQUE INDEX fairlead_jobs_key ON fairlead_jobs (kind, key, source) WHERE key IS NOT NULL;
CREATE INDEX fairlead_jobs_due ON fairlead_jobs (kind, run_at) WHERE state = 0 AND parked = 0;
CREATE INDEX fairlead_jobs_lease ON fairlead_jobs (kind, lease_until) WHERE state = 1;
CREATE INDEX fairlead_jobs_open ON fairlead_jobs (kind, source, subject, state, parked, position)
    WHERE subject IS NOT NULL AND state < 2;
CREATE INDEX fairlead_jobs_over ON fairlead_jobs (kind, state, finished_at) WHERE state >= 2;

-- For lists: each ends with the id, which is how they are ordered.
CREATE INDEX fairlead_jobs_created ON fairlead_jobs (created_at);
CREATE INDEX fairlead_jobs_subject ON fairlead_jobs (kind, subject) WHERE subject IS NOT NULL;
CREATE INDEX fairlead_jobs_state ON fairlead_jobs (kind, state);
CREATE INDEX fairlead_jobs_source ON fairlead_jobs (kind, state, source);
CREATE INDEX fairlead_jobs_name ON fairlead_jobs (kind, state, name);
CREATE INDEX fairlead_jobs_source_name ON fairlead_jobs (kind, state, source, name);

CREATE TABLE fairlead_subjects (
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    newest INTEGER NOT NULL,
    PRIMARY KEY (kind, source, subject)
) WITHOUT ROWID;

CREATE TABLE fairlead_tallies (
    kind TEXT NOT NULL,
    hour INTEGER NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, hour, source, name, what)
) WITHOUT ROWID;

CREATE TABLE fairlead_rejects (
    hour INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_at REAL NOT NULL,
    sample TEXT NOT NULL,
    PRIMARY KEY (hour, source, reason)
) WITHOUT ROWID;

CREATE TABLE fairlead_health (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    checked_at REAL NOT NULL
);
