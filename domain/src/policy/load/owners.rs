//! `[[owner]]`.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::DeTable;

use super::conditions;
use crate::policy::glob::Glob;
use crate::policy::read::Reader;
use crate::policy::set::Owner;

pub(in crate::policy) const KEYS: &[&str] = &["files", "roles", "connections", "kv", "aws_accounts"];

pub(super) fn read(reader: &Reader<'_>, document: &DeTable<'_>, owners: &mut Vec<Owner>) {
    let Some(node) = document.get("owner") else { return };
    for (span, table) in reader.tables(node, "owner") {
        reader.only(table, "an owner", KEYS);
        let text = |key: &str| table.get(key).and_then(|node| name_pattern(reader, node, key));
        let texts = |key: &str| reader.texts(table, key).into_iter().map(Spanned::into_inner).collect::<BTreeSet<_>>();
        if !table.contains_key("files") {
            reader.missing(&span, "an owner", "files", "a glob over files, such as \"teams/shop/*.toml\"");
        }
        let mut kv = Vec::new();
        for path in reader.texts(table, "kv") {
            match Glob::new(path.get_ref()) {
                Ok(glob) => kv.push(glob),
                Err(reason) => reader.report(reader.problem(&path.span(), "glob", format!("`kv`: {reason}"))),
            }
        }
        kv.sort();
        for account in reader.texts(table, "aws_accounts") {
            if account.get_ref().len() != 12 || !account.get_ref().bytes().all(|byte| byte.is_ascii_digit()) {
                reader.report(reader.problem(&account.span(), "parameter", "an AWS account is a string of twelve digits"));
            }
        }
        let files = table.get("files").and_then(|node| files(reader, node));
        let roles = text("roles");
        let Some(files) = files else { continue };
        owners.push(Owner {
            files,
            roles,
            connections: texts("connections"),
            kv,
            aws_accounts: texts("aws_accounts"),
            place: reader.place(&span),
        });
    }
}

/// Files are named by a glob even without saying so.
fn files(reader: &Reader<'_>, node: &crate::policy::read::Node<'_>) -> Option<crate::policy::pattern::Pattern> {
    use crate::policy::pattern::{Pattern, Value};
    let pattern = name_pattern(reader, node, "files")?;
    if let Some([Value::Text(text)]) = pattern.values()
        && text.contains('*')
    {
        return match Glob::new(text) {
            Ok(glob) => Some(Pattern::Glob(glob)),
            Err(reason) => {
                reader.report(reader.problem(&node.span(), "glob", format!("`files`: {reason}")));
                None
            }
        };
    }
    Some(pattern)
}

fn name_pattern(reader: &Reader<'_>, node: &crate::policy::read::Node<'_>, key: &str) -> Option<crate::policy::pattern::Pattern> {
    conditions::pattern(reader, node, key, None)
}
