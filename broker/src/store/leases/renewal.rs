//! Letting a lease last longer, and taking that back where its target would not have it.

use domain::audit;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{Store, StoreError, one_row};

impl Store {
    /// Moves the end of an active lease from `from` to `to`, with what the log says of it. `false`: the lease is not active
    /// any more or ends at another moment, and nothing was changed.
    pub async fn move_lease_end(
        &self,
        id: Uuid,
        from: OffsetDateTime,
        to: OffsetDateTime,
        record: &audit::Record,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let moved = sqlx::query!(
            "update daypass.leases set expires_at = $1, due_at = $1
             where id = $2 and expires_at = $3 and state = 'active' and revocable",
            to,
            id,
            from
        )
        .execute(tx.connection())
        .await?;
        if !one_row(&moved) {
            return Ok(false);
        }
        tx.remember(std::slice::from_ref(record)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What is needed to undo a lease or to change its end in the target, as long as it is open.
    pub async fn lease_handle(&self, id: Uuid) -> Result<Option<domain::secret::Secret<Vec<u8>>>, StoreError> {
        let sealed = sqlx::query_scalar!("select handle from daypass.leases where id = $1 and due_at is not null", id)
            .fetch_optional(self.pool())
            .await?;
        match sealed {
            Some(sealed) => Ok(Some(self.0.keys.open(super::handle_place(&id), &sealed).await?)),
            None => Ok(None),
        }
    }
}
