-- What is compared with the targets, and what waits when this database was brought back from a backup.

-- While there is a row nothing is taken back: the database forgot what happened after its backup, and somebody has to look first.
create table daypass.holds (
    only_row boolean primary key default true check (only_row),
    since timestamptz not null,
    reason text not null
);

-- When each target is to be compared next. Whoever moves the time does it.
create table daypass.reconciliations (
    connection text primary key,
    due_at timestamptz not null
);

-- Logins of this installation that were found on a target and that no open lease accounts for.
create table daypass.strays (
    connection text not null,
    name text not null,
    reason text not null,
    first_seen timestamptz not null,
    -- Left alone until then: its lease was lost with the database, and somebody may be using it.
    spared_until timestamptz,
    -- Since when nobody can log in as it. It is dropped a while later.
    quarantined_at timestamptz,
    primary key (connection, name)
);

-- How many are live on one target, for its quota, and which of them the target no longer has.
create index leases_live_of_connection on daypass.leases (connection)
    where connection is not null and state in ('pending', 'active', 'passive');
