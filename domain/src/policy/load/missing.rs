//! Names that nothing answers to. A file that is not there, or whose name does not end in `.toml`, takes many of them with it: then one
//! problem says so, not one for each place.

use std::collections::BTreeMap;

use super::Known;
use crate::policy::problem::{Place, Problem};
use crate::policy::set::{Case, Expect, Role};
use crate::refusal::Code;

/// So many places of one name are told one by one: a slip of the pen is seen best where it stands.
const EACH: usize = 3;

/// A name, and where it stands.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) name: String,
    pub(super) place: Place,
}

/// Issuers that rows, invariants and cases name.
pub(super) fn issuers(missing: &[Missing], issuers: &BTreeMap<String, Known>, report: &dyn Fn(Problem)) {
    let known = || issuers.keys().map(String::as_str);
    let names = by_name(missing.iter().map(|missing| (missing.name.as_str(), missing)));
    let first = missing.iter().map(|missing| &missing.place).min();
    if let (None, Some(first)) = (known().next(), first) {
        let names: Vec<String> = names.keys().map(|name| name.escape_debug().to_string()).collect();
        let message = format!("no issuer is defined, and {}", name(missing.len(), "place", "one"));
        let help = format!("define `[issuer.NAME]` with kind, url and audience in a .toml file; named are {}", names.join(", "));
        return report(Problem::at(first, "unknown-issuer", message).help(help));
    }
    for (written, places) in names {
        let there_is_none = format!("there is no issuer `{}`", written.escape_debug());
        let problem = |missing: &Missing, message| {
            report(Problem::at(&missing.place, "unknown-issuer", message).nearest(written, known()));
        };
        match places.as_slice() {
            [first, .., _] if places.len() > EACH => {
                problem(first, format!("{there_is_none}, and {}", name(places.len(), "place", "it")));
            }
            few => few.iter().for_each(|missing| problem(missing, there_is_none.clone())),
        }
    }
}

/// Roles that cases name. One that is about a role that does not exist may.
pub(super) fn roles(cases: &[Case], roles: &[Role], report: &dyn Fn(Problem)) {
    let known = || roles.iter().map(|role| role.name.as_str());
    let wrong = cases.iter().filter(|case| case.expect != Expect::Deny(Some(Code::RoleNotAllowed)));
    let named = wrong.filter_map(|case| Some((case.role.as_deref()?, case)));
    for (role, cases) in by_name(named.filter(|(role, _)| !known().any(|known| known == *role))) {
        let problem = |case: &Case, message| {
            report(Problem::at(&case.place, "unknown-role", message).nearest(role, known()));
        };
        match cases.as_slice() {
            [first, .., _] if cases.len() > EACH => {
                problem(first, format!("the role `{role}` does not exist, and {}", name(cases.len(), "case", "it")));
            }
            few => few.iter().for_each(|case| {
                problem(case, format!("the case `{}` names the role `{role}`, which does not exist", case.name));
            }),
        }
    }
}

fn by_name<'n, T>(named: impl Iterator<Item = (&'n str, T)>) -> BTreeMap<&'n str, Vec<T>> {
    let mut found: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (name, item) in named {
        found.entry(name).or_default().push(item);
    }
    found
}

fn name(count: usize, who: &str, whom: &str) -> String {
    if count == 1 { format!("a {who} names {whom}") } else { format!("{count} {who}s name {whom}") }
}
