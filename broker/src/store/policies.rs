//! Policy sets, whole, by the hash that audit records name, and which one was active when.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, Tx};

/// The files of a set, by relative path.
pub type Files = Vec<(String, String)>;

/// A set that became the active one.
#[derive(Clone, Debug)]
pub struct Activated {
    pub id: Uuid,
    pub hash: [u8; 32],
    /// Where it came from: a folder, an operator.
    pub source: String,
    pub at: OffsetDateTime,
}

impl Tx {
    /// Stores a set, unless it is stored, and notes that it became the active one.
    pub async fn activate_policy(&mut self, activated: &Activated, files: &Files) -> Result<(), StoreError> {
        let files = serde_json::to_value(files).map_err(|_| StoreError::Corrupt("policy_sets"))?;
        sqlx::query!(
            "insert into daypass.policy_sets (hash, files, stored_at) values ($1, $2, $3) on conflict do nothing",
            &activated.hash,
            files,
            activated.at
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "insert into daypass.policy_activations (id, hash, source, activated_at) values ($1, $2, $3, $4)",
            activated.id,
            &activated.hash,
            activated.source,
            activated.at
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// The files of a set that was once active.
    pub async fn policy_files(&self, hash: &[u8; 32]) -> Result<Option<Files>, StoreError> {
        let files = sqlx::query_scalar!("select files from daypass.policy_sets where hash = $1", hash)
            .fetch_optional(self.pool())
            .await?;
        files.map(|files| serde_json::from_value(files).map_err(|_| StoreError::Corrupt("policy_sets"))).transpose()
    }

    /// The latest activation.
    pub async fn latest_policy(&self) -> Result<Option<Activated>, StoreError> {
        let row = sqlx::query!(
            "select id, hash, source, activated_at from daypass.policy_activations order by activated_at desc, id desc limit 1"
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            let hash = row.hash.try_into().map_err(|_| StoreError::Corrupt("policy_activations"))?;
            Ok(Activated { id: row.id, hash, source: row.source, at: row.activated_at })
        })
        .transpose()
    }
}
