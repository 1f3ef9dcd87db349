//! What a role can yield: one file per engine with its parameters and limits, so that offline checks know them. One line
//! here per engine.

pub mod aws;
pub mod database;
pub mod engine;
pub mod kv;
pub mod operator;
pub mod template;

use database::Database;
use engine::Engine;

/// Every engine that a policy may name.
pub static ENGINES: &[&dyn Engine] =
    &[&aws::Aws, &Database(database::POSTGRES), &Database(database::MYSQL), &kv::Kv, &operator::Operator];

/// The engine of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.name() == name)
}

#[cfg(test)]
mod tests;
