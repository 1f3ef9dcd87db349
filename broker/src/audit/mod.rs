//! What is remembered, and in which words.

pub mod asked;
pub mod log;
pub mod shadowed;
