//! Letting a lease last longer, and taking that back where its target would not have it.

use domain::audit;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{Store, StoreError, There, one_row};

/// One renewal's step of a lease's end.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub lease: Uuid,
    /// The decision of the renewal.
    pub renewal: Uuid,
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
}

impl Store {
    /// Moves the end of an active lease, with what the log says of it. `false`: the lease is not active any more or ends at
    /// another moment, and nothing was changed.
    pub async fn move_lease_end(&self, step: &Step, record: &audit::Record) -> Result<bool, StoreError> {
        self.move_end(step, None, record).await
    }

    /// Takes such a step back. `false`: the same, or another renewal counts on the end by now.
    pub async fn move_lease_end_back(&self, step: &Step, record: &audit::Record) -> Result<bool, StoreError> {
        let back = Step { from: step.to, to: step.from, ..*step };
        self.move_end(&back, Some(step.renewal), record).await
    }

    /// Has a renewal count on the end that a lease has, so that no other takes it back. `false`: the lease is not active any more
    /// or ends at another moment.
    pub async fn count_on_lease_end(&self, id: Uuid, end: OffsetDateTime, renewal: Uuid) -> Result<bool, StoreError> {
        let counted = sqlx::query!(
            "update daypass.leases set renewal = $1 where id = $2 and expires_at = $3 and state = 'active' and revocable",
            renewal,
            id,
            end
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(one_row(&counted))
    }

    async fn move_end(&self, step: &Step, last: Option<Uuid>, record: &audit::Record) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let moved = sqlx::query!(
            "update daypass.leases set expires_at = $1, due_at = $1, renewal = $4
             where id = $2 and expires_at = $3 and state = 'active' and revocable and ($5::uuid is null or renewal = $5)",
            step.to,
            step.lease,
            step.from,
            step.renewal,
            last
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
            .there(self)
            .await?;
        match sealed {
            Some(sealed) => Ok(Some(self.0.keys.open(super::handle_place(&id), &sealed).await?)),
            None => Ok(None),
        }
    }
}
