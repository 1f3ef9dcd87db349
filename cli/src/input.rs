//! What a user hands in as a file, or as `-` on standard input.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

pub(crate) const STANDARD_INPUT: &str = "-";
/// Above the largest request that a broker takes; a wrong file is named instead of read whole.
const LARGEST: u64 = 16 << 20;

pub(crate) struct Input {
    /// Where it was found, for messages.
    pub(crate) place: String,
    pub(crate) text: Zeroizing<String>,
}

/// Reads a file, or standard input.
pub(crate) fn read(file: &Path) -> Result<Input> {
    let (place, text) = if file == Path::new(STANDARD_INPUT) {
        ("standard input".to_owned(), whole(std::io::stdin().lock()))
    } else {
        (file.display().to_string(), File::open(file).and_then(whole))
    };
    let text = text.map_err(|error| Failure::usage(format!("{place} cannot be read")).because(&error))?;
    Ok(Input { place, text })
}

fn whole(from: impl Read) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}
