//! Single-use tokens for the first operator of an installation.

use time::OffsetDateTime;

use super::{StoreError, Tx};

/// What a token becomes when it is spent.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    pub role: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

impl Tx {
    pub async fn make_bootstrap(&mut self, bootstrap: &Bootstrap) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into daypass.bootstrap_tokens (token_hash, role, created_at, expires_at) values ($1, $2, $3, $4)",
            &bootstrap.token_hash,
            bootstrap.role,
            bootstrap.created_at,
            bootstrap.expires_at
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Spends the token. Answers its role; `None`: there is none, it has expired, or it was spent.
    pub async fn spend_bootstrap(&mut self, token_hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "update daypass.bootstrap_tokens set used_at = $2
             where token_hash = $1 and used_at is null and expires_at > $2 returning role",
            token_hash,
            now
        )
        .fetch_optional(self.connection())
        .await?)
    }
}
