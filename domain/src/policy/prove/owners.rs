//! Whether files may say more than before. Owners of one file add up, and a file without an owner may say anything, so this looks
//! at each owner beside all others, and at what became of the file that a role stands in.

use std::collections::BTreeSet;

use super::budget::Budget;
use super::gives::Difference;
use super::language::{Automaton, Texts, TooLarge, shortest};
use crate::policy::glob::Glob;
use crate::policy::pattern::Pattern;
use crate::policy::set::{Owner, PolicySet};

/// The longest path that is looked for in two globs.
const LONGEST_PATH: usize = 4096;

pub(super) fn differences(old: &PolicySet, new: &PolicySet, out: &mut Vec<Difference>) {
    let names: BTreeSet<String> = old.owners().iter().chain(new.owners()).map(|owner| owner.files.to_string()).collect();
    for name in names {
        let find = |set: &PolicySet| set.owners().iter().find(|owner| owner.files.to_string() == name).cloned();
        let (was, is) = (find(old), find(new));
        let widens = match (&was, &is) {
            (Some(was), Some(is)) => !within(is, was),
            (Some(_), None) => true,
            // Beside an owner that was there it adds to what some file may say.
            (None, Some(is)) => old.owners().iter().any(|other| meet(&other.files, &is.files) && !within(is, other)),
            (None, None) => false,
        };
        let (was, is) = (was.as_ref().map(reach), is.as_ref().map(reach));
        if was != is {
            out.push(Difference { kind: "owner", name, field: String::new(), old: was, new: is, widens });
        }
    }
    for role in new.roles() {
        let Some(before) = old.role(&role.name) else { continue };
        let (was, is) = (old.owners_of(before), new.owners_of(role));
        let freed = !was.is_empty() && (is.is_empty() || !is.iter().all(|is| was.iter().any(|was| within(is, was))));
        let (was, is) = (files(&was), files(&is));
        if was != is {
            let (name, field) = (role.name.clone(), "owner".to_owned());
            out.push(Difference { kind: "role", name, field, old: Some(was), new: Some(is), widens: freed });
        }
    }
}

fn files(owners: &[&Owner]) -> String {
    let files: BTreeSet<String> = owners.iter().map(|owner| owner.files.to_string()).collect();
    if files.is_empty() { "nobody".to_owned() } else { files.into_iter().collect::<Vec<_>>().join(" and ") }
}

fn reach(owner: &Owner) -> String {
    let roles = owner.roles.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let list = |items: &BTreeSet<String>| items.iter().cloned().collect::<Vec<_>>().join(", ");
    let kv: Vec<&str> = owner.kv.iter().map(Glob::as_str).collect();
    let (connections, accounts) = (list(&owner.connections), list(&owner.aws_accounts));
    format!("roles {roles}; connections {connections}; kv {}; aws_accounts {accounts}", kv.join(", "))
}

/// Whether the first may speak of nothing that the second may not. Errs on the side of no.
fn within(narrow: &Owner, wide: &Owner) -> bool {
    let roles = match (&narrow.roles, &wide.roles) {
        (None, _) => true,
        (Some(narrow), Some(wide)) => covers(wide, narrow),
        (Some(_), None) => false,
    };
    roles
        && narrow.connections.is_subset(&wide.connections)
        && narrow.aws_accounts.is_subset(&wide.aws_accounts)
        && narrow.kv.iter().all(|path| wide.kv.iter().any(|glob| glob == path || glob.covers(path)))
}

fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    match (wide, narrow) {
        (Pattern::Present, _) | (_, Pattern::Absent) => true,
        (wide, Pattern::OneOf(names)) => names.iter().all(|name| name.as_text().is_some_and(|name| wide.takes_text(name))),
        (Pattern::Glob(wide), Pattern::Glob(narrow)) => wide == narrow || wide.covers(narrow),
        _ => false,
    }
}

/// Whether a file can lie in both. Errs on the side of yes.
fn meet(one: &Pattern, other: &Pattern) -> bool {
    match (one, other) {
        (Pattern::Absent, _) | (_, Pattern::Absent) => false,
        (Pattern::OneOf(names), pattern) | (pattern, Pattern::OneOf(names)) => {
            names.iter().filter_map(|name| name.as_text()).any(|name| pattern.takes_text(name))
        }
        (Pattern::Glob(one), Pattern::Glob(other)) => share(one, other).unwrap_or(true),
        (Pattern::Present, _) | (_, Pattern::Present) => true,
    }
}

fn share(one: &Glob, other: &Glob) -> Result<bool, TooLarge> {
    let automaton = |glob: &Glob| Automaton::of(&Texts::Glob { glob: glob.clone(), fold: false });
    let (one, other) = (automaton(one)?, automaton(other)?);
    let mut budget = Budget::new(Budget::ALL);
    budget.ask();
    Ok(shortest(&[(&one, true), (&other, true)], LONGEST_PATH, &mut budget)?.is_some())
}
