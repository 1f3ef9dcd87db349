//! How much waits to be taken back from each target.

use time::OffsetDateTime;

use super::{Store, StoreError, There};

/// What waits to be taken back from one target.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The connection or, without one, the engine.
    pub target: String,
    /// Leases that a worker may claim now.
    pub due: i64,
    /// Leases that should be gone and are not.
    pub overdue: i64,
    /// Of those, the ones whose login is dead.
    pub fenced: i64,
    /// When the first of them was to be gone.
    pub since: OffsetDateTime,
}

impl Store {
    /// What waits to be taken back, target by target; `before` as in [`Store::late_leases`].
    pub async fn waiting(&self, now: OffsetDateTime, before: OffsetDateTime) -> Result<Vec<Waiting>, StoreError> {
        sqlx::query_as!(
            Waiting,
            r#"select coalesce(connection, engine) as "target!", count(*) filter (where due_at <= $1) as "due!",
                      count(*) filter (where coalesce(wanted_at, due_at) < $2) as "overdue!",
                      count(*) filter (where state = 'fenced') as "fenced!", min(coalesce(wanted_at, due_at)) as "since!"
               from daypass.leases
               where due_at is not null and state <> 'passive' and ((wanted_at is null and due_at <= $1) or wanted_at <= $1)
               group by 1"#,
            now,
            before
        )
        .fetch_all(self.pool())
        .there(self)
        .await
    }
}
