-- The ground: who we are, what was exchanged, what is leased, what is remembered.
--
-- Times are always bound by the broker, whose clock follows this server's; nothing here calls now().
-- Sealed columns hold: header, generation, nonce, ciphertext (docs/exchange.md, "Sealing"); the generation stands beside
-- them so that a rotation can find what is left to rewrap.

create schema daypass;

-- One row: the identity of this installation. Ciphertexts are bound to it.
create table daypass.deployment (
    only_row boolean primary key default true check (only_row),
    id uuid not null,
    created_at timestamptz not null
);

-- Generations of the data key, wrapped by the root key. Exactly one is active.
create table daypass.data_keys (
    generation integer primary key check (generation > 0),
    state text not null check (state in ('active', 'retiring', 'retired')),
    wrapped bytea not null,
    created_at timestamptz not null,
    retired_at timestamptz
);
create unique index data_keys_one_active on daypass.data_keys (state) where state = 'active';

-- Every policy set that was ever active, whole, by the hash that audit records name.
create table daypass.policy_sets (
    hash bytea primary key check (octet_length(hash) = 32),
    files jsonb not null,
    stored_at timestamptz not null
);
create table daypass.policy_activations (
    id uuid primary key,
    hash bytea not null references daypass.policy_sets (hash),
    source text not null,
    activated_at timestamptz not null
);

-- What a verified token opened. The token itself and the session token are never stored, only their hashes; a session token
-- begins with the session's id, so no index over hashes is needed.
create table daypass.sessions (
    id uuid primary key,
    token_hash bytea not null check (octet_length(token_hash) = 32),
    -- The audit record of the opening. The claims stand there and nowhere else.
    opened_by uuid not null,
    issuer text not null,
    role text not null,
    project text,
    project_name text,
    run text,
    attempt text,
    job text,
    idempotency bytea,
    opened_at timestamptz not null,
    ends_at timestamptz not null,
    ended_at timestamptz
);
-- Numbers of runs grow with time, so new entries come side by side.
create index sessions_by_run on daypass.sessions (run, project) where run is not null;
-- Rows come in the order of time, nearly: ranges of pages are index enough for the clean-up.
create index sessions_ending on daypass.sessions using brin (ends_at);

-- Single use: one row per use of a token.
create table daypass.token_uses (
    -- The first 128 bits of SHA-256 over the issuer's URL and the token's own hash.
    token_key uuid not null,
    use_number integer not null check (use_number > 0),
    session_id uuid not null,
    keep_until timestamptz not null,
    primary key (token_key, use_number)
);
create index token_uses_ending on daypass.token_uses using brin (keep_until);

-- One row per credential that may be alive somewhere.
create table daypass.leases (
    id uuid primary key,
    session_id uuid not null references daypass.sessions (id),
    role text not null,
    credential text not null,
    engine text not null,
    connection text,
    upstream text,
    state text not null check (state in ('pending', 'active', 'passive', 'revoking', 'fenced', 'revoked', 'expired')),
    revocable boolean not null,
    -- What is needed to undo, sealed; emptied when the lease has ended.
    handle bytea not null,
    generation integer not null,
    issued_at timestamptz not null,
    expires_at timestamptz not null,
    -- When a worker has to look at it: the create deadline, the expiry, the next try, or the end of the claim of a worker
    -- that did not come back.
    due_at timestamptz,
    -- Since when it is to be gone, once it has been given back or claimed.
    wanted_at timestamptz,
    -- Counts claims; what a worker did is only recorded while its own claim is the latest.
    attempt integer not null default 0,
    claimed_by uuid,
    reason text,
    ended_at timestamptz,
    check ((due_at is null) = (state in ('revoked', 'expired')))
);
-- Upstream names are never reused within a target.
create unique index leases_upstream on daypass.leases (engine, coalesce(connection, ''), upstream) where upstream is not null;
create index leases_due on daypass.leases (due_at) where due_at is not null;
create index leases_wanted on daypass.leases (wanted_at) where due_at is not null and wanted_at is not null;
create index leases_of_session on daypass.leases (session_id);
create index leases_live_of_role on daypass.leases (role) where state in ('pending', 'active', 'passive');
create index leases_generation on daypass.leases (generation) where due_at is not null;

-- What happened. Rows are inserted and read, never changed: the serving role has no other grant.
create table daypass.audit_records (
    id uuid primary key,
    at timestamptz not null,
    kind text not null,
    decision_id uuid not null,
    session_id uuid,
    lease_id uuid,
    issuer text,
    project text,
    project_name text,
    role text,
    code text,
    -- Everything that has no column here, packed (docs/exchange.md, "Remembering").
    packed bytea not null,
    leaf bytea not null check (octet_length(leaf) = 32)
);
-- Ids grow with time, so the primary key lists the newest first.
create index audit_by_decision on daypass.audit_records (decision_id);
-- A session has the id of the decision that opened it, which the index above finds.
create index audit_by_session on daypass.audit_records (session_id) where session_id <> decision_id;
create index audit_by_lease on daypass.audit_records (lease_id) where lease_id is not null;

-- The clear form of the values of a record that name a person; the record holds their salted hashes. These rows can be erased.
create table daypass.audit_personal (
    record_id uuid primary key,
    -- By name. json, not jsonb: the hashes are over the very text.
    named json not null,
    -- 16 bytes for each value, in the order of the names.
    salts bytea not null
);

-- Refusals that are counted rather than recorded one by one.
create table daypass.denial_counts (
    minute timestamptz not null,
    issuer text not null,
    -- Empty where the project is not known.
    project text not null,
    code text not null,
    count bigint not null,
    primary key (minute, issuer, project, code)
);

-- Stored secrets: versions of JSON objects by mount and path.
create table daypass.secrets (
    mount text not null,
    path text not null,
    current integer not null,
    -- Notes in clear.
    metadata jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (mount, path)
);
create table daypass.secret_versions (
    mount text not null,
    path text not null,
    version integer not null check (version > 0),
    sealed bytea,
    generation integer not null,
    created_at timestamptz not null,
    deleted_at timestamptz,
    destroyed boolean not null default false,
    primary key (mount, path, version),
    foreign key (mount, path) references daypass.secrets (mount, path) on delete cascade,
    check (destroyed = (sealed is null))
);
create index secret_versions_generation on daypass.secret_versions (generation) where sealed is not null;

-- Targets with their admin credential.
create table daypass.connections (
    name text primary key,
    engine text not null,
    version bigint not null,
    sealed bytea not null,
    generation integer not null,
    source text not null check (source in ('configuration', 'operator')),
    updated_at timestamptz not null
);

-- The last good key set of each issuer, so that a restart during an issuer's outage has it. Authenticated by a MAC.
create table daypass.issuer_keys (
    issuer text primary key,
    -- Stands for where the keys came from: they count for nobody who is told to fetch them elsewhere.
    origin bytea not null check (octet_length(origin) = 32),
    body bytea not null,
    fetched_at timestamptz not null,
    mac bytea not null check (octet_length(mac) = 32)
);

-- Single-use tokens for the first operator.
create table daypass.bootstrap_tokens (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    role text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
