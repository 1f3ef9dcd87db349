//! The last good key set of each issuer, so that a restart during an issuer's outage has it. Whoever can write the table
//! cannot put keys of their own there: each row stands under a MAC. A row counts only for the place its keys came from.

use time::OffsetDateTime;

use super::{Store, StoreError, There};
use crate::crypto::keyring::compound;

const LABEL: &str = "issuer_keys";

impl Store {
    /// The key set of `issuer` that came from `origin`, and when it was fetched. A row that was changed by anyone else is none.
    pub async fn issuer_keys(&self, issuer: &str, origin: &[u8; 32]) -> Result<Option<(Vec<u8>, OffsetDateTime)>, StoreError> {
        let row = sqlx::query!(
            "select body, fetched_at, mac from daypass.issuer_keys where issuer = $1 and origin = $2",
            issuer,
            origin.as_slice()
        )
        .fetch_optional(self.pool())
        .there(self)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let message = message(issuer, origin, row.fetched_at, &row.body);
        if !self.0.keys.ring().has_mac(LABEL, &message, &row.mac) {
            // A generation that this replica has not seen yet may have made it.
            self.reload_keys().await?;
            if !self.0.keys.ring().has_mac(LABEL, &message, &row.mac) {
                tracing::error!(issuer, "the stored keys of an issuer were changed by something else and are not used");
                return Ok(None);
            }
        }
        Ok(Some((row.body, row.fetched_at)))
    }

    /// Keeps a key set, unless a newer one of the same origin is kept.
    pub async fn save_issuer_keys(
        &self,
        issuer: &str,
        origin: &[u8; 32],
        body: &[u8],
        fetched_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        // The database keeps whole microseconds, and the MAC covers what it keeps.
        let fetched_at = fetched_at.replace_nanosecond(fetched_at.microsecond() * 1_000).unwrap_or(fetched_at);
        let mac = self.0.keys.ring().mac(LABEL, &message(issuer, origin, fetched_at, body))?;
        sqlx::query!(
            "insert into daypass.issuer_keys (issuer, origin, body, fetched_at, mac) values ($1, $2, $3, $4, $5)
             on conflict (issuer) do update
             set origin = excluded.origin, body = excluded.body, fetched_at = excluded.fetched_at, mac = excluded.mac
             where issuer_keys.fetched_at < excluded.fetched_at or issuer_keys.origin <> excluded.origin",
            issuer,
            origin.as_slice(),
            body,
            fetched_at,
            &mac
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(())
    }
}

fn message(issuer: &str, origin: &[u8; 32], fetched_at: OffsetDateTime, body: &[u8]) -> Vec<u8> {
    compound(&[issuer.as_bytes(), origin, &fetched_at.unix_timestamp_nanos().to_be_bytes(), body])
}
