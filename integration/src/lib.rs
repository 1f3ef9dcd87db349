//! What the whole-broker tests stand on: databases of their own on a real PostgreSQL, a CI issuer over HTTPS, real broker
//! processes, and one broker inside the test's own process for what needs a fixed clock.
//!
//! `DATABASE_URL` names a superuser on a cluster that the tests may use as they like; `./dev test` makes one. Everything
//! that is made there is dropped when the value that stands for it is dropped.

pub mod answer;
pub mod bench;
pub mod chaos;
pub mod ci;
pub mod cluster;
pub mod gate;
pub mod ground;
pub mod inside;
pub mod mariadb;
pub mod pair;
pub mod replica;
