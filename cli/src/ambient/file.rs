//! A token in a file that something else keeps fresh (Kubernetes projects them so), or on standard input.

use crate::ambient::{Found, Wanted, tidy};
use crate::failure::Result;
use crate::input::read;

pub(super) fn token(wanted: &Wanted) -> Result<Option<Found>> {
    let Some(path) = &wanted.token_file else { return Ok(None) };
    let input = read(path)?;
    Ok(Some(Found { token: tidy(&input.text, &input.place)?, place: input.place }))
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
