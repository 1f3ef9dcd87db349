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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::SourceFile;

    fn set(text: &str) -> PolicySet {
        let issuers = "[issuer.gitlab]\nkind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"https://broker.test\"\n";
        let files = vec![SourceFile { path: "p.toml".to_owned(), text: format!("{issuers}{text}") }];
        PolicySet::load(files).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    fn role(name: &str, branch: &str) -> String {
        format!(
            "[role.{name}]\nttl = \"10m\"\n[[role.{name}.allow]]\nissuer = \"gitlab\"\nnamespace_id = \"1\"\nproject_id = \"2\"\n\
             ref = \"{branch}\"\nref_type = \"branch\"\nref_protected = \"true\"\npipeline_source = \"push\"\n\
             [role.{name}.credential.it]\nengine = \"kv\"\npath = \"x\"\n"
        )
    }

    #[test]
    fn tells_what_is_new_and_what_is_changed_and_nothing_of_what_is_gone() {
        let (one, both) = (set(&role("a", "main")), set(&(role("a", "main") + &role("b", "main"))));
        assert_eq!(added(&one, &both), ["role b is new"]);
        assert!(added(&both, &one).is_empty());
        assert_eq!(added(&one, &set(&role("a", "other"))), ["role a is changed"]);
        let commented = set(&format!("# why\n{}", role("a", "main")));
        assert!(added(&one, &commented).is_empty(), "layout decides nothing");
    }
}
