//! What a set has that another does not have word for word.

use std::collections::HashSet;

use super::print;
use super::set::PolicySet;

/// Issuers and roles of `new` that are not the same in `old`, in words. None: the change only takes whole issuers and roles
/// away, or touches nothing that decides, so that no token gets what it could not get before by naming it.
pub fn added(old: &PolicySet, new: &PolicySet) -> Vec<String> {
    let before: HashSet<String> = old.issuers.iter().map(print::issuer).chain(old.roles.iter().map(print::role)).collect();
    let issuers = new.issuers.iter().filter(|issuer| !before.contains(&print::issuer(issuer)));
    let issuers = issuers.map(|issuer| tell("issuer", &issuer.name, old.issuer(&issuer.name).is_some()));
    let roles = new.roles.iter().filter(|role| !before.contains(&print::role(role)));
    issuers.chain(roles.map(|role| tell("role", &role.name, old.role(&role.name).is_some()))).collect()
}

fn tell(what: &str, name: &str, known: bool) -> String {
    format!("{what} {name} is {}", if known { "changed" } else { "new" })
}
