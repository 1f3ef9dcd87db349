-- Marks in rows of their own: as entries of an index over leases they were written anew with every change of a lease, and cost as much
-- as all the rest of its end. Those that stand with their leases stay there, found as before, until their leases are forgotten; brokers
-- of before this step go on writing them there.
create table daypass.lease_marks (
    -- Forgotten together with the lease, by the same statement.
    lease_id uuid not null,
    mark uuid not null,
    primary key (lease_id, mark)
);
create index lease_marks_by_mark on daypass.lease_marks (mark);
