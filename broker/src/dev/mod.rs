//! Tools for trying Daypass out and for its tests: a private PostgreSQL, a CI issuer, certificates. Nothing of a real
//! installation uses them.

pub mod authority;
mod commands;
mod files;
pub mod issuer;
pub mod postgres;

pub use commands::{Command, run};

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}
