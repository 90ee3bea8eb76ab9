CREATE SEQUENCE longshore_version AS BIGINT;

CREATE TABLE longshore_attempt (
    job TEXT COLLATE "C" NOT NULL,
    number INTEGER NOT NULL,
    record BYTEA NOT NULL,
    PRIMARY KEY (job, number)
);

CREATE TABLE longshore_job (
    id TEXT COLLATE "C" NOT NULL,
    queue TEXT COLLATE "C" NOT NULL,
    task TEXT COLLATE "C" NOT NULL,
    state SMALLINT NOT NULL,
    lane SMALLINT NOT NULL,
    priority SMALLINT NOT NULL,
    created BIGINT NOT NULL,
    due BIGINT NOT NULL,
    generation INTEGER DEFAULT '0' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    max_attempts INTEGER,
    crashes INTEGER DEFAULT '0' NOT NULL,
    max_crashes INTEGER NOT NULL,
    snoozes INTEGER DEFAULT '0' NOT NULL,
    holder TEXT COLLATE "C",
    started BIGINT,
    ended BIGINT,
    expires BIGINT,
    settled INTEGER,
    settled_by TEXT COLLATE "C",
    cancel_asked INTEGER DEFAULT '0' NOT NULL,
    awaited INTEGER DEFAULT '0' NOT NULL,
    releases INTEGER DEFAULT '0' NOT NULL,
    tries INTEGER DEFAULT '0' NOT NULL,
    unique_key TEXT COLLATE "C",
    unique_slot TEXT COLLATE "C",
    unique_scope INTEGER DEFAULT '2' NOT NULL,
    unique_until BIGINT,
    "group" TEXT COLLATE "C",
    key TEXT COLLATE "C",
    turns INTEGER DEFAULT '1' NOT NULL,
    turn INTEGER,
    lax INTEGER DEFAULT '0' NOT NULL,
    if_parent_fails INTEGER DEFAULT '1' NOT NULL,
    codec TEXT COLLATE "C" NOT NULL,
    result_codec TEXT COLLATE "C",
    digest BYTEA NOT NULL,
    parents TEXT,
    notes TEXT,
    payload BYTEA NOT NULL,
    cursor BYTEA,
    result BYTEA,
    PRIMARY KEY (id)
);

CREATE TABLE longshore_meta (
    name TEXT COLLATE "C" NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE longshore_parent (
    parent TEXT COLLATE "C" NOT NULL,
    child TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (parent, child)
);

CREATE TABLE longshore_record (
    kind TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    expires BIGINT,
    value BYTEA NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE INDEX longshore_aside ON longshore_job (queue, task, priority DESC, due, id, lane) WHERE lane = 2;

CREATE INDEX longshore_ended ON longshore_job (state, ended, queue, task) WHERE state >= 5 OR ended IS NOT NULL;

CREATE INDEX longshore_future ON longshore_job (due, queue, task, lane) WHERE lane = 3;

CREATE INDEX longshore_grouped ON longshore_job ("group", state, created, id) WHERE "group" IS NOT NULL;

CREATE INDEX longshore_held ON longshore_job (holder) WHERE state IN (3, 4) OR holder IS NOT NULL;

CREATE INDEX longshore_keyed ON longshore_job (key, state, created, id) WHERE key IS NOT NULL;

CREATE INDEX longshore_listed ON longshore_job (created, id);

CREATE INDEX longshore_overdue ON longshore_job (expires) WHERE expires IS NOT NULL AND state IN (1, 2);

CREATE INDEX longshore_ready ON longshore_job (queue, priority DESC, due, id, task, lane) WHERE lane = 1;

CREATE INDEX longshore_releasing ON longshore_job (created, id) WHERE releases = 1;

CREATE UNIQUE INDEX longshore_slot ON longshore_job (unique_slot) WHERE unique_slot IS NOT NULL;

CREATE UNIQUE INDEX longshore_turn ON longshore_job (key, turn) WHERE turn IS NOT NULL;

CREATE INDEX longshore_unique_key ON longshore_job (unique_key) WHERE unique_key IS NOT NULL;

CREATE INDEX longshore_waiting ON longshore_job (queue, task, state) WHERE state IN (1);

CREATE INDEX longshore_child ON longshore_parent (child);

CREATE INDEX longshore_lapsing ON longshore_record (expires) WHERE expires IS NOT NULL;

INSERT INTO longshore_meta (name, value) VALUES ('version', 1), ('readable_from', 1), ('records', 0);
