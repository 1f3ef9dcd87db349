-- What is being taken back still works until it is gone, so it counts for the quotas; stops are carried out to their end.

drop index daypass.leases_live_of_role;
create index leases_live_of_role on daypass.leases (role)
    where state in ('pending', 'active', 'passive', 'revoking');
drop index daypass.leases_live_of_connection;
create index leases_live_of_connection on daypass.leases (connection)
    where connection is not null and state in ('pending', 'active', 'passive', 'revoking');

alter table daypass.stops
    -- When the sessions it speaks of had all been ended, those too that were opened while replicas had not read it yet.
    add column swept_at timestamptz;
