//! What is remembered, and in which words.

pub mod log;
