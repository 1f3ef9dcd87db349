//! What is compared with the targets: logins that no open lease accounts for, and leases whose login is gone.

use domain::lease::State;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, There, Tx, one_row};

/// A login that no open lease accounts for, as it was first noted.
#[derive(Clone, Debug)]
pub struct Stray {
    pub name: String,
    pub reason: String,
    pub first_seen: OffsetDateTime,
    /// Left alone until then.
    pub spared_until: Option<OffsetDateTime>,
    /// Since when nobody can log in as it.
    pub quarantined_at: Option<OffsetDateTime>,
}

/// An active lease whose login the target does not have.
#[derive(Clone, Debug)]
pub struct Lost {
    pub id: Uuid,
    pub session_id: Uuid,
    pub role: String,
    pub upstream: String,
}

/// What the row of a lease says of its login.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: Uuid,
    pub state: State,
    /// The login's name.
    pub upstream: Option<String>,
    pub expires_at: OffsetDateTime,
}

/// Leases of a target beside what it shows.
#[derive(Clone, Debug)]
pub struct Compared {
    /// How many active leases were compared.
    pub active: i64,
    /// Those without a login, the oldest first, as many as were asked for.
    pub lost: Vec<Lost>,
    /// How many they are.
    pub lost_count: i64,
}

impl Store {
    /// Takes the turn to compare a target, if it is due: of several replicas one gets it.
    pub async fn claim_reconciliation(
        &self,
        connection: &str,
        now: OffsetDateTime,
        next: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let claimed = sqlx::query!(
            "insert into daypass.reconciliations as r (connection, due_at) values ($1, $3)
             on conflict (connection) do update set due_at = excluded.due_at where r.due_at <= $2",
            connection,
            now,
            next
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(one_row(&claimed))
    }

    /// How each of these leases stands. One that is not among them has no row.
    pub async fn standing(&self, ids: &[Uuid]) -> Result<Vec<Standing>, StoreError> {
        let rows = sqlx::query!("select id, state, upstream, expires_at from daypass.leases where id = any($1::uuid[])", ids)
            .fetch_all(self.pool())
            .there(self)
            .await?;
        let standing = rows.into_iter().map(|row| {
            let state = row.state.parse().map_err(|_| StoreError::Corrupt("leases"))?;
            Ok(Standing { id: row.id, state, upstream: row.upstream, expires_at: row.expires_at })
        });
        standing.collect()
    }

    /// Compares the active leases of a connection that were issued before `before` with the logins that its target has.
    pub async fn compare(
        &self,
        connection: &str,
        names: &[String],
        before: OffsetDateTime,
        limit: i64,
    ) -> Result<Compared, StoreError> {
        let rows = sqlx::query!(
            r#"
            with active as materialized (
                select l.id, l.session_id, l.role, l.upstream, l.issued_at from daypass.leases l
                where l.connection = $1 and l.state = 'active' and l.state in ('pending', 'active', 'passive', 'revoking')
                    and l.upstream is not null and l.issued_at < $3
            ),
            lost as materialized (
                select * from active a where not exists (select from unnest($2::text[]) as n (name) where n.name = a.upstream)
            )
            select (select count(*) from active) as "active!", (select count(*) from lost) as "lost!",
                   l.id as "id?", l.session_id as "session_id?", l.role as "role?", l.upstream
            from (values (1)) as one left join (select * from lost order by issued_at limit $4) l on true
            "#,
            connection,
            names,
            before,
            limit
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        let mut compared = Compared { active: 0, lost: Vec::new(), lost_count: 0 };
        for row in rows {
            (compared.active, compared.lost_count) = (row.active, row.lost);
            if let (Some(id), Some(session_id), Some(role), Some(upstream)) = (row.id, row.session_id, row.role, row.upstream) {
                compared.lost.push(Lost { id, session_id, role, upstream });
            }
        }
        Ok(compared)
    }

    /// The strays of a target that are known.
    pub async fn strays(&self, connection: &str) -> Result<Vec<Stray>, StoreError> {
        sqlx::query_as!(
            Stray,
            "select name, reason, first_seen, spared_until, quarantined_at from daypass.strays where connection = $1",
            connection
        )
        .fetch_all(self.pool())
        .there(self)
        .await
    }

    /// Notes strays that are not known yet.
    pub async fn note_strays(&self, connection: &str, strays: &[Stray]) -> Result<(), StoreError> {
        let names: Vec<String> = strays.iter().map(|stray| stray.name.clone()).collect();
        let reasons: Vec<String> = strays.iter().map(|stray| stray.reason.clone()).collect();
        let seen: Vec<OffsetDateTime> = strays.iter().map(|stray| stray.first_seen).collect();
        let spared: Vec<Option<OffsetDateTime>> = strays.iter().map(|stray| stray.spared_until).collect();
        sqlx::query!(
            "insert into daypass.strays (connection, name, reason, first_seen, spared_until)
             select $1, s.name, s.reason, s.first_seen, s.spared_until
             from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) as s (name, reason, first_seen, spared_until)
             order by s.name on conflict do nothing",
            connection,
            &names,
            &reasons,
            &seen,
            &spared as _
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(())
    }

    /// Forgets the strays of a target that it does not have any more.
    pub async fn forget_strays(&self, connection: &str, still: &[String]) -> Result<u64, StoreError> {
        let result =
            sqlx::query!("delete from daypass.strays where connection = $1 and name <> all ($2::text[])", connection, still)
                .execute(self.pool())
                .there(self)
                .await?;
        Ok(result.rows_affected())
    }
}

impl Tx {
    /// Marks a stray as one that nobody can log in as any more, since now if it was not before.
    pub async fn quarantine_stray(&mut self, connection: &str, name: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!(
            "update daypass.strays set quarantined_at = coalesce(quarantined_at, $3) where connection = $1 and name = $2",
            connection,
            name,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets one stray.
    pub async fn forget_stray(&mut self, connection: &str, name: &str) -> Result<(), StoreError> {
        sqlx::query!("delete from daypass.strays where connection = $1 and name = $2", connection, name)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Has active leases taken back whose login is gone: a worker then makes sure of it. Answers those that still were active.
    pub async fn mark_lost(&mut self, ids: &[Uuid], reason: &str, now: OffsetDateTime) -> Result<Vec<Uuid>, StoreError> {
        Ok(sqlx::query_scalar!(
            "with lost as materialized (
                 select id from daypass.leases where id = any($1::uuid[]) and state = 'active' order by id for no key update
             )
             update daypass.leases l
             set state = 'revoking', due_at = $2, wanted_at = coalesce(l.wanted_at, $2), reason = $3
             from lost where l.id = lost.id returning l.id",
            ids,
            now,
            reason
        )
        .fetch_all(self.connection())
        .await?)
    }
}
