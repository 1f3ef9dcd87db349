//! A broker inside this process, whose clock stands still.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use broker::app::{House, Run};
use broker::config;
use broker::system::{Clock, System};
use broker::telemetry::Telemetry;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::answer::Door;
use crate::replica::client;

#[derive(Debug)]
struct Still(OffsetDateTime);

impl Clock for Still {
    fn now(&self) -> OffsetDateTime {
        self.0
    }
}

/// A broker of this process.
#[derive(Debug)]
pub struct Inside {
    pub native: Door,
    stop: CancellationToken,
    lives: JoinHandle<()>,
}

impl Inside {
    /// Starts one for which it is always `now` (seconds since 1970).
    pub async fn at(now: i64, file: &Path) -> Result<Self> {
        let config = config::load(file)?;
        let telemetry = Telemetry::start(&config.telemetry, "test")?;
        let stop = CancellationToken::new();
        let (real, following) = System::real();
        let system = System { clock: Arc::new(Still(OffsetDateTime::from_unix_timestamp(now)?)), entropy: real.entropy };
        let built = House::build(&config, &telemetry, Run::Front, (system, following), &stop).await?;
        let house = built.context("the broker was not built")?;
        let addresses = house.addresses();
        let (_, address) = addresses.iter().find(|(name, _)| *name == "native").context("no native listener")?;
        let native = Door { base: format!("http://{address}"), client: client()? };
        let (file, hangup, until) = (file.to_owned(), broker::app::hangups()?, stop.clone());
        let lives = tokio::spawn(async move {
            house.live(&file, hangup, until).await;
            drop(telemetry);
        });
        Ok(Self { native, stop, lives })
    }

    pub async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.lives.await?)
    }
}
