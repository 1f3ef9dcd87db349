-- What operators do with leases: take many back at once, find out whose something is, stop exchanges.

alter table daypass.leases
    -- The act of an operator that asked for it back, by its decision: what becomes of all of them can be followed.
    add column revocation uuid,
    -- Keyed hashes of what was handed out, 16 bytes each: they tell whose a string in a log is, and nothing else. There is no
    -- index over them, because every exchange would pay for a question that is asked once a year.
    add column marks bytea;
create index leases_of_revocation on daypass.leases (revocation) where revocation is not null;

-- Exchanges that operators have stopped. All conditions of a row must hold; those that are null say nothing.
create table daypass.stops (
    id uuid primary key,
    -- The project's immutable id or its name.
    repository text,
    run text,
    role text,
    issuer text,
    engine text,
    -- Tokens that were issued before this moment.
    issued_before timestamptz,
    reason text not null,
    -- The session of the operator who did it goes on, to see it through.
    spared uuid,
    created_at timestamptz not null,
    lifted_at timestamptz,
    check (num_nonnulls(repository, run, role, issuer, engine, issued_before) > 0)
);
