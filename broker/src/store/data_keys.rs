//! The identity of the deployment and the generations of its data key: made at first start, rotated while serving.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::secret::Secret;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, There, Tx, leases, secrets};
use crate::crypto::aead::Key256;
use crate::crypto::keyring::{Keyring, KeyringError, Place, Sealed};
use crate::crypto::seals::{Seal, Wrapped};
use crate::system::System;

/// A generation of the data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub u32);

/// How many records one round of rewrapping moved, and whether it found all that there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub moved: u64,
    pub done: bool,
}

/// The keyring with what it takes to read it anew.
#[derive(Debug)]
pub(super) struct Keys {
    pool: PgPool,
    system: System,
    seal: Arc<dyn Seal>,
    deployment: Uuid,
    ring: ArcSwap<Keyring>,
}

impl Keys {
    /// Opens what stands in the table; identity and first generation are made by whoever starts first.
    pub(super) async fn load_or_make(pool: PgPool, system: System, seal: Arc<dyn Seal>) -> Result<Self, StoreError> {
        let deployment = identity(&pool, &system).await?;
        let mut ring = load(&pool, seal.as_ref(), deployment).await?;
        if ring.is_none() {
            let mut connection = pool.acquire().await?;
            make(&mut connection, &system, seal.as_ref(), Wrapped { deployment, generation: 1 }).await?;
            drop(connection);
            // Another replica may have been first; what stands in the table holds.
            ring = load(&pool, seal.as_ref(), deployment).await?;
        }
        let ring = ring.ok_or(StoreError::Corrupt("data_keys"))?;
        Ok(Self { pool, system, seal, deployment, ring: ArcSwap::from_pointee(ring) })
    }

    pub(super) const fn deployment(&self) -> Uuid {
        self.deployment
    }

    pub(super) fn ring(&self) -> Arc<Keyring> {
        self.ring.load_full()
    }

    pub(super) async fn reload(&self) -> Result<(), StoreError> {
        let ring = load(&self.pool, self.seal.as_ref(), self.deployment).await?;
        self.ring.store(Arc::new(ring.ok_or(StoreError::Corrupt("data_keys"))?));
        Ok(())
    }

    pub(super) fn seal(&self, place: Place<'_>, clear: &[u8]) -> Result<Sealed, StoreError> {
        Ok(self.ring.load().seal(&self.system, place, clear)?)
    }

    /// Opens a record; one of a generation that another replica has just made as well.
    pub(super) async fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, StoreError> {
        let opened = self.ring.load().open(place, sealed);
        if let Err(KeyringError::UnknownGeneration(_)) = opened {
            self.reload().await?;
            return Ok(self.ring.load().open(place, sealed)?);
        }
        Ok(opened?)
    }
}

/// The deployment's id; made by whoever starts first.
async fn identity(pool: &PgPool, system: &System) -> Result<Uuid, StoreError> {
    let made = uuid::Builder::from_random_bytes(system.random()?).into_uuid();
    sqlx::query!(
        "insert into daypass.deployment (id, created_at) select $1, $2
         where not exists (select from daypass.deployment) on conflict do nothing",
        made,
        system.now()
    )
    .execute(pool)
    .await?;
    Ok(sqlx::query_scalar!("select id from daypass.deployment").fetch_one(pool).await?)
}

async fn load(pool: &PgPool, seal: &dyn Seal, deployment: Uuid) -> Result<Option<Keyring>, StoreError> {
    let rows =
        sqlx::query!("select generation, state, wrapped from daypass.data_keys order by generation").fetch_all(pool).await?;
    let mut keyring: Option<Keyring> = None;
    let mut older: Vec<(u32, Key256)> = Vec::new();
    for row in rows {
        let generation = u32::try_from(row.generation).map_err(|_| StoreError::Corrupt("data_keys"))?;
        let key = seal.unwrap(Wrapped { deployment, generation }, &row.wrapped).await?;
        if row.state == "active" {
            keyring = Some(Keyring::new(deployment, generation, key));
        } else {
            // Retired ones still open: a backup or a slow replica may bring one of their records back.
            older.push((generation, key));
        }
    }
    if keyring.is_none() && !older.is_empty() {
        return Err(StoreError::Corrupt("data_keys"));
    }
    Ok(older.into_iter().fold(keyring, |ring, (generation, key)| Some(ring?.with_older(generation, key))))
}

/// Makes an active generation, unless it exists. Answers whether it was made here.
async fn make(connection: &mut PgConnection, system: &System, seal: &dyn Seal, whose: Wrapped) -> Result<bool, StoreError> {
    let key = Secret::new(system.random::<32>()?);
    let wrapped = seal.wrap(system, whose, &key).await?;
    let generation = i32::try_from(whose.generation).map_err(|_| StoreError::Corrupt("data_keys"))?;
    let result = sqlx::query!(
        "insert into daypass.data_keys (generation, state, wrapped, created_at) values ($1, 'active', $2, $3)
         on conflict do nothing",
        generation,
        wrapped,
        system.now()
    )
    .execute(connection)
    .await?;
    Ok(super::one_row(&result))
}

impl Store {
    /// Reads the generations anew, as after a rotation by another replica.
    pub async fn reload_keys(&self) -> Result<(), StoreError> {
        self.whole(self.0.keys.reload()).await
    }

    /// The generation that seals now.
    pub fn active_generation(&self) -> Generation {
        Generation(self.0.keys.ring().active())
    }

    /// Makes a new generation the active one, with what the log says of it. Records move over by [`Store::rewrap`].
    pub async fn rotate(&self, audit: impl FnOnce(Generation) -> domain::audit::Record) -> Result<Generation, StoreError> {
        let mut tx = self.begin().await?;
        let generation = tx.new_generation().await?;
        tx.remember(&[audit(generation)]).await?;
        tx.commit().await?;
        self.reload_keys().await?;
        Ok(generation)
    }

    /// Moves up to `limit` records of each kind to the active generation. Any number of replicas may run it; it holds no
    /// lock but on what it moves, and stopped anywhere it leaves every record readable.
    pub async fn rewrap(&self, limit: i64) -> Result<Left, StoreError> {
        self.reload_keys().await?;
        let mut tx = self.begin().await?;
        let moved = leases::rewrap(&mut tx, limit).await?
            + secrets::rewrap(&mut tx, limit).await?
            + super::connections::rewrap(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(Left { moved, done: moved == 0 && self.left_behind().await? == 0 })
    }

    /// How many records stand under an older generation.
    pub async fn left_behind(&self) -> Result<i64, StoreError> {
        let active = generation_column(self.active_generation().0)?;
        let left = sqlx::query_scalar!(
            r#"select (select count(*) from daypass.leases where due_at is not null and generation < $1)
                    + (select count(*) from daypass.secret_versions where sealed is not null and generation < $1)
                    + (select count(*) from daypass.connections where generation < $1) as "left!""#,
            active
        )
        .fetch_one(self.pool())
        .there(self)
        .await?;
        Ok(left)
    }

    /// Retires the older generations when nothing stands under them any more. Their keys stay readable, for backups and
    /// for replicas that have not seen the rotation yet. Answers which were retired.
    pub async fn retire(
        &self,
        at: OffsetDateTime,
        audit: impl Fn(Generation) -> domain::audit::Record,
    ) -> Result<Vec<Generation>, StoreError> {
        if self.left_behind().await? > 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let rows = sqlx::query_scalar!(
            "update daypass.data_keys set state = 'retired', retired_at = $1 where state = 'retiring' returning generation",
            at
        )
        .fetch_all(tx.connection())
        .await?;
        let retired: Vec<_> = rows.into_iter().filter_map(|row| u32::try_from(row).ok()).map(Generation).collect();
        let records: Vec<_> = retired.iter().map(|generation| audit(*generation)).collect();
        tx.remember(&records).await?;
        tx.commit().await?;
        Ok(retired)
    }
}

impl Tx {
    async fn new_generation(&mut self) -> Result<Generation, StoreError> {
        // The update locks the active row, so that two rotations follow each other.
        let retiring =
            sqlx::query_scalar!("update daypass.data_keys set state = 'retiring' where state = 'active' returning generation")
                .fetch_all(self.connection())
                .await?;
        if retiring.is_empty() {
            return Err(StoreError::RotatedElsewhere);
        }
        let newest = sqlx::query_scalar!(r#"select max(generation) as "newest!" from daypass.data_keys"#)
            .fetch_one(self.connection())
            .await?;
        let generation = u32::try_from(newest).map_err(|_| StoreError::Corrupt("data_keys"))?.saturating_add(1);
        let keys = self.keys.clone();
        let whose = Wrapped { deployment: keys.deployment, generation };
        if !make(self.connection(), &keys.system, keys.seal.as_ref(), whose).await? {
            return Err(StoreError::RotatedElsewhere);
        }
        Ok(Generation(generation))
    }
}

/// A generation as its column holds it.
pub(super) fn generation_column(generation: u32) -> Result<i32, StoreError> {
    i32::try_from(generation).map_err(|_| StoreError::Corrupt("data_keys"))
}
