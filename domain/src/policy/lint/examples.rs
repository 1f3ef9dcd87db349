//! Examples say only what they are about; the rest of a set is put in here, for tests and for the curious.

use std::fmt::Write;

const ISSUERS: &[(&str, &str, &str)] = &[
    ("github", "https://token.actions.githubusercontent.com", "repository_id = \"637712\"\nref = \"refs/heads/main\""),
    ("gitlab", "https://gitlab.com", "project_id = \"4242\"\nref_path = \"refs/heads/main\"\nref_protected = \"true\""),
];

/// A set that can be loaded: the example with the issuers, rows and credentials that it leaves out.
pub fn whole(example: &str) -> String {
    let mut text = example.to_owned();
    for (name, url, row) in ISSUERS {
        let used = named(example, "issuer = ").any(|issuer| issuer == *name);
        let defined = heads(example, "[issuer.").any(|issuer| issuer == *name);
        if used && !defined {
            put(
                &mut text,
                format_args!(
                    "\n[issuer.{name}]\nkind = \"{name}\"\nurl = \"{url}\"\naudience = \"https://daypass.acme.example\"\n"
                ),
            );
        }
        if defined && !used {
            put(&mut text, format_args!("\n[[role.{name}.allow]]\nissuer = \"{name}\"\n{row}\n"));
        }
    }
    let complete = text.clone();
    let mut roles: Vec<&str> = heads(&complete, "[[role.").collect();
    roles.dedup();
    for role in roles {
        if !complete.contains(&format!("[role.{role}.credential.")) {
            put(&mut text, format_args!("\n[role.{role}.credential.registry]\nengine = \"kv\"\npath = \"shop/registry\"\n"));
        }
    }
    text
}

/// The names that follow `head` at the beginning of a line, up to the next dot or bracket.
fn heads<'t>(text: &'t str, head: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| line.strip_prefix(head)?.split(['.', ']']).next())
}

/// The values of a key, however it is aligned.
fn named<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = String> {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().filter_map(move |line| Some(plain(line).strip_prefix(key)?.trim_matches('"').to_owned()))
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}
