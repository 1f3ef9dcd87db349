-- Renewals side by side, and the use of a token that is to be found again.

alter table daypass.leases
    -- The latest renewal, by its decision, that counts on where the lease ends: another one that fails leaves that alone.
    add column renewal uuid;
