-- Policy sets that operators push, the ones that wait for a second operator or only look on, and what is switched off.

alter table daypass.policy_activations
    -- For every replica whose source is this database. What a folder gives to one replica is no word for the others.
    add column pushed boolean not null default false,
    -- Who pushed it and who approved it, as their tokens name them, with the sessions that the audit trail knows more of.
    add column author text,
    add column author_session uuid,
    add column approver text,
    add column approver_session uuid;
create index policy_activations_pushed on daypass.policy_activations (activated_at desc, id desc) where pushed;

-- Sets that decide beside the active one without deciding. The latest row holds; without a hash there is none.
create table daypass.policy_shadows (
    id uuid primary key,
    hash bytea references daypass.policy_sets (hash),
    author text not null,
    author_session uuid not null,
    since timestamptz not null
);

-- Sets that wait for another operator than their author.
create table daypass.policy_proposals (
    id uuid primary key,
    hash bytea not null references daypass.policy_sets (hash),
    -- The set that was active then. What widens was told against it, so it can only become active in its place.
    base bytea not null check (octet_length(base) = 32),
    author text not null,
    author_session uuid not null,
    -- Tells one person from another: SHA-256 over this row's id and what their tokens name them by.
    person bytea not null check (octet_length(person) = 32),
    -- Why it waits.
    reason text not null,
    proposed_at timestamptz not null,
    outcome text check (outcome in ('approved', 'replaced')),
    decided_at timestamptz,
    check ((outcome is null) = (decided_at is null))
);
create unique index policy_proposals_open on daypass.policy_proposals (hash) where outcome is null;

-- A switch stops a role or an issuer by name, ends nothing and has words of its own. There is one for each.
alter table daypass.stops
    add column switch boolean not null default false,
    add check (not switch or (num_nonnulls(role, issuer) = 1 and num_nonnulls(repository, run, engine, issued_before) = 0));
create unique index stops_one_switch on daypass.stops (coalesce(role, ''), coalesce(issuer, '')) where switch and lifted_at is null;
