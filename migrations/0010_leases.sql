-- Renewals side by side, and the use of a token that is to be found again.

alter table daypass.leases
    -- The latest renewal, by its decision, that counts on where the lease ends: another one that fails leaves that alone.
    add column renewal uuid,
    -- The token whose use opened the session, on one of the leases that came with it: should nothing come of the exchange, the use
    -- is found by its own key. Where it is null, from before, the use is forgotten at its own end.
    add column token_key uuid;
