//! A token in a file that something else keeps fresh (Kubernetes projects them so), or on standard input.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::ambient::{Found, Wanted, tidy};
use crate::failure::{Failure, Result};

/// Far above any token a broker takes; a wrong file is named instead of read whole.
const LARGEST: u64 = 64 << 10;

pub(super) fn token(wanted: &Wanted) -> Result<Option<Found>> {
    let Some(path) = &wanted.token_file else { return Ok(None) };
    let (place, text) = if path == Path::new("-") {
        ("standard input".to_owned(), read(std::io::stdin().lock()))
    } else {
        (format!("the token file {}", path.display()), File::open(path).and_then(read))
    };
    let text = text.map_err(|error| Failure::usage(format!("{place} cannot be read")).because(&error))?;
    Ok(Some(Found { token: tidy(text, &place)?, place }))
}

fn read(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_named_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "a.b.c\n").expect("written");
        let found = token(&Wanted { token_file: Some(path), ..Wanted::default() }).expect("readable").expect("found");
        assert_eq!(found.token.expose(), "a.b.c");
    }

    #[test]
    fn names_the_file_that_is_missing() {
        let failure = token(&Wanted { token_file: Some("/nowhere/token".into()), ..Wanted::default() }).expect_err("missing");
        assert!(failure.title.contains("/nowhere/token"), "{}", failure.title);
    }
}
