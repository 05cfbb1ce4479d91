-- Times are milliseconds since the epoch, as in the records they come from.

-- What consumers promised, from delivery.subscription.
CREATE TABLE subscription (
    topic text NOT NULL,
    consumer text NOT NULL,
    deadline_ms bigint NOT NULL,
    service text NOT NULL,
    version text NOT NULL,
    state text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (topic, consumer)
);

-- One row per message. Everything else here follows from `waybill`.
CREATE TABLE message (
    id uuid PRIMARY KEY,
    waybill jsonb NOT NULL,
    feed text NOT NULL,
    control_id text,
    accounted_at bigint NOT NULL,  -- received, or else first seen
    state text NOT NULL,
    reason text,
    changed_at bigint NOT NULL,    -- last change of state or reason, by the tracker's clock
    next_deadline bigint
) WITH (fillfactor = 80);
CREATE INDEX message_deadline ON message (next_deadline) WHERE next_deadline IS NOT NULL;
CREATE INDEX message_control_id ON message (control_id) WHERE control_id IS NOT NULL;
CREATE INDEX message_accounted_at ON message (accounted_at, id);
-- Delivered is nearly everything, and found by time; what is asked for by state is the rest.
CREATE INDEX message_unfinished ON message (state, accounted_at, id) WHERE state <> 'DELIVERED';

-- Lines by what became of them, changed by differences in the transaction that changes the messages.
CREATE TABLE balance (
    feed text NOT NULL,
    topic text NOT NULL,
    destination text NOT NULL,
    hour bigint NOT NULL,
    expected bigint NOT NULL,
    confirmed bigint NOT NULL,
    filtered bigint NOT NULL,
    superseded bigint NOT NULL,
    exceptions bigint NOT NULL,
    open bigint NOT NULL,
    overdue bigint NOT NULL,
    PRIMARY KEY (hour, feed, topic, destination)
) WITH (fillfactor = 50);

-- Messages by state, likewise.
CREATE TABLE message_total (
    feed text NOT NULL,
    hour bigint NOT NULL,
    state text NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (hour, feed, state)
) WITH (fillfactor = 50);
