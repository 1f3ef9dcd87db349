//! What keeps the root key, one file each.

pub mod environment;
pub mod file;
pub mod seal;

pub use environment::Environment;
pub use file::File;
pub use seal::{Seal, SealError, Wrapped};
