-- Schema version 1, as it was created. Never changed once it was released.
CREATE TABLE longshore_attempt (
	job VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	record BLOB NOT NULL,
	PRIMARY KEY (job, number)
);
CREATE TABLE longshore_job (
	seq INTEGER NOT NULL,
	id VARCHAR NOT NULL,
	queue VARCHAR NOT NULL,
	task VARCHAR NOT NULL,
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
	holder VARCHAR,
	started BIGINT,
	ended BIGINT,
	expires BIGINT,
	settled INTEGER,
	settled_by VARCHAR,
	cancel_asked INTEGER DEFAULT '0' NOT NULL,
	awaited INTEGER DEFAULT '0' NOT NULL,
	releases INTEGER DEFAULT '0' NOT NULL,
	tries INTEGER DEFAULT '0' NOT NULL,
	unique_key VARCHAR,
	unique_slot VARCHAR,
	unique_scope INTEGER DEFAULT '2' NOT NULL,
	unique_until BIGINT,
	"group" VARCHAR,
	"key" VARCHAR,
	turns INTEGER DEFAULT '1' NOT NULL,
	turn INTEGER,
	lax INTEGER DEFAULT '0' NOT NULL,
	if_parent_fails INTEGER DEFAULT '1' NOT NULL,
	codec VARCHAR NOT NULL,
	result_codec VARCHAR,
	digest BLOB NOT NULL,
	parents TEXT,
	notes TEXT,
	payload BLOB NOT NULL,
	cursor BLOB,
	result BLOB,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE TABLE longshore_meta (
	name VARCHAR NOT NULL,
	value BIGINT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE longshore_parent (
	parent VARCHAR NOT NULL,
	child VARCHAR NOT NULL,
	PRIMARY KEY (parent, child)
)
 WITHOUT ROWID;
CREATE TABLE longshore_record (
	kind VARCHAR NOT NULL,
	"key" VARCHAR NOT NULL,
	version BIGINT NOT NULL,
	expires BIGINT,
	value BLOB NOT NULL,
	PRIMARY KEY (kind, "key")
);
CREATE INDEX longshore_aside ON longshore_job (queue, task, priority DESC, due, id, lane) WHERE lane = 2;
CREATE INDEX longshore_ended ON longshore_job (state, ended, queue, task) WHERE state >= 5 OR ended IS NOT NULL;
CREATE INDEX longshore_future ON longshore_job (due, queue, task, lane) WHERE lane = 3;
CREATE INDEX longshore_grouped ON longshore_job ("group", state, created, id) WHERE "group" IS NOT NULL;
CREATE INDEX longshore_held ON longshore_job (holder) WHERE state IN (3, 4) OR holder IS NOT NULL;
CREATE INDEX longshore_keyed ON longshore_job ("key", state, created, id) WHERE "key" IS NOT NULL;
CREATE INDEX longshore_listed ON longshore_job (created, id);
CREATE INDEX longshore_overdue ON longshore_job (expires) WHERE expires IS NOT NULL AND state IN (1, 2);
CREATE INDEX longshore_ready ON longshore_job (queue, priority DESC, due, id, task, lane) WHERE lane = 1;
CREATE INDEX longshore_releasing ON longshore_job (created, id) WHERE releases = 1;
CREATE UNIQUE INDEX longshore_slot ON longshore_job (unique_slot) WHERE unique_slot IS NOT NULL;
CREATE UNIQUE INDEX longshore_turn ON longshore_job ("key", turn) WHERE turn IS NOT NULL;
CREATE INDEX longshore_unique_key ON longshore_job (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX longshore_waiting ON longshore_job (queue, task, state) WHERE state IN (1);
CREATE INDEX longshore_child ON longshore_parent (child);
CREATE INDEX longshore_lapsing ON longshore_record (expires) WHERE expires IS NOT NULL;
INSERT INTO longshore_meta VALUES ('version', 1);
INSERT INTO longshore_meta VALUES ('readable_from', 1);
INSERT INTO longshore_meta VALUES ('records', 0);
