//! The rules that the loader refuses a set by, with what each means. Names are never renamed or reused.

/// Every rule of the loader and of the cases, by name.
pub const RULES: &[(&str, &str)] = &[
    ("absent", "`{ absent = true }` on a claim that every token carries."),
    ("accept-reason", "A finding is accepted without a reason."),
    ("algorithm", "A signature algorithm that is not known or cannot be allowed."),
    ("audience", "The audience is empty, too long, or the CI system's default, which everyone shares."),
    ("case", "A case that expects what does not exist, or has both a whole token and changes to the sample."),
    ("case-failed", "A case comes out otherwise than it expects."),
    ("duplicate-file", "The set holds a file twice."),
    ("duplicate-issuer", "An issuer is defined twice, or two issuers have one URL."),
    ("duplicate-name", "Two invariants, or two cases of one file, have the same name."),
    ("duplicate-owner", "Two owners have the same files, and one of them would hide from a reader what the other may say."),
    ("duplicate-role", "A role is defined in two places."),
    ("duration", "A time is not written as numbers with d, h, m or s."),
    ("empty-list", "A condition with an empty list, which nothing satisfies."),
    ("glob", "A pattern that is no glob."),
    ("invariant", "An invariant without exactly one of `never` and `only`, or without a claim."),
    ("invariant-broken", "A token can be made that breaks an invariant."),
    ("invariant-undecided", "An invariant could be neither shown nor refuted."),
    ("issuer-kind", "A kind of issuer that is not known."),
    ("issuer-url", "A URL that issuers of the kind cannot have."),
    ("jwks-source", "An issuer with more than one source of keys."),
    ("missing-key", "Something that must be said is not said."),
    ("name", "A name with signs that names cannot have."),
    ("no-code-gate", "A row that does not tell which ref or environment may run."),
    ("no-project-pin", "A row that does not pin the project by an immutable id."),
    ("operator", "A condition without exactly one operator, or with one that its claim cannot have."),
    ("owner", "A file speaks of what its owner may not."),
    ("parameter", "A parameter of a credential that its engine cannot take."),
    ("registered-claim", "A claim that the verifier settles for every token stands in a condition."),
    ("template", "A place that takes no claims, or a claim that tokens do not carry as a plain value."),
    ("toml", "The file is no TOML, or holds a key twice."),
    ("ttl", "A time to live that is out of bounds."),
    ("unknown-claim", "A claim that tokens of the issuer do not carry."),
    ("unknown-code", "A refusal code that does not exist."),
    ("unknown-credential", "A case names a credential that its role does not have."),
    ("unknown-engine", "An engine that does not exist."),
    ("unknown-issuer", "An issuer that the set does not define."),
    ("unknown-key", "A key that is not known there."),
    ("unknown-lint", "A lint that does not exist is accepted."),
    ("unknown-role", "An invariant or a case names a role that does not exist."),
    ("unknown-word", "A word that is none of those that can stand there."),
    ("unused-accept", "A finding is accepted that is not found (a warning)."),
    ("unused-issuer", "An issuer that no row speaks of."),
    ("url", "Something that is no https URL as URLs are spelled."),
    ("waiver-reason", "A waiver without a reason."),
    ("wrong-type", "A value of another type than stands there; nothing is coerced."),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule that the loader's sources name after a place is in the list, and no other.
    #[test]
    fn every_rule_of_the_loader_is_listed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy");
        let mut named = vec!["unused-accept".to_owned(), "no-project-pin".to_owned(), "no-code-gate".to_owned()];
        named.extend(["invariant-broken".to_owned(), "invariant-undecided".to_owned()]);
        let loaders = std::fs::read_dir(root.join("load")).unwrap().map(|entry| entry.unwrap().path());
        for file in loaders.chain([root.join("read.rs"), root.join("check.rs")]) {
            let text = std::fs::read_to_string(file).unwrap();
            for call in ["problem(", "Problem::at("] {
                for (at, _) in text.match_indices(call) {
                    let rest = &text[at..];
                    let Some(rule) = rest.split('"').nth(1).filter(|_| rest.find('"') < rest.find(';')) else { continue };
                    if rule.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                        named.push(rule.to_owned());
                    }
                }
            }
        }
        named.sort();
        named.dedup();
        let listed: Vec<&str> = RULES.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(named, listed);
    }
}
