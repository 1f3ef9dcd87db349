//! `accept = { lint = "reason" }`: findings of `policy check` that the set lets stand. Unlike a waiver it changes no decision.

use toml::de::DeTable;

use crate::policy::lint::LINTS;
use crate::policy::read::Reader;
use crate::policy::set::Accept;

pub(super) fn read(reader: &Reader<'_>, table: &DeTable<'_>) -> Vec<Accept> {
    let Some(table) = table.get("accept").and_then(|node| reader.table(node, "accept")) else { return Vec::new() };
    let mut accepted = Vec::new();
    for (key, node) in table {
        let lint = key.get_ref().to_string();
        if !LINTS.iter().any(|known| known.name == lint) {
            let message = format!("there is no lint `{}`; docs/lints.md lists them", lint.escape_debug());
            let near = LINTS.iter().map(|lint| lint.name);
            reader.report(reader.problem(&key.span(), "unknown-lint", message).nearest(&lint, near));
        }
        let Some(reason) = reader.text(table, &lint) else { continue };
        if reason.get_ref().trim().is_empty() {
            reader.report(reader.problem(&reason.span(), "accept-reason", format!("`{lint}` is accepted without a reason")));
        }
        let place = reader.place(&(key.span().start..node.span().end));
        accepted.push(Accept { lint, reason: reason.into_inner(), place });
    }
    accepted.sort_by(|a, b| a.lint.cmp(&b.lint));
    accepted
}
