//! The engines, one file each.

pub mod aws;
pub mod engine;
pub mod kv;
mod login;
pub mod mysql;
mod pool;
pub mod postgres;
mod registry;
mod target;

use engine::EngineError;
pub use login::{lease_of, name as login_name};
pub use registry::Engines;

/// What the broker's configuration says about engines: `[engine.<name>]`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub aws: aws::Settings,
}

/// Every engine of this broker.
pub fn all(settings: &Settings) -> Result<Engines, EngineError> {
    Ok(Engines::default()
        .with(postgres::Postgres::default())
        .with(mysql::Mysql::default())
        .with(aws::Aws::new(settings.aws.clone())?)
        .with(kv::Kv))
}
