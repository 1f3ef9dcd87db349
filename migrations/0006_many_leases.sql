-- A million live leases: what workers and operators ask for is found without reading all of them.

-- Due leases target by target: one that is down keeps its own waiting, and nobody has to step over them.
create index leases_due_of_target on daypass.leases ((coalesce(connection, engine)), due_at)
    where due_at is not null and state <> 'passive';
-- Leases that end by their own clock have no target; they are only to be written off.
create index leases_expiring on daypass.leases (due_at) where state = 'passive';
-- What is over is forgotten a week later.
create index leases_ended on daypass.leases (ended_at) where due_at is null;

-- The marks of a lease, 16 bytes each. Entries are not gathered for later: whoever came last would write them all. Only an
-- exchange that makes a credential pays for it, little beside what the credential costs.
create function daypass.each_mark(marks bytea) returns uuid[] language sql immutable strict parallel safe as $$
    select array(select encode(substring(marks from n * 16 + 1 for 16), 'hex')::uuid
                 from generate_series(0, octet_length(marks) / 16 - 1) as g (n))
$$;
create index leases_marked on daypass.leases using gin (daypass.each_mark(marks)) with (fastupdate = off) where marks is not null;
