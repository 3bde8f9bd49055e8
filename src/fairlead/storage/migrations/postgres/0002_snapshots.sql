-- What a thing at a vendor was like when it was last looked at.
CREATE TABLE snapshots (
    kind text NOT NULL,
    source text NOT NULL,
    key text NOT NULL,
    subject text NOT NULL,
    position double precision NOT NULL,
    due_at double precision,
    changed_at double precision NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (kind, source, key)
);

CREATE INDEX snapshots_subject ON snapshots (kind, subject);
CREATE INDEX snapshots_due ON snapshots (kind, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX snapshots_changed ON snapshots (kind, changed_at);
