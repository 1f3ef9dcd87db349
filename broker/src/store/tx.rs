//! A change of several steps, for everything that is not on the path of the group writer.

use std::sync::Arc;

use domain::audit;
use sqlx::{PgConnection, Postgres, Transaction};

use super::StoreError;
use super::data_keys::Keys;

/// An open transaction. The verbs of each table stand in that table's file. Dropped without [`Tx::commit`], nothing
/// happened.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    pub(super) keys: Arc<Keys>,
}

impl Tx {
    pub(super) fn new(inner: Transaction<'static, Postgres>, keys: Arc<Keys>) -> Self {
        Self { inner, keys }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// From here on statements are planned for the values that they are asked with. Planned once, a statement of many
    /// conditions of which most say nothing reads every row, because each of them may be the one that says something.
    pub(super) async fn plan_for_values(&mut self) -> Result<(), StoreError> {
        sqlx::raw_sql("set local plan_cache_mode = force_custom_plan; set local enable_seqscan = on")
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Writes what happened, in the same transaction as the change that it tells of.
    pub async fn remember(&mut self, records: &[audit::Record]) -> Result<(), StoreError> {
        super::audit::insert(self.connection(), records).await
    }

    /// Makes it all durable. After an error of the connection it is not known whether it happened.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}
