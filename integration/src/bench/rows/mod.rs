//! The rows, each with the measurement behind it.

pub mod connections;
pub mod disk;
pub mod exchange;
pub mod footprint;
pub mod logins;
pub mod many;
pub mod overload;
pub mod peers;
pub mod verify;
