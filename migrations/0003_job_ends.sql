-- Jobs that their CI system has reported as over. A row ends the sessions of its job and, as long as a token of that job
-- could still be accepted, keeps new ones from being opened: reports overtake exchanges.
create table daypass.job_ends (
    -- The issuer's name in the policy set, as sessions have it.
    issuer text not null,
    project text not null,
    run text not null,
    -- Exactly one of the two: one job, or all jobs of an attempt of the run whose tokens name no job. Empty is none.
    job text not null,
    attempt text not null,
    -- What the sender calls the delivery that said so first.
    delivery text not null,
    noted_at timestamptz not null,
    -- When sessions of the job are to be looked for; once more a while after the first look, because an exchange that was
    -- being written during that look was not seen.
    look_at timestamptz,
    keep_until timestamptz not null,
    -- Numbers of runs grow with time, so new entries come side by side.
    primary key (run, project, issuer, job, attempt),
    check ((job = '') <> (attempt = ''))
);
create index job_ends_to_look on daypass.job_ends (look_at) where look_at is not null;
create index job_ends_ending on daypass.job_ends using brin (keep_until);
