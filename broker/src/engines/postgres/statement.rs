//! What may stand in an entry of a statement set: one statement, which leaves the transaction that it runs in alone.

/// Refuses what could not work or would tear the transaction apart.
pub(super) fn check(statement: &str) -> Result<(), String> {
    let first = statement.split_whitespace().next().unwrap_or_default().trim_end_matches(';').to_ascii_lowercase();
    if first.is_empty() {
        return Err("an empty statement".to_owned());
    }
    if ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "prepare"].contains(&first.as_str()) {
        return Err("the statements of a set run in one transaction of Daypass's own".to_owned());
    }
    one(statement)?;
    let unknown = statement.split("{{").skip(1).find_map(|rest| {
        let place = rest.split_once("}}").map_or("", |(place, _)| place);
        (!["name", "expiration"].contains(&place)).then_some(place)
    });
    match unknown {
        Some("password" | "username") => {
            Err("the role is already made; only `{{name}}` and `{{expiration}}` can stand here".to_owned())
        }
        Some(place) => Err(format!("`{{{{{place}}}}}` is neither `{{{{name}}}}` nor `{{{{expiration}}}}`")),
        None => Ok(()),
    }
}

/// Refuses more than one statement, and what is left open and would swallow what comes after it.
fn one(statement: &str) -> Result<(), String> {
    let mut rest = statement;
    let mut ended = false;
    // What stands before a sign decides what the sign means.
    let mut before = ' ';
    while let Some(sign) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest).ok_or("a comment that does not end")?
        } else if sign == ';' {
            ended = true;
            1
        } else if sign.is_whitespace() {
            sign.len_utf8()
        } else if ended {
            return Err("an entry is one statement; write the next one as an entry of its own".to_owned());
        } else if sign == '\'' || sign == '"' {
            quoted(rest, sign, sign == '\'' && before.eq_ignore_ascii_case(&'e')).ok_or("a quote that does not end")?
        } else if sign == '$' && !(before.is_alphanumeric() || before == '_' || before == '$') {
            dollars(rest).ok_or("a dollar quote that does not end")?
        } else {
            sign.len_utf8()
        };
        before = sign;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// The length of the comment that `text` begins with. They nest.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next()?.len_utf8();
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The length of the quote that `text` begins with. A doubled sign stands for itself: it ends one quote and begins the next.
fn quoted(text: &str, sign: char, escapes: bool) -> Option<usize> {
    let mut signs = text.char_indices().skip(1);
    while let Some((at, next)) = signs.next() {
        if next == '\\' && escapes {
            signs.next();
        } else if next == sign {
            return Some(at + 1);
        }
    }
    None
}

/// The length of the dollar quote that `text` begins with; of the one sign, where it begins none.
fn dollars(text: &str) -> Option<usize> {
    let Some((tag, _)) = text.get(1..)?.split_once('$') else { return Some(1) };
    let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_tag {
        return Some(1);
    }
    let fence = text.get(..tag.len() + 2)?;
    Some(fence.len() + text.get(fence.len()..)?.find(fence)? + fence.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_statements_that_end_the_transaction() {
        for statement in ["commit", "COMMIT;", " rollback ", "begin", "prepare transaction 'x'", "", " "] {
            assert!(check(statement).is_err(), "{statement}");
        }
        assert_eq!(check("grant shop to {{name}}"), Ok(()));
    }

    #[test]
    fn refuses_places_it_does_not_know() {
        for statement in ["grant x to {{ name }}", "grant x to {{user}}", "alter role x password '{{password}}'", "grant {{name"]
        {
            assert!(check(statement).is_err(), "{statement}");
        }
    }

    #[test]
    fn refuses_more_than_one_statement() {
        for statement in [
            "grant a to {{name}}; commit",
            "grant a to {{name}};grant b to {{name}}",
            "select ';' ; select 1",
            "select $$;$$; select 1",
            "select 1; /* ; */ commit -- x",
            "select e'\\''; commit --'",
            "select 'open",
            "select \"open",
            "select $a$ ; $b$",
            "select 1 /* /* */ open",
        ] {
            assert!(check(statement).is_err(), "{statement}");
        }
    }

    #[test]
    fn takes_semicolons_that_end_nothing() {
        for statement in [
            "grant a to {{name}};",
            "grant a to {{name}} ; -- why; because",
            "grant a to {{name}} /* a; b /* c; */ */ ;",
            "comment on role {{name}} is 'a; b''; c'",
            "alter role {{name}} set \"x;y\" to 1",
            "do $$ begin perform 1; perform 2; end $$",
            "do $body$ begin perform '$$;'; end $body$;",
            "select e'\\'; x'",
            "select a$b$ from t",
        ] {
            assert_eq!(check(statement), Ok(()), "{statement}");
        }
    }
}
