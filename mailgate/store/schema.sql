-- The schema as it stands after all migrations; a test keeps the two equal.
-- Times are instants: integer microseconds since 1970 UTC. Ids are integers; where an id is named in a token it is drawn, not counted.
-- STRICT tables, foreign keys on, secure_delete on (see db.py). What is secret is sealed by the vault before it comes here.

-- What each key gives for a constant: a process with another key refuses to start.
CREATE TABLE key_check (
    key     TEXT PRIMARY KEY,               -- 'address', 'lookup', 'links', 'web'
    proof   BLOB NOT NULL
) STRICT;

-- The tree of senders.
CREATE TABLE school (
    id      INTEGER PRIMARY KEY,
    slug    TEXT NOT NULL UNIQUE,
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('elementary', 'junior', 'compulsory'))
) STRICT;

CREATE TABLE class_ (
    id        INTEGER PRIMARY KEY,
    school_id INTEGER NOT NULL REFERENCES school (id),
    grade     INTEGER NOT NULL CHECK (grade BETWEEN 1 AND 9),
    slug      TEXT NOT NULL,
    name      TEXT NOT NULL,
    UNIQUE (school_id, grade, slug)
) STRICT;

-- Printed on the sheet; says which school and keeps outsiders out.
CREATE TABLE registration_code (
    id         INTEGER PRIMARY KEY,
    school_id  INTEGER NOT NULL REFERENCES school (id),
    code       TEXT NOT NULL UNIQUE,
    valid_from INTEGER NOT NULL,
    valid_to   INTEGER                      -- NULL: until it is rotated
) STRICT;

-- A child: from the roster, or from a registration that matched nobody there.
CREATE TABLE pupil (
    id        INTEGER PRIMARY KEY,
    school_id INTEGER NOT NULL REFERENCES school (id),
    grade     INTEGER CHECK (grade BETWEEN 1 AND 9),        -- NULL: not known yet
    class_id  INTEGER REFERENCES class_ (id),               -- NULL: not known yet
    name      TEXT NOT NULL,
    kana      TEXT NOT NULL,
    kana_key  TEXT NOT NULL,                                -- kana without blanks, normalised: what makes two entries one child
    on_roster INTEGER NOT NULL CHECK (on_roster IN (0, 1))
) STRICT;
CREATE INDEX pupil_by_kana ON pupil (school_id, kana_key);
CREATE INDEX pupil_by_class ON pupil (class_id);
CREATE INDEX pupil_of_roster ON pupil (school_id) WHERE on_roster = 1;   -- has this school a roster at all?

-- One mailbox, stored once. Rows are made by the mail side and the commands only: the web side has no key for them.
CREATE TABLE address (
    id         INTEGER PRIMARY KEY,         -- drawn
    sealed     BLOB NOT NULL,               -- AES-256-GCM of the address as first seen, bound to this id
    lookup     BLOB NOT NULL UNIQUE,        -- HMAC-SHA-256 of its identity
    provider   TEXT NOT NULL,
    site       TEXT NOT NULL,               -- destinations that share one mail system
    created_at INTEGER NOT NULL,
    paused_at  INTEGER,                     -- ordinary mail is stopped; alarms are not
    no_url     INTEGER NOT NULL DEFAULT 0 CHECK (no_url IN (0, 1)),  -- its phone refuses mails with links: none in any mail to it
    language   TEXT NOT NULL DEFAULT 'ja' CHECK (language IN ('ja', 'en', 'easy'))   -- 'easy': plain Japanese with readings
) STRICT;

-- One login ID and password for one pupil. What letters name by its id is AUTOINCREMENT: after an erasure nobody else gets that id.
CREATE TABLE registration (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    login_id      TEXT NOT NULL,            -- as its owner writes it
    login_key     TEXT NOT NULL UNIQUE,     -- as it is compared
    password_hash TEXT NOT NULL,            -- argon2id
    pupil_id      INTEGER NOT NULL REFERENCES pupil (id),
    name          TEXT NOT NULL,            -- the pupil's, as the owner writes it; a roster may write it otherwise
    kana          TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX registration_by_pupil ON registration (pupil_id);

CREATE TABLE contact (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    registration_id INTEGER NOT NULL REFERENCES registration (id),
    address_id      INTEGER NOT NULL REFERENCES address (id),
    kind            TEXT NOT NULL CHECK (kind IN ('guardian', 'pupil')),
    label           TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    proven_at       INTEGER,                -- the first receipt from it
    asked_again_at  INTEGER,                -- not proven for a day: the completion mail went once more
    UNIQUE (registration_id, address_id)
) STRICT;
CREATE INDEX contact_by_address ON contact (address_id);
CREATE INDEX contact_unproven ON contact (created_at) WHERE proven_at IS NULL AND asked_again_at IS NULL;

-- What answers a blank mail. Link and short code are derived from the id when the mail is made; only a keyed digest of the code is kept.
CREATE TABLE invitation (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id      BLOB NOT NULL UNIQUE,      -- 120 drawn bits
    code_index   BLOB NOT NULL,             -- keyed digest of the short code
    address_id   INTEGER NOT NULL REFERENCES address (id),
    issued_at    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    wrong_codes  INTEGER NOT NULL DEFAULT 0, -- registration codes tried in vain
    burnt_at     INTEGER                    -- too many of them
) STRICT;
CREATE INDEX invitation_by_address ON invitation (address_id, issued_at);
CREATE UNIQUE INDEX invitation_by_code ON invitation (code_index);

-- Which registrations came by which invitation: what a second press of the button finds.
CREATE TABLE invitation_use (
    invitation_id   INTEGER NOT NULL REFERENCES invitation (id),
    registration_id INTEGER NOT NULL REFERENCES registration (id),
    used_at         INTEGER NOT NULL,
    PRIMARY KEY (invitation_id, registration_id)
) STRICT;
CREATE INDEX invitation_use_by_registration ON invitation_use (registration_id);

-- A login. The cookie holds a secret; here is its SHA-256.
CREATE TABLE session (
    id              BLOB PRIMARY KEY,
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL,       -- two hours later it is over
    by_code         INTEGER NOT NULL CHECK (by_code IN (0, 1))      -- came by a one-time code: may set a password without the old one
) STRICT;
CREATE INDEX session_by_registration ON session (registration_id);
CREATE INDEX session_by_age ON session (seen_at);

-- A browser that logged in before: its failures are counted apart. The cookie's secret stays, here is its SHA-256.
CREATE TABLE known_browser (
    id              BLOB NOT NULL,
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    seen_at         INTEGER NOT NULL,
    PRIMARY KEY (id, registration_id)
) STRICT;
CREATE INDEX known_browser_by_registration ON known_browser (registration_id);

-- A try that was wrong, or that is being looked at, once for each of what it counts for: keyed digests of ID and network, of either, of a browser.
CREATE TABLE login_failure (
    id        INTEGER PRIMARY KEY,
    key       BLOB NOT NULL,
    failed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_failure_by_key ON login_failure (key, failed_at);
CREATE INDEX login_failure_by_age ON login_failure (failed_at);

-- Handed over by the school: stands in for the password once. Only a keyed digest is kept; a new one takes the place of the old.
CREATE TABLE one_time_code (
    registration_id INTEGER PRIMARY KEY REFERENCES registration (id) ON DELETE CASCADE,
    code_index      BLOB NOT NULL,
    issued_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    wrong_tries     INTEGER NOT NULL DEFAULT 0,
    used_at         INTEGER
) STRICT;

-- "I forgot my password": a link by mail to the guardians of a registration.
CREATE TABLE password_link (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id         BLOB NOT NULL UNIQUE,   -- 120 drawn bits
    registration_id INTEGER NOT NULL REFERENCES registration (id) ON DELETE CASCADE,
    issued_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    used_at         INTEGER
) STRICT;
CREATE INDEX password_link_by_registration ON password_link (registration_id, issued_at);

-- A change of a registration's contacts. What it needs to be undone is kept for 72 hours; one that names neither an old address nor a new
-- contact is news only (to the other registrations of the pupil, or after a withdrawal). Contacts come back under their old id, and an id
-- is never another's, so the ids here stand for themselves: they refer to no row that must exist.
CREATE TABLE change (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id         BLOB NOT NULL UNIQUE,   -- 120 drawn bits
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

-- When an address was last answered automatically, for the limits.
CREATE TABLE answer (
    address_id  INTEGER NOT NULL REFERENCES address (id),
    answered_at INTEGER NOT NULL
) STRICT;
CREATE INDEX answer_by_address ON answer (address_id, answered_at);

-- Keyed digests of mails already acted on: the same mail again changes nothing.
CREATE TABLE seen_mail (
    digest  BLOB PRIMARY KEY,
    seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX seen_mail_by_age ON seen_mail (seen_at);

CREATE TABLE staff (
    id                  INTEGER PRIMARY KEY,
    address_id          INTEGER NOT NULL UNIQUE REFERENCES address (id),
    name                TEXT NOT NULL,
    role                TEXT NOT NULL CHECK (role IN ('board', 'head', 'school', 'helpdesk', 'operator')),
    scope               TEXT NOT NULL,      -- canonical audience text
    pin_hash            TEXT NOT NULL,      -- argon2id
    submission_hash     TEXT NOT NULL,      -- argon2id
    totp_sealed         BLOB NOT NULL,      -- with the key of the web side
    created_at          INTEGER NOT NULL,
    disabled_at         INTEGER,
    pin_failures        INTEGER NOT NULL DEFAULT 0,
    pin_refused_until   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One message to one audience. Text is sealed: a signature in it may hold an address.
CREATE TABLE broadcast (
    id           INTEGER PRIMARY KEY,
    link_id      BLOB NOT NULL UNIQUE,      -- 120 drawn bits; /send/TOKEN is signed from it
    state        TEXT NOT NULL CHECK (state IN ('drafted', 'confirmed', 'sending', 'done', 'halted', 'dropped', 'lapsed', 'cancelled')),
    kind         TEXT NOT NULL CHECK (kind IN ('emergency', 'alert', 'education', 'notice', 'drill')),
    lane         INTEGER NOT NULL,
    staff_id     INTEGER NOT NULL REFERENCES staff (id),
    source       BLOB NOT NULL,             -- keyed digest of the staff mail it came from
    subject      BLOB NOT NULL,             -- sealed
    text         BLOB NOT NULL,             -- sealed
    cut          BLOB NOT NULL,             -- sealed: what was taken for a signature
    created_at   INTEGER NOT NULL,
    confirmed_at INTEGER,
    expires_at   INTEGER,                   -- set on confirming: nothing of it is handed over later
    expanded_at  INTEGER,                   -- the number of recipients is final
    recipients   INTEGER NOT NULL DEFAULT 0,
    done_at      INTEGER
) STRICT;
CREATE INDEX broadcast_by_source ON broadcast (source);
CREATE INDEX broadcast_in_work ON broadcast (state) WHERE state IN ('confirmed', 'sending');

-- The frozen audience: the union of its parts.
CREATE TABLE broadcast_part (
    broadcast_id INTEGER NOT NULL REFERENCES broadcast (id),
    part         TEXT NOT NULL,             -- canonical audience text
    staff        INTEGER NOT NULL CHECK (staff IN (0, 1)),  -- 1: to staff, 0: to guardians
    level        TEXT,                      -- 'elementary' or 'junior'
    school_id    INTEGER REFERENCES school (id),
    grade        INTEGER,
    class_id     INTEGER REFERENCES class_ (id),
    PRIMARY KEY (broadcast_id, part)
) STRICT;

-- Every mail that is still owed, broadcast or single, and what became of it.
CREATE TABLE outbox (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used twice: tokens are made from it
    broadcast_id   INTEGER REFERENCES broadcast (id),       -- NULL: a single letter
    letter         TEXT,                    -- kind of a single letter
    params         TEXT,                    -- its ids, JSON; never an address, a token or a name
    address_id     INTEGER REFERENCES address (id),         -- NULL: ended, and its address was erased
    lane           INTEGER NOT NULL CHECK (lane IN (0, 1, 2)),
    state          TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'handed_over', 'delivered', 'bounced', 'failed', 'expired', 'cancelled')),
    created_at     INTEGER NOT NULL,        -- Date: of every copy of it
    due_at         INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    attempt        INTEGER NOT NULL DEFAULT 0,
    faults         INTEGER NOT NULL DEFAULT 0,              -- exceptions caught while working on this very row
    lease_node     TEXT,
    leased_until   INTEGER,
    handed_over_at INTEGER,
    ended_at       INTEGER,                 -- when the state became final, or was corrected by a notice
    phase          TEXT,                    -- of the last answer: connect ... eod, internal, notice
    reply_code     INTEGER,
    enhanced       TEXT,
    reply_text     TEXT,                    -- masked
    CHECK ((broadcast_id IS NULL) <> (letter IS NULL)),
    UNIQUE (broadcast_id, address_id)
) STRICT;
CREATE INDEX outbox_owed ON outbox (lane, due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_open ON outbox (broadcast_id) WHERE state IN ('pending', 'leased');
CREATE INDEX outbox_by_address ON outbox (address_id);
CREATE INDEX outbox_by_letter ON outbox (letter, created_at) WHERE letter IS NOT NULL;

-- "I have read this". Stands beside a delivery's state and is none.
CREATE TABLE receipt (
    outbox_id    INTEGER PRIMARY KEY REFERENCES outbox (id),
    received_at  INTEGER NOT NULL,
    way          TEXT NOT NULL CHECK (way IN ('reply', 'press'))
) STRICT;

-- Mails kept whole, sealed: what made us stumble (quarantine), and what goes on to the operator.
CREATE TABLE kept_mail (
    id          INTEGER PRIMARY KEY,        -- drawn
    reason      TEXT NOT NULL,              -- 'operator', or the word for what went wrong
    sealed      BLOB NOT NULL,
    octets      INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- Every decision of a person, append-only.
CREATE TABLE audit (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,                 -- 'staff:3', 'operator', 'guardian', 'gate'
    event    TEXT NOT NULL,
    subject  TEXT NOT NULL,                 -- 'broadcast:7'
    detail   TEXT NOT NULL                  -- JSON; never an address, a name or a token
) STRICT;

-- The last time that the gate knows it lived through; one row. What of the machine's clock is believed at the next start goes by it.
CREATE TABLE moment (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    at      INTEGER NOT NULL,
    boot    TEXT NOT NULL,                  -- of the machine; '': not known
    uptime  INTEGER NOT NULL,               -- of that boot, in microseconds
    limit_  INTEGER NOT NULL                -- how far the clock may still jump forth while that boot settles; 0: not at all
) STRICT;

-- The last starts of the sender.
CREATE TABLE life (
    id       INTEGER PRIMARY KEY,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER,                       -- NULL: it runs, or it died
    careful  INTEGER NOT NULL CHECK (careful IN (0, 1))     -- 1: it takes one delivery at a time
) STRICT;
