-- What a thing at a vendor was like when it was last looked at.
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
