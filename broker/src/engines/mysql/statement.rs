//! What may stand in an entry of a statement set, and how texts of ours stand in statements.
//!
//! Our sessions set their own `sql_mode`, without `ANSI_QUOTES` and `NO_BACKSLASH_ESCAPES`: whatever the server's default says, a
//! backslash escapes, and both quotes hold texts.

/// Refuses what could not work, or would leave the session other than it was.
pub(super) fn check(statement: &str) -> Result<(), String> {
    let first = statement.split_whitespace().next().unwrap_or_default().trim_end_matches(';').to_ascii_lowercase();
    if first.is_empty() {
        return Err("an empty statement".to_owned());
    }
    if ["set", "use", "lock", "begin", "start", "xa", "prepare", "delimiter"].contains(&first.as_str()) {
        return Err(format!("`{first}` would change the session that Daypass works in"));
    }
    one(statement)?;
    let unknown = statement.split("{{").skip(1).find_map(|rest| {
        let place = rest.split_once("}}").map_or("", |(place, _)| place);
        (place != "name").then_some(place)
    });
    match unknown {
        Some("password" | "username") => Err("the account is already made; only `{{name}}` can stand here".to_owned()),
        Some(place) => Err(format!("`{{{{{place}}}}}` is not `{{{{name}}}}`")),
        None => Ok(()),
    }
}

/// The statement with the account put in.
pub(super) fn fill(statement: &str, account: &str) -> String {
    statement.replace("{{name}}", account)
}

/// `text` as a literal, under the `sql_mode` of our sessions.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Refuses more than one statement, and what is left open.
fn one(statement: &str) -> Result<(), String> {
    let mut rest = statement;
    let mut ended = false;
    while let Some(sign) = rest.chars().next() {
        let dashes =
            rest.strip_prefix("--").is_some_and(|after| after.chars().next().is_none_or(|c| c.is_whitespace() || c.is_control()));
        let length = if sign == '#' || dashes {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*!") || rest.to_ascii_lowercase().starts_with("/*m!") {
            return Err("a comment that some servers run; write what you mean".to_owned());
        } else if rest.starts_with("/*") {
            // These do not nest.
            rest.get(2..).and_then(|inner| inner.find("*/")).ok_or("a comment that does not end")? + 4
        } else if sign == ';' {
            ended = true;
            1
        } else if sign.is_whitespace() {
            sign.len_utf8()
        } else if ended {
            return Err("an entry is one statement; write the next one as an entry of its own".to_owned());
        } else if matches!(sign, '\'' | '"' | '`') {
            quoted(rest, sign).ok_or("a quote that does not end")?
        } else {
            sign.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// The length of the quote that `text` begins with. A doubled sign stands for itself: it ends one quote and begins the next.
fn quoted(text: &str, sign: char) -> Option<usize> {
    let mut signs = text.char_indices().skip(1);
    while let Some((at, next)) = signs.next() {
        if next == '\\' && sign != '`' {
            signs.next();
        } else if next == sign {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_statements_that_change_the_session() {
        for statement in ["set sql_mode = ''", "SET names latin1;", "use shop", "lock tables x read", "begin", "", " "] {
            assert!(check(statement).is_err(), "{statement}");
        }
        assert_eq!(check("grant select on shop.* to {{name}}"), Ok(()));
    }

    #[test]
    fn refuses_places_it_does_not_know() {
        for statement in
            ["grant x to {{ name }}", "grant x to {{user}}", "select '{{password}}'", "select {{expiration}}", "grant {{name"]
        {
            assert!(check(statement).is_err(), "{statement}");
        }
    }

    #[test]
    fn refuses_more_than_one_statement() {
        for statement in [
            "grant a to {{name}}; drop user root",
            "grant a to {{name}};grant b to {{name}}",
            "select ';' ; select 1",
            "select '\\''; select 1 --'",
            "select 1 /* /* */; select 2 */",
            "select 1 /*! ; drop user root */",
            "select 1 /*M! ; drop user root */",
            "select 1 --; select 2",
            "select 1 #\n; select 2",
            "select 'open",
            "select `open",
            "select 1 /* open",
        ] {
            assert!(check(statement).is_err(), "{statement}");
        }
    }

    #[test]
    fn takes_semicolons_that_end_nothing() {
        for statement in [
            "grant a to {{name}};",
            "grant a to {{name}} ; -- why; because",
            "grant a to {{name}} # why; because",
            "grant a to {{name}} /* a; b */ ;",
            "select 'a; b''; c', \"x;y\", `p;q`, '\\'; x'",
            "select `a\\`, 1",
        ] {
            assert_eq!(check(statement), Ok(()), "{statement}");
        }
    }

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(literal("a'; drop user root -- "), "'a''; drop user root -- '");
        assert_eq!(literal("a\\'; x"), "'a\\\\''; x'");
        assert_eq!(check(&format!("select {}", literal("\\'; select 1; --\\"))), Ok(()));
    }
}
