//! What is remembered, in PostgreSQL. SQL stands here and nowhere else.

mod connections;

pub use connections::{Connection, Connections};
