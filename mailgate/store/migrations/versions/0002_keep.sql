-- From the gate of the first schema to one that keeps registrations.
-- SQLite cannot change a column: a table that changes is set aside by its rows, made anew, and filled again. Foreign keys are off here.

ALTER TABLE address ADD COLUMN no_url INTEGER NOT NULL DEFAULT 0 CHECK (no_url IN (0, 1));
ALTER TABLE address ADD COLUMN language TEXT NOT NULL DEFAULT 'ja' CHECK (language IN ('ja', 'en', 'easy'));

CREATE INDEX pupil_of_roster ON pupil (school_id) WHERE on_roster = 1;
CREATE INDEX invitation_use_by_registration ON invitation_use (registration_id);

CREATE TABLE before_registration AS
SELECT r.id, r.login_id, r.login_key, r.password_hash, r.pupil_id, p.name, p.kana, r.created_at
  FROM registration r JOIN pupil p ON p.id = r.pupil_id;
DROP TABLE registration;
CREATE TABLE registration (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    login_id      TEXT NOT NULL,
    login_key     TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    pupil_id      INTEGER NOT NULL REFERENCES pupil (id),
    name          TEXT NOT NULL,
    kana          TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
INSERT INTO registration (id, login_id, login_key, password_hash, pupil_id, name, kana, created_at)
SELECT id, login_id, login_key, password_hash, pupil_id, name, kana, created_at FROM before_registration;
DROP TABLE before_registration;
CREATE INDEX registration_by_pupil ON registration (pupil_id);

CREATE TABLE before_contact AS SELECT * FROM contact;
DROP TABLE contact;
CREATE TABLE contact (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    registration_id INTEGER NOT NULL REFERENCES registration (id),
    address_id      INTEGER NOT NULL REFERENCES address (id),
    kind            TEXT NOT NULL CHECK (kind IN ('guardian', 'pupil')),
    label           TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    proven_at       INTEGER,
    asked_again_at  INTEGER,
    UNIQUE (registration_id, address_id)
) STRICT;
INSERT INTO contact (id, registration_id, address_id, kind, label, created_at, proven_at)
SELECT id, registration_id, address_id, kind, label, created_at, proven_at FROM before_contact;
DROP TABLE before_contact;
CREATE INDEX contact_by_address ON contact (address_id);
CREATE INDEX contact_unproven ON contact (created_at) WHERE proven_at IS NULL AND asked_again_at IS NULL;

CREATE TABLE before_invitation AS SELECT * FROM invitation;
DROP TABLE invitation;
CREATE TABLE invitation (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id      BLOB NOT NULL UNIQUE,
    code_index   BLOB NOT NULL,
    address_id   INTEGER NOT NULL REFERENCES address (id),
    issued_at    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    wrong_codes  INTEGER NOT NULL DEFAULT 0,
    burnt_at     INTEGER
) STRICT;
INSERT INTO invitation (id, link_id, code_index, address_id, issued_at, expires_at, wrong_codes, burnt_at)
SELECT id, link_id, code_index, address_id, issued_at, expires_at, wrong_codes, burnt_at FROM before_invitation;
DROP TABLE before_invitation;
CREATE INDEX invitation_by_address ON invitation (address_id, issued_at);
CREATE UNIQUE INDEX invitation_by_code ON invitation (code_index);

CREATE TABLE before_outbox AS SELECT * FROM outbox;
DROP TABLE outbox;
CREATE TABLE outbox (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    broadcast_id   INTEGER REFERENCES broadcast (id),
    letter         TEXT,
    params         TEXT,
    address_id     INTEGER REFERENCES address (id),
    lane           INTEGER NOT NULL CHECK (lane IN (0, 1, 2)),
    state          TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'handed_over', 'delivered', 'bounced', 'failed', 'expired', 'cancelled')),
    created_at     INTEGER NOT NULL,
    due_at         INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    attempt        INTEGER NOT NULL DEFAULT 0,
    faults         INTEGER NOT NULL DEFAULT 0,
    lease_node     TEXT,
    leased_until   INTEGER,
    handed_over_at INTEGER,
    ended_at       INTEGER,
    phase          TEXT,
    reply_code     INTEGER,
    enhanced       TEXT,
    reply_text     TEXT,
    CHECK ((broadcast_id IS NULL) <> (letter IS NULL)),
    UNIQUE (broadcast_id, address_id)
) STRICT;
INSERT INTO outbox (id, broadcast_id, letter, params, address_id, lane, state, created_at, due_at, expires_at, attempt, faults,
    lease_node, leased_until, handed_over_at, ended_at, phase, reply_code, enhanced, reply_text)
SELECT id, broadcast_id, letter, params, address_id, lane, state, created_at, due_at, expires_at, attempt, faults,
    lease_node, leased_until, handed_over_at, ended_at, phase, reply_code, enhanced, reply_text FROM before_outbox;
DROP TABLE before_outbox;
CREATE INDEX outbox_owed ON outbox (lane, due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_leased ON outbox (leased_until) WHERE state = 'leased';
CREATE INDEX outbox_open ON outbox (broadcast_id) WHERE state IN ('pending', 'leased');
CREATE INDEX outbox_by_address ON outbox (address_id);
CREATE INDEX outbox_by_letter ON outbox (letter, created_at) WHERE letter IS NOT NULL;

CREATE TABLE session (
    id              BLOB PRIMARY KEY,
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL,
    by_code         INTEGER NOT NULL CHECK (by_code IN (0, 1))
) STRICT;
CREATE INDEX session_by_registration ON session (registration_id);
CREATE INDEX session_by_age ON session (seen_at);

CREATE TABLE known_browser (
    id              BLOB NOT NULL,
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    seen_at         INTEGER NOT NULL,
    PRIMARY KEY (id, registration_id)
) STRICT;
CREATE INDEX known_browser_by_registration ON known_browser (registration_id);

CREATE TABLE login_failure (
    id        INTEGER PRIMARY KEY,
    key       BLOB NOT NULL,
    failed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_failure_by_key ON login_failure (key, failed_at);
CREATE INDEX login_failure_by_age ON login_failure (failed_at);

CREATE TABLE one_time_code (
    registration_id INTEGER PRIMARY KEY REFERENCES registration (id) ON DELETE CASCADE,
    code_index      BLOB NOT NULL,
    issued_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    wrong_tries     INTEGER NOT NULL DEFAULT 0,
    used_at         INTEGER
) STRICT;

CREATE TABLE password_link (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id         BLOB NOT NULL UNIQUE,
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    issued_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    used_at         INTEGER
) STRICT;
CREATE INDEX password_link_by_registration ON password_link (registration_id, issued_at);

CREATE TABLE change (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id         BLOB NOT NULL UNIQUE,
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    kind            TEXT NOT NULL CHECK (kind IN ('added', 'replaced', 'removed')),
    old_contact_id  INTEGER,
    old_address_id  INTEGER REFERENCES address (id),
    old_label       TEXT NOT NULL,
    old_kind        TEXT NOT NULL,
    old_created_at  INTEGER,
    old_proven_at   INTEGER,
    new_contact_id  INTEGER,
    made_at         INTEGER NOT NULL,
    undone_at       INTEGER
) STRICT;
CREATE INDEX change_by_registration ON change (registration_id);
CREATE INDEX change_by_old_address ON change (old_address_id) WHERE old_address_id IS NOT NULL;
CREATE INDEX change_by_age ON change (made_at);
