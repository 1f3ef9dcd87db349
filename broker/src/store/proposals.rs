//! Policy sets that wait for a second operator.

use time::OffsetDateTime;
use uuid::Uuid;

use super::policies::{Author, hash};
use super::{Store, StoreError, There, Tx, one_row};

/// A set that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub id: Uuid,
    pub hash: [u8; 32],
    /// The set in whose place it can become active.
    pub base: [u8; 32],
    pub author: Author,
    /// Tells its author from other people.
    pub person: [u8; 32],
    pub reason: String,
    pub at: OffsetDateTime,
}

/// A set that waited until it was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    pub hash: [u8; 32],
    pub author: Author,
    pub reason: String,
    pub proposed_at: OffsetDateTime,
    pub by: Author,
    pub at: OffsetDateTime,
}

impl Tx {
    /// Has a stored set wait, in place of an earlier proposal of the same set.
    pub async fn propose_policy(&mut self, proposal: &Proposal) -> Result<(), StoreError> {
        let Proposal { id, hash, base, author, person, reason, at } = proposal;
        sqlx::query!(
            "update daypass.policy_proposals set outcome = 'replaced', decided_at = $2 where hash = $1 and outcome is null",
            hash,
            at
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "insert into daypass.policy_proposals (id, hash, base, author, author_session, person, reason, proposed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            id,
            hash,
            base,
            author.name,
            author.session,
            person,
            reason,
            at
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Ends the waiting of a proposal that has become active. `false`: it waits no more.
    pub async fn approve_policy(&mut self, id: Uuid, now: OffsetDateTime) -> Result<bool, StoreError> {
        let approved = sqlx::query!(
            "update daypass.policy_proposals set outcome = 'approved', decided_at = $2 where id = $1 and outcome is null",
            id,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(one_row(&approved))
    }

    /// Ends the waiting of a proposal that is taken back. `false`: it waits no more.
    pub async fn withdraw_policy(&mut self, id: Uuid, by: &Author, now: OffsetDateTime) -> Result<bool, StoreError> {
        let withdrawn = sqlx::query!(
            "update daypass.policy_proposals
             set outcome = 'withdrawn', decided_at = $2, withdrawer = $3, withdrawer_session = $4
             where id = $1 and outcome is null",
            id,
            now,
            by.name,
            by.session
        )
        .execute(self.connection())
        .await?;
        Ok(one_row(&withdrawn))
    }
}

impl Store {
    /// The proposals that wait, the newest first.
    pub async fn proposals(&self) -> Result<Vec<Proposal>, StoreError> {
        let rows = sqlx::query!(
            "select id, hash, base, author, author_session, person, reason, proposed_at
             from daypass.policy_proposals where outcome is null order by id desc"
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        let proposal = rows.into_iter().map(|row| {
            Ok(Proposal {
                id: row.id,
                hash: hash(row.hash)?,
                base: hash(row.base)?,
                author: Author { name: row.author, session: row.author_session },
                person: hash(row.person)?,
                reason: row.reason,
                at: row.proposed_at,
            })
        });
        proposal.collect()
    }

    /// Whether the latest proposal of a set was taken back.
    pub async fn is_withdrawn(&self, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let latest = sqlx::query_scalar!(
            r#"select outcome is not distinct from 'withdrawn' as "withdrawn!" from daypass.policy_proposals
               where hash = $1 order by id desc limit 1"#,
            hash
        );
        Ok(latest.fetch_optional(self.pool()).there(self).await?.unwrap_or(false))
    }

    /// The latest proposals that were taken back, the newest first; of one set, where that is told.
    pub async fn withdrawn_policies(&self, of: Option<&[u8; 32]>, limit: i64) -> Result<Vec<Withdrawn>, StoreError> {
        let rows = sqlx::query!(
            r#"select hash, author, author_session, reason, proposed_at,
                      withdrawer as "withdrawer!", withdrawer_session as "withdrawer_session!", decided_at as "decided_at!"
               from daypass.policy_proposals where outcome = 'withdrawn' and ($1::bytea is null or hash = $1)
               order by id desc limit $2"#,
            of.map(<[u8; 32]>::as_slice),
            limit
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        let withdrawn = rows.into_iter().map(|row| {
            Ok(Withdrawn {
                hash: hash(row.hash)?,
                author: Author { name: row.author, session: row.author_session },
                reason: row.reason,
                proposed_at: row.proposed_at,
                by: Author { name: row.withdrawer, session: row.withdrawer_session },
                at: row.decided_at,
            })
        });
        withdrawn.collect()
    }
}
