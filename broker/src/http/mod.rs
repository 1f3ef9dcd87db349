//! The front doors. They translate between the wire and the services, and nothing else.

pub mod admin;
pub mod edge;
mod guests;
pub mod hooks;
pub mod large;
pub mod layers;
pub mod native;
pub mod openapi;
pub mod ops;
pub mod problem;
pub use problem::status;
pub mod read;
pub mod tls;
