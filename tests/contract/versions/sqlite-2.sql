BEGIN TRANSACTION;
CREATE TABLE fairlead_health (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    checked_at REAL NOT NULL
);
INSERT INTO "fairlead_health" VALUES(1,1767268800.0);
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
INSERT INTO "fairlead_jobs" VALUES(1,'event','acme','paid',2,0,'done',X'','s',9,1767268800.0,1767268800.0,1767268800.0,1,0,0,NULL,NULL,NULL,0.0,X'',X'00FF',X'72');
INSERT INTO "fairlead_jobs" VALUES(2,'event','acme','paid',3,0,'dead',X'',NULL,NULL,1767268800.0,1767268800.0,1767268800.0,1,0,0,NULL,NULL,'e: no',0.0,X'',X'',X'72');
INSERT INTO "fairlead_jobs" VALUES(3,'event','acme','paid',1,0,'late',X'','s',3,1767268800.0,1767268800.0,NULL,1,0,0,'a',1767268820.0,NULL,0.0,X'6D',X'',X'');
INSERT INTO "fairlead_jobs" VALUES(4,'event','acme','paid',0,0,'later',X'66',NULL,NULL,1767268800.0,1767268850.0,NULL,0,0,0,NULL,NULL,NULL,0.0,X'',X'',X'');
INSERT INTO "fairlead_jobs" VALUES(5,'event','acme','paid',0,1,'behind',X'','s',10,1767268800.0,1767268800.0,NULL,0,0,0,NULL,NULL,NULL,0.0,X'',X'',X'');
CREATE TABLE fairlead_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO "fairlead_migrations" VALUES(1,'0001_jobs.sql');
INSERT INTO "fairlead_migrations" VALUES(2,'0002_snapshots.sql');
CREATE TABLE fairlead_snapshots (
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    subject TEXT NOT NULL,
    position REAL NOT NULL,
    due_at REAL,
    changed_at REAL NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, source, key)
) WITHOUT ROWID;

CREATE INDEX fairlead_snapshots_subject ON fairlead_snapshots (kind, subject);
CREATE INDEX fairlead_snapshots_due ON fairlead_snapshots (kind, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX fairlead_snapshots_changed ON fairlead_snapshots (kind, changed_at);
INSERT INTO fairlead_snapshots VALUES('thing','acme','t1','ada',7.0,1700000000.0,1.0,X'00ff');
CREATE TABLE fairlead_rejects (
    hour INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_at REAL NOT NULL,
    sample TEXT NOT NULL,
    PRIMARY KEY (hour, source, reason)
) WITHOUT ROWID;
INSERT INTO "fairlead_rejects" VALUES(490908,'acme','signature',2,1767268800.0,'x');
CREATE TABLE fairlead_subjects (
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    newest INTEGER NOT NULL,
    PRIMARY KEY (kind, source, subject)
) WITHOUT ROWID;
INSERT INTO "fairlead_subjects" VALUES('event','acme','s',9);
CREATE TABLE fairlead_tallies (
    kind TEXT NOT NULL,
    hour INTEGER NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, hour, source, name, what)
) WITHOUT ROWID;
INSERT INTO "fairlead_tallies" VALUES('event',490908,'acme','paid','added',5);
INSERT INTO "fairlead_tallies" VALUES('event',490908,'acme','paid','dead',1);
INSERT INTO "fairlead_tallies" VALUES('event',490908,'acme','paid','done',1);
CREATE UNIQUE INDEX fairlead_jobs_key ON fairlead_jobs (kind, key, source) WHERE key IS NOT NULL;
CREATE INDEX fairlead_jobs_due ON fairlead_jobs (kind, run_at) WHERE state = 0 AND parked = 0;
CREATE INDEX fairlead_jobs_lease ON fairlead_jobs (kind, lease_until) WHERE state = 1;
CREATE INDEX fairlead_jobs_open ON fairlead_jobs (kind, source, subject, state, parked, position)
    WHERE subject IS NOT NULL AND state < 2;
CREATE INDEX fairlead_jobs_over ON fairlead_jobs (kind, state, finished_at) WHERE state >= 2;
CREATE INDEX fairlead_jobs_created ON fairlead_jobs (created_at);
CREATE INDEX fairlead_jobs_subject ON fairlead_jobs (kind, subject) WHERE subject IS NOT NULL;
CREATE INDEX fairlead_jobs_state ON fairlead_jobs (kind, state);
CREATE INDEX fairlead_jobs_source ON fairlead_jobs (kind, state, source);
CREATE INDEX fairlead_jobs_name ON fairlead_jobs (kind, state, name);
CREATE INDEX fairlead_jobs_source_name ON fairlead_jobs (kind, state, source, name);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('fairlead_jobs',5);
COMMIT;
