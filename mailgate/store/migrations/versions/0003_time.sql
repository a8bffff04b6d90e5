-- The time that was lived through, and the starts of the sender.

CREATE TABLE moment (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    at      INTEGER NOT NULL,
    boot    TEXT NOT NULL,
    uptime  INTEGER NOT NULL,
    limit_  INTEGER NOT NULL
) STRICT;

CREATE TABLE life (
    id       INTEGER PRIMARY KEY,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER,
    careful  INTEGER NOT NULL CHECK (careful IN (0, 1))
) STRICT;
