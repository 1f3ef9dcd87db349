//! The one statement of the group writer: every part of every record, in columns.

use std::collections::HashSet;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Prepared, Verdict, due_at};

/// Every text of a record.
pub(super) fn texts(prepared: &Prepared) -> impl Iterator<Item = &str> {
    let record = &prepared.record;
    let session = record.session.iter().flat_map(|session| {
        let texts = [&session.project, &session.project_name, &session.run, &session.attempt, &session.job];
        texts.into_iter().filter_map(|text| text.as_deref()).chain([session.issuer.as_str(), session.role.as_str()])
    });
    let leases = record.leases.iter().flat_map(|lease| {
        let texts = [lease.connection.as_deref(), lease.upstream.as_deref()];
        texts.into_iter().flatten().chain([lease.role.as_str(), lease.credential.as_str()])
    });
    let audit = record.audit.iter().flat_map(|record| {
        let texts = [&record.issuer, &record.project, &record.project_name, &record.role, &record.code];
        let personal = record.personal.iter().flat_map(|(name, personal)| {
            std::iter::once(name.as_str()).chain(personal.clear().map(|clear| clear.value.as_str()))
        });
        texts.into_iter().filter_map(|text| text.as_deref()).chain(personal)
    });
    record.token_use.iter().map(|token| token.issuer.as_str()).chain(session).chain(leases).chain(audit)
}

#[derive(Default)]
struct Uses<'a> {
    n: Vec<i32>,
    issuer: Vec<&'a str>,
    token_hash: Vec<&'a [u8]>,
    allowed: Vec<i32>,
    session_id: Vec<Uuid>,
    keep_until: Vec<OffsetDateTime>,
}

#[derive(Default)]
struct Sessions<'a> {
    n: Vec<i32>,
    id: Vec<Uuid>,
    token_hash: Vec<&'a [u8]>,
    issuer: Vec<&'a str>,
    role: Vec<&'a str>,
    policy_hash: Vec<&'a [u8]>,
    claims: Vec<&'a str>,
    project: Vec<Option<&'a str>>,
    project_name: Vec<Option<&'a str>>,
    run: Vec<Option<&'a str>>,
    attempt: Vec<Option<&'a str>>,
    job: Vec<Option<&'a str>>,
    idempotency: Vec<Option<&'a [u8]>>,
    opened_at: Vec<OffsetDateTime>,
    ends_at: Vec<OffsetDateTime>,
}

#[derive(Default)]
struct Leases<'a> {
    n: Vec<i32>,
    id: Vec<Uuid>,
    session_id: Vec<Uuid>,
    role: Vec<&'a str>,
    credential: Vec<&'a str>,
    engine: Vec<&'a str>,
    connection: Vec<Option<&'a str>>,
    upstream: Vec<Option<&'a str>>,
    state: Vec<&'a str>,
    revocable: Vec<bool>,
    handle: Vec<&'a [u8]>,
    generation: Vec<i32>,
    issued_at: Vec<OffsetDateTime>,
    expires_at: Vec<OffsetDateTime>,
    due_at: Vec<OffsetDateTime>,
    most: Vec<i64>,
    /// Sessions that were opened before and now get leases.
    held_n: Vec<i32>,
    held: Vec<Uuid>,
}

#[derive(Default)]
struct Activations<'a> {
    n: Vec<i32>,
    lease_id: Vec<Uuid>,
    state: Vec<&'a str>,
    expires_at: Vec<OffsetDateTime>,
}

#[derive(Default)]
struct Audit<'a> {
    n: Vec<i32>,
    id: Vec<Uuid>,
    at: Vec<OffsetDateTime>,
    kind: Vec<&'a str>,
    decision_id: Vec<Uuid>,
    session_id: Vec<Option<Uuid>>,
    lease_id: Vec<Option<Uuid>>,
    issuer: Vec<Option<&'a str>>,
    project: Vec<Option<&'a str>>,
    project_name: Vec<Option<&'a str>>,
    role: Vec<Option<&'a str>>,
    code: Vec<Option<&'a str>>,
    canonical: Vec<&'a [u8]>,
    leaf: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Personal<'a> {
    n: Vec<i32>,
    record_id: Vec<Uuid>,
    name: Vec<&'a str>,
    salt: Vec<&'a [u8]>,
    value: Vec<&'a str>,
}

#[derive(Default)]
struct Columns<'a> {
    n: Vec<i32>,
    uses: Uses<'a>,
    sessions: Sessions<'a>,
    leases: Leases<'a>,
    activations: Activations<'a>,
    audit: Audit<'a>,
    personal: Personal<'a>,
}

impl<'a> Columns<'a> {
    fn of(records: &[&'a Prepared]) -> Self {
        let mut columns = Self::default();
        for (n, prepared) in (0i32..).zip(records) {
            columns.n.push(n);
            columns.add(n, prepared);
        }
        columns
    }

    fn add(&mut self, n: i32, prepared: &'a Prepared) {
        let record = &prepared.record;
        // A use that is taken over stands in the table already.
        if let Some(token) = record.token_use.as_ref().filter(|token| token.replaces.is_none()) {
            let uses = &mut self.uses;
            uses.n.push(n);
            uses.issuer.push(&token.issuer);
            uses.token_hash.push(&token.token_hash);
            uses.allowed.push(i32::from(token.uses));
            uses.session_id.push(token.session_id);
            uses.keep_until.push(token.keep_until);
        }
        if let Some((session, claims)) = record.session.as_ref().zip(prepared.claims.as_deref()) {
            let sessions = &mut self.sessions;
            sessions.n.push(n);
            sessions.id.push(session.id);
            sessions.token_hash.push(&session.token_hash);
            sessions.issuer.push(&session.issuer);
            sessions.role.push(&session.role);
            sessions.policy_hash.push(&session.policy_hash);
            sessions.claims.push(claims);
            sessions.project.push(session.project.as_deref());
            sessions.project_name.push(session.project_name.as_deref());
            sessions.run.push(session.run.as_deref());
            sessions.attempt.push(session.attempt.as_deref());
            sessions.job.push(session.job.as_deref());
            sessions.idempotency.push(session.idempotency.as_ref().map(<[u8; 32]>::as_slice));
            sessions.opened_at.push(session.opened_at);
            sessions.ends_at.push(session.ends_at);
        }
        let opened = record.session.as_ref().map(|session| session.id);
        let mut held = HashSet::new();
        let leases = &mut self.leases;
        for (lease, handle) in record.leases.iter().zip(&prepared.handles) {
            leases.n.push(n);
            leases.id.push(lease.id);
            leases.session_id.push(lease.session_id);
            leases.role.push(&lease.role);
            leases.credential.push(&lease.credential);
            leases.engine.push(lease.engine);
            leases.connection.push(lease.connection.as_deref());
            leases.upstream.push(lease.upstream.as_deref());
            leases.state.push(lease.state.as_str());
            leases.revocable.push(lease.revocable);
            leases.handle.push(&handle.bytes);
            // `prepare` has seen that it fits.
            leases.generation.push(i32::try_from(handle.generation).unwrap_or(i32::MAX));
            leases.issued_at.push(lease.issued_at);
            leases.expires_at.push(lease.expires_at);
            leases.due_at.push(due_at(lease));
            leases.most.push(i64::from(lease.max_live_of_role));
            if Some(lease.session_id) != opened && held.insert(lease.session_id) {
                leases.held_n.push(n);
                leases.held.push(lease.session_id);
            }
        }
        let activations = &mut self.activations;
        for activation in &record.activate {
            activations.n.push(n);
            activations.lease_id.push(activation.lease_id);
            activations.state.push(activation.to.as_str());
            activations.expires_at.push(activation.expires_at);
        }
        for (entry, (canonical, leaf)) in record.audit.iter().zip(&prepared.leaves) {
            let audit = &mut self.audit;
            audit.n.push(n);
            audit.id.push(entry.id);
            audit.at.push(entry.at);
            audit.kind.push(entry.kind.as_str());
            audit.decision_id.push(entry.decision_id);
            audit.session_id.push(entry.session_id);
            audit.lease_id.push(entry.lease_id);
            audit.issuer.push(entry.issuer.as_deref());
            audit.project.push(entry.project.as_deref());
            audit.project_name.push(entry.project_name.as_deref());
            audit.role.push(entry.role.as_deref());
            audit.code.push(entry.code.as_deref());
            audit.canonical.push(canonical);
            audit.leaf.push(leaf);
            for (name, clear) in entry.personal.iter().filter_map(|(name, value)| Some((name, value.clear()?))) {
                self.personal.n.push(n);
                self.personal.record_id.push(entry.id);
                self.personal.name.push(name);
                self.personal.salt.push(&clear.salt);
                self.personal.value.push(&clear.value);
            }
        }
    }
}

/// Writes `records` in one statement. Outside a transaction the statement is one: when this returns, the server has
/// committed. A verdict for each, in order.
///
/// Rows are locked in the order of their keys — leases, then sessions, then uses — so that replicas wait for each other
/// and never in a circle.
pub(super) async fn write(connection: &mut PgConnection, records: &[&Prepared]) -> Result<Vec<Verdict>, sqlx::Error> {
    let Columns { n, uses, sessions, leases, activations, audit, personal } = Columns::of(records);
    // Only `fetch_all` reads on to the end of the commit; `fetch_one` would return before it.
    let rows = sqlx::query!(
        r#"
        with use_wanted as (
            select * from unnest($1::integer[], $2::text[], $3::bytea[], $4::integer[], $5::uuid[], $6::timestamptz[])
                as u (n, issuer, token_hash, allowed, session_id, keep_until)
        ),
        lease_wanted as (
            select * from unnest($7::integer[], $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[],
                                 $14::text[], $15::text[], $16::boolean[], $17::bytea[], $18::integer[],
                                 $19::timestamptz[], $20::timestamptz[], $21::timestamptz[], $22::bigint[])
                as l (n, id, session_id, role, credential, engine, connection, upstream, state, revocable, handle,
                      generation, issued_at, expires_at, due_at, most)
        ),
        activation as (
            select * from unnest($23::integer[], $24::uuid[], $25::text[], $26::timestamptz[])
                as a (n, lease_id, state, expires_at)
        ),

        -- What the batch builds on is locked, so that its state holds until the commit.
        pending as materialized (
            select l.id, l.state from daypass.leases l where l.id = any($24::uuid[]) order by l.id for no key update
        ),
        held as materialized (
            select s.id, s.ended_at from daypass.sessions s where s.id = any($27::uuid[])
                and exists (select count(*) from pending) order by s.id for share
        ),

        -- How crowded each role is, never counting further than the answer needs.
        role_live as (
            select r.role, (select count(*) from (
                select from daypass.leases l
                where l.role = r.role and l.state in ('pending', 'active', 'passive') limit r.most) counted) as live
            from (select role, max(most) as most from lease_wanted group by role) r
        ),
        crowd as (
            select w.n, r.live + w.own > w.most as alone,
                   r.live + sum(w.own) over (partition by w.role order by w.n) > w.most as together
            from (select n, role, count(*) as own, min(most) as most from lease_wanted group by n, role) w
            join role_live r on r.role = w.role
        ),

        refused as materialized (
            select a.n, 'moved' as why from activation a left join pending p on p.id = a.lease_id
                where p.state is distinct from 'pending'
            union all
            select h.n, 'session_ended' from unnest($28::integer[], $27::uuid[]) as h (n, id)
                where not exists (select from held where held.id = h.id and held.ended_at is null)
            union all
            select n, case when bool_or(alone) then 'quota' else 'crowded' end from crowd where together group by n
        ),

        -- The use is spent by whoever inserts it first, on whichever replica.
        spent as (
            insert into daypass.token_uses (issuer, token_hash, use_number, session_id, keep_until)
            select u.issuer, u.token_hash, u.number, u.session_id, u.keep_until
            from (
                select w.*, case when w.allowed = 1 then 1 else 1 + coalesce((
                    select max(t.use_number) from daypass.token_uses t
                    where t.issuer = w.issuer and t.token_hash = w.token_hash), 0) end as number
                from use_wanted w
            ) u
            where u.number <= u.allowed and not exists (select from refused where refused.n = u.n)
            order by u.issuer, u.token_hash
            on conflict do nothing
            returning issuer, token_hash
        ),
        accepted as materialized (
            select r.n from unnest($29::integer[]) as r (n)
            where not exists (select from refused where refused.n = r.n)
              and not exists (
                select from use_wanted u where u.n = r.n and not exists (
                    select from spent s where s.issuer = u.issuer and s.token_hash = u.token_hash))
        ),

        opened as (
            insert into daypass.sessions (id, token_hash, issuer, role, policy_hash, claims, project, project_name, run,
                                          attempt, job, idempotency, opened_at, ends_at)
            select s.id, s.token_hash, s.issuer, s.role, s.policy_hash, s.claims::json, s.project, s.project_name, s.run,
                   s.attempt, s.job, s.idempotency, s.opened_at, s.ends_at
            from unnest($30::integer[], $31::uuid[], $32::bytea[], $33::text[], $34::text[], $35::bytea[], $36::text[],
                        $37::text[], $38::text[], $39::text[], $40::text[], $41::text[], $42::bytea[],
                        $43::timestamptz[], $44::timestamptz[])
                as s (n, id, token_hash, issuer, role, policy_hash, claims, project, project_name, run, attempt, job,
                      idempotency, opened_at, ends_at)
            where s.n in (select n from accepted)
        ),
        leased as (
            insert into daypass.leases (id, session_id, role, credential, engine, connection, upstream, state, revocable,
                                        handle, generation, issued_at, expires_at, due_at)
            select id, session_id, role, credential, engine, connection, upstream, state, revocable,
                   handle, generation, issued_at, expires_at, due_at
            from lease_wanted where n in (select n from accepted)
        ),
        activated as (
            update daypass.leases l set state = a.state, expires_at = a.expires_at, due_at = a.expires_at
            from activation a where l.id = a.lease_id and l.state = 'pending' and a.n in (select n from accepted)
        ),
        remembered as (
            insert into daypass.audit_records (id, at, kind, decision_id, session_id, lease_id, issuer, project,
                                               project_name, role, code, canonical, leaf)
            select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project,
                   r.project_name, r.role, r.code, r.canonical, r.leaf
            from unnest($45::integer[], $46::uuid[], $47::timestamptz[], $48::text[], $49::uuid[], $50::uuid[],
                        $51::uuid[], $52::text[], $53::text[], $54::text[], $55::text[], $56::text[], $57::bytea[],
                        $58::bytea[])
                as r (n, id, at, kind, decision_id, session_id, lease_id, issuer, project, project_name, role, code,
                      canonical, leaf)
            where r.n in (select n from accepted)
        ),
        named as (
            insert into daypass.audit_personal (record_id, name, salt, value)
            select p.record_id, p.name, p.salt, p.value
            from unnest($59::integer[], $60::uuid[], $61::text[], $62::bytea[], $63::text[])
                as p (n, record_id, name, salt, value)
            where p.n in (select n from accepted)
        )
        select r.n as "n!", a.n is not null as "written!", (select min(f.why) from refused f where f.n = r.n) as why
        from unnest($29::integer[]) as r (n) left join accepted a on a.n = r.n
        "#,
        &uses.n,
        &uses.issuer as _,
        &uses.token_hash as _,
        &uses.allowed,
        &uses.session_id,
        &uses.keep_until,
        &leases.n,
        &leases.id,
        &leases.session_id,
        &leases.role as _,
        &leases.credential as _,
        &leases.engine as _,
        &leases.connection as _,
        &leases.upstream as _,
        &leases.state as _,
        &leases.revocable,
        &leases.handle as _,
        &leases.generation,
        &leases.issued_at,
        &leases.expires_at,
        &leases.due_at,
        &leases.most,
        &activations.n,
        &activations.lease_id,
        &activations.state as _,
        &activations.expires_at,
        &leases.held,
        &leases.held_n,
        &n,
        &sessions.n,
        &sessions.id,
        &sessions.token_hash as _,
        &sessions.issuer as _,
        &sessions.role as _,
        &sessions.policy_hash as _,
        &sessions.claims as _,
        &sessions.project as _,
        &sessions.project_name as _,
        &sessions.run as _,
        &sessions.attempt as _,
        &sessions.job as _,
        &sessions.idempotency as _,
        &sessions.opened_at,
        &sessions.ends_at,
        &audit.n,
        &audit.id,
        &audit.at,
        &audit.kind as _,
        &audit.decision_id,
        &audit.session_id as _,
        &audit.lease_id as _,
        &audit.issuer as _,
        &audit.project as _,
        &audit.project_name as _,
        &audit.role as _,
        &audit.code as _,
        &audit.canonical as _,
        &audit.leaf as _,
        &personal.n,
        &personal.record_id,
        &personal.name as _,
        &personal.salt as _,
        &personal.value as _,
    )
    .fetch_all(connection)
    .await?;

    let mut verdicts = vec![Verdict::Used; records.len()];
    for row in rows {
        let verdict = match (row.written, row.why.as_deref()) {
            (true, _) => Verdict::Written,
            (false, None) => Verdict::Used,
            (false, Some("quota")) => Verdict::Quota,
            (false, Some("crowded")) => Verdict::Crowded,
            (false, Some("session_ended")) => Verdict::SessionEnded,
            (false, Some(_)) => Verdict::Moved,
        };
        if let Some(held) = usize::try_from(row.n).ok().and_then(|n| verdicts.get_mut(n)) {
            *held = verdict;
        }
    }
    Ok(verdicts)
}
