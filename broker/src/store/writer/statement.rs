//! The one statement of the group writer: every part of every record, in columns.

use sqlx::PgConnection;
use tokio::time::Instant;

use super::columns::Columns;
use super::room::{Place, Room};
use super::{Prepared, Quota, Verdict};

/// Writes `records` in one statement. Outside a transaction the statement is one: when this returns, the server has
/// committed. A verdict for each, in order.
///
/// Rows are locked in the order of their keys — leases, then sessions, then uses — so that replicas wait for each other
/// and never in a circle.
pub(super) async fn write(
    connection: &mut PgConnection,
    records: &[&Prepared],
    room: &mut Room,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let Columns { n, uses, sessions, mut leases, activations, audit, personal } = Columns::of(records);
    let asked_at = Instant::now();
    let to_count = room.spare(&mut leases, asked_at);
    // Only `fetch_all` reads on to the end of the commit; `fetch_one` would return before it.
    let rows = sqlx::query!(
        r#"
        with use_wanted as (
            select * from unnest($1::integer[], $2::uuid[], $3::integer[], $4::uuid[], $5::timestamptz[], $6::bytea[])
                as u (n, token_key, allowed, session_id, keep_until, idempotency)
        ),
        lease_wanted as (
            select * from unnest($7::integer[], $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[],
                                 $14::text[], $15::text[], $16::boolean[], $17::bytea[], $18::integer[],
                                 $19::timestamptz[], $20::timestamptz[], $21::timestamptz[], $22::bigint[],
                                 $63::bigint[], $64::bigint[], $65::uuid[])
                as l (n, id, session_id, role, credential, engine, connection, upstream, state, revocable, handle,
                      generation, issued_at, expires_at, due_at, most, most_of_session, most_of_connection, token_key)
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

        -- What has ended by its own clock lives no more, though nobody has written it off yet.
        asked as materialized (
            select min(issued_at) as at from lease_wanted
        ),
        past as materialized (
            select exists (select from daypass.leases l
                where l.state = 'passive' and l.due_at <= (select at from asked)) as found
        ),

        -- How crowded each role, session and connection is, never counting further than the answer needs, and once. Roles and
        -- connections are counted in an index; only where that makes them too full and something is past, it is looked at closely.
        role_live as materialized (
            select r.role, case when c.live + r.wanted <= r.least or not (select found from past) then c.live else (
                select count(*) from (
                    select from daypass.leases l
                    where l.role = r.role and l.state in ('pending', 'active', 'passive', 'revoking')
                      and (l.state <> 'passive' or l.due_at > (select at from asked)) limit r.most) counted) end as live
            from (select role, max(most) as most, min(most) as least, count(*) as wanted from lease_wanted
                  where most is not null group by role) r
            cross join lateral (select count(*) as live from (
                select from daypass.leases l
                where l.role = r.role and l.state in ('pending', 'active', 'passive', 'revoking') limit r.most) counted) c
        ),
        session_live as materialized (
            select s.session_id, (select count(*) from (
                select from daypass.leases l
                where l.session_id = s.session_id and l.state in ('pending', 'active', 'passive', 'revoking')
                  and (l.state <> 'passive' or l.due_at > (select at from asked)) limit s.most) counted) as live
            from (select session_id, max(most_of_session) as most from lease_wanted group by session_id) s
        ),
        connection_live as materialized (
            select r.connection, case when c.live + r.wanted <= r.least or not (select found from past) then c.live else (
                select count(*) from (
                    select from daypass.leases l
                    where l.connection = r.connection and l.state in ('pending', 'active', 'passive', 'revoking')
                      and (l.state <> 'passive' or l.due_at > (select at from asked)) limit r.most) counted) end as live
            from (select connection, max(most_of_connection) as most, min(most_of_connection) as least, count(*) as wanted
                  from lease_wanted
                  where connection is not null and most_of_connection is not null group by connection) r
            cross join lateral (select count(*) as live from (
                select from daypass.leases l
                where l.connection = r.connection and l.state in ('pending', 'active', 'passive', 'revoking') limit r.most) counted) c
        ),
        crowd as (
            select w.n, 'role' as what, r.live + w.own > w.most as alone,
                   r.live + sum(w.own) over (partition by w.role order by w.n) > w.most as together
            from (select n, role, count(*) as own, min(most) as most from lease_wanted group by n, role) w
            join role_live r on r.role = w.role
            union all
            select w.n, 'session', s.live + w.own > w.most,
                   s.live + sum(w.own) over (partition by w.session_id order by w.n) > w.most
            from (select n, session_id, count(*) as own, min(most_of_session) as most
                  from lease_wanted group by n, session_id) w
            join session_live s on s.session_id = w.session_id
            union all
            select w.n, 'connection', c.live + w.own > w.most,
                   c.live + sum(w.own) over (partition by w.connection order by w.n) > w.most
            from (select n, connection, count(*) as own, min(most_of_connection) as most
                  from lease_wanted group by n, connection) w
            join connection_live c on c.connection = w.connection
        ),

        -- The lowest free number: a use that came to nothing was given back and leaves a gap. None where all are spent, or
        -- where the same key has spent one.
        numbered as materialized (
            select w.*, case when w.allowed = 1 then 1 when exists (
                select from daypass.token_uses t join daypass.sessions s on s.id = t.session_id
                where t.token_key = w.token_key and s.idempotency = w.idempotency) then null else (
                select min(g.number) from generate_series(1, w.allowed) as g (number)
                where not exists (
                    select from daypass.token_uses t
                    where t.token_key = w.token_key and t.use_number = g.number)) end as number
            from use_wanted w
        ),

        refused as materialized (
            select n, 'spent' as why from numbered where number is null
            union all
            select a.n, 'moved' from activation a left join pending p on p.id = a.lease_id
                where p.state is distinct from 'pending'
            union all
            select h.n, 'session_ended' from unnest($28::integer[], $27::uuid[]) as h (n, id)
                where not exists (select from held where held.id = h.id and held.ended_at is null)
            union all
            select s.n, 'job_ended'
                from unnest($30::integer[], $34::text[], $36::text[], $38::text[], $39::text[], $40::text[])
                    as s (n, issuer, project, run, attempt, job)
                where exists (
                    select from daypass.job_ends e
                    where e.run = s.run and e.project = s.project and e.issuer = s.issuer
                      and case when s.job is null then e.job = '' and e.attempt = s.attempt
                          else e.attempt = '' and e.job = s.job end)
            union all
            select n, case when bool_or(alone) then 'quota ' || min(what) filter (where alone) else 'crowded ' || min(what) end
            from crowd where together group by n
        ),

        -- The use is spent by whoever inserts it first, on whichever replica.
        spent as (
            insert into daypass.token_uses (token_key, use_number, session_id, keep_until)
            select u.token_key, u.number, u.session_id, u.keep_until from numbered u
            where not exists (select from refused where refused.n = u.n)
            order by u.token_key
            on conflict do nothing
            returning token_key
        ),
        accepted as materialized (
            select r.n from unnest($29::integer[]) as r (n)
            where not exists (select from refused where refused.n = r.n)
              and not exists (
                select from use_wanted u where u.n = r.n and not exists (
                    select from spent s where s.token_key = u.token_key))
        ),

        opened as (
            insert into daypass.sessions (id, token_hash, opened_by, issuer, role, project, project_name, run, attempt, job,
                                          idempotency, opened_at, ends_at)
            select s.id, s.token_hash, s.opened_by, s.issuer, s.role, s.project, s.project_name, s.run, s.attempt, s.job,
                   s.idempotency, s.opened_at, s.ends_at
            from unnest($30::integer[], $31::uuid[], $32::bytea[], $33::uuid[], $34::text[],
                        $35::text[], $36::text[], $37::text[], $38::text[], $39::text[],
                        $40::text[], $41::bytea[], $42::timestamptz[], $43::timestamptz[])
                as s (n, id, token_hash, opened_by, issuer, role, project, project_name, run, attempt, job, idempotency,
                      opened_at, ends_at)
            where s.n in (select n from accepted)
        ),
        leased as (
            insert into daypass.leases (id, session_id, role, credential, engine, connection, upstream, state, revocable,
                                        handle, generation, issued_at, expires_at, due_at, token_key)
            select id, session_id, role, credential, engine, connection, upstream, state, revocable,
                   handle, generation, issued_at, expires_at, due_at, token_key
            from lease_wanted where n in (select n from accepted)
        ),
        activated as (
            update daypass.leases l set state = a.state, expires_at = a.expires_at, due_at = a.expires_at
            from activation a where l.id = a.lease_id and l.state = 'pending' and a.n in (select n from accepted)
        ),
        -- Equal values of one credential have one mark.
        marked as (
            insert into daypass.lease_marks (lease_id, mark)
            select m.lease_id, m.mark from unnest($66::integer[], $67::uuid[], $62::uuid[]) as m (n, lease_id, mark)
            where m.n in (select n from accepted)
            on conflict do nothing
        ),
        remembered as (
            insert into daypass.audit_records (id, at, kind, decision_id, session_id, lease_id, issuer, project,
                                               project_name, role, code, packed, leaf)
            select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project,
                   r.project_name, r.role, r.code, r.packed, r.leaf
            from unnest($44::integer[], $45::uuid[], $46::timestamptz[], $47::text[], $48::uuid[],
                        $49::uuid[], $50::uuid[], $51::text[], $52::text[],
                        $53::text[], $54::text[], $55::text[], $56::bytea[], $57::bytea[])
                as r (n, id, at, kind, decision_id, session_id, lease_id, issuer, project, project_name, role, code,
                      packed, leaf)
            where r.n in (select n from accepted)
        ),
        named as (
            insert into daypass.audit_personal (record_id, named, salts)
            select p.record_id, p.named::json, p.salts
            from unnest($58::integer[], $59::uuid[], $60::text[], $61::bytea[])
                as p (n, record_id, named, salts)
            where p.n in (select n from accepted)
        )
        select r.n as "n?", a.n is not null as "written!", (select min(f.why) from refused f where f.n = r.n) as why,
               null as role, null as connection, null::bigint as live
        from unnest($29::integer[]) as r (n) left join accepted a on a.n = r.n
        union all select null, false, null, role, null, live from role_live
        union all select null, false, null, null, connection, live from connection_live
        "#,
        &uses.n,
        &uses.token_key,
        &uses.allowed,
        &uses.session_id,
        &uses.keep_until,
        &uses.idempotency as _,
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
        &leases.most as _,
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
        &sessions.opened_by,
        &sessions.issuer as _,
        &sessions.role as _,
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
        &audit.packed as _,
        &audit.leaf as _,
        &personal.n,
        &personal.record_id,
        &personal.named as _,
        &personal.salts as _,
        &activations.marks,
        &leases.most_of_session,
        &leases.most_of_connection as _,
        &leases.token_key as _,
        &activations.marked_n,
        &activations.marked,
    )
    .fetch_all(connection)
    .await?;

    let mut verdicts = vec![Verdict::Raced; records.len()];
    for row in rows {
        let place = row.role.map(Place::Role).or_else(|| row.connection.map(Place::Connection));
        if let Some((place, live)) = place.zip(row.live) {
            if let Some(wanted) = to_count.get(&place) {
                room.counted(place, live, wanted, asked_at);
            }
            continue;
        }
        let verdict = match (row.written, row.why.as_deref()) {
            (true, _) => Verdict::Written,
            (false, None) => Verdict::Raced,
            (false, Some("spent")) => Verdict::Spent,
            (false, Some("session_ended")) => Verdict::SessionEnded,
            (false, Some("job_ended")) => Verdict::JobEnded,
            (false, Some(why)) => match why.split_once(' ') {
                Some(("quota", what)) => Verdict::Quota(quota(what)),
                Some((_, what)) => Verdict::Crowded(quota(what)),
                None => Verdict::Moved,
            },
        };
        if let Some(held) = row.n.and_then(|n| usize::try_from(n).ok()).and_then(|n| verdicts.get_mut(n)) {
            *held = verdict;
        }
    }
    Ok(verdicts)
}

fn quota(what: &str) -> Quota {
    match what {
        "session" => Quota::Session,
        "connection" => Quota::Connection,
        _ => Quota::Role,
    }
}
