//! Asks that name no role, before and after a change.

use proptest::prelude::*;

use super::*;
use crate::policy::tests::ask;
use crate::policy::{decide, decide_role};
use crate::refusal::Code;

fn role(name: &str, row: &str) -> String {
    format!(
        "[role.{name}.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n[[role.{name}.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\n\
         ref = \"refs/heads/main\"\n{row}\n"
    )
}

fn set(roles: &[(&str, &str)]) -> PolicySet {
    let roles: String = roles.iter().map(|(name, row)| role(name, row)).collect();
    loaded(&format!("{ISSUERS}\n{roles}"))
}

fn compared(old: &PolicySet, new: &PolicySet) -> Vec<(Unnamed, String, Option<String>)> {
    let all = ambiguities(old, new, &diff(old, new));
    assert!(all.undecided.is_empty(), "{:?}", all.undecided);
    all.found.into_iter().map(|found| (found.now, found.roles.join(" "), found.instead)).collect()
}

#[test]
fn a_second_role_for_the_same_token_makes_its_asks_ambiguous() {
    let one = set(&[("a", "")]);
    let two = set(&[("a", ""), ("b", "environment = \"x\"")]);
    assert_eq!(compared(&one, &two), [(Unnamed::Ambiguous, "a b".to_owned(), Some("a".to_owned()))]);
    assert_eq!(compared(&two, &one), [(Unnamed::Clear, "a b".to_owned(), Some("a".to_owned()))]);
    assert_eq!(compared(&two, &two), []);
    // What the token says makes them differ.
    let apart = set(&[("a", "environment = \"y\""), ("b", "environment = \"x\"")]);
    assert_eq!(compared(&one, &apart), []);
    assert_eq!(compared(&two, &apart), [(Unnamed::Clear, "a b".to_owned(), Some("b".to_owned()))]);
}

#[test]
fn where_it_was_ambiguous_before_a_third_role_changes_nothing() {
    let two = set(&[("a", ""), ("b", "")]);
    let three = set(&[("a", ""), ("b", ""), ("c", "")]);
    assert_eq!(compared(&two, &three), []);
    assert_eq!(compared(&three, &two), []);
    // Another pair for the same tokens is no change either.
    assert_eq!(compared(&two, &set(&[("a", ""), ("c", "")])), []);
    // Of tokens that nobody took, two roles at once.
    let found =
        compared(&set(&[("z", "environment = \"z\"")]), &set(&[("a", "environment = \"x\""), ("b", "environment = \"x\"")]));
    assert_eq!(found, [(Unnamed::Ambiguous, "a b".to_owned(), None)]);
}

#[test]
fn a_role_in_shadow_makes_nothing_ambiguous() {
    let one = set(&[("a", "")]);
    let rehearsed = loaded(&format!("{ISSUERS}\n{}[role.b]\nshadow = true\n{}", role("a", ""), role("b", "")));
    assert_eq!(compared(&one, &rehearsed), []);
    let live = set(&[("a", ""), ("b", "")]);
    assert_eq!(compared(&rehearsed, &live), [(Unnamed::Ambiguous, "a b".to_owned(), Some("a".to_owned()))]);
}

#[test]
fn pairs_that_share_no_token_are_not_searched() {
    // Hundreds of projects, each with two roles of its own: as many pairs, not as many as there are of roles.
    let project = |at: usize, rival: &str| {
        let own = format!("repository_id = \"{at}\"");
        let named = |role: String| role.replace("repository_id = \"637712\"", &own);
        format!("{}{}", named(role(&format!("a{at}"), "")), named(role(&format!("b{at}"), rival)))
    };
    let all = |rival: &str| loaded(&format!("{ISSUERS}\n{}", (0..200).map(|at| project(at, rival)).collect::<String>()));
    let (apart, together) = (all("environment = { absent = true }\nenvironment_node_id = { present = true }"), all(""));
    let found = compared(&apart, &together);
    assert_eq!(found.len(), 200);
    assert!(found.iter().all(|(now, roles, _)| *now == Unnamed::Ambiguous && roles.split(' ').count() == 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn what_becomes_ambiguous_is_decided_so_and_nothing_else_does(seed: u64) {
        let (before, after) = random::pair(seed);
        let (old, new) = (loaded(&before), loaded(&after));
        let found = ambiguities(&old, &new, &diff(&old, &new));
        prop_assert!(found.undecided.is_empty(), "{:?}", found.undecided);
        let code = |set: &PolicySet, issuer: &Issuer, claims: &Claims| -> Option<Code> {
            decide_role(set, &ask(&issuer.name, claims, None)).err().map(|refusal| refusal.code)
        };
        let roles = |set: &PolicySet, issuer: &Issuer, claims: &Claims| -> Vec<String> {
            let twin = set.issuer_by_url(&issuer.url).filter(|twin| witness::verified(twin, claims));
            let takes = |twin: &Issuer, role: &str| decide(set, &ask(&twin.name, claims, Some(role))).is_ok();
            let live = set.roles().iter().filter(|role| !role.shadow);
            twin.map_or_else(Vec::new, |twin| live.filter(|role| takes(twin, &role.name)).map(|role| role.name.clone()).collect())
        };
        for shown in &found.found {
            let (with, without) = if shown.now == Unnamed::Ambiguous { (&new, &old) } else { (&old, &new) };
            let issuer = with.issuer(&shown.issuer).unwrap();
            prop_assert!(witness::possible(issuer, &shown.claims));
            prop_assert_eq!(code(with, issuer, &shown.claims), Some(Code::RoleAmbiguous), "{:?}\n{}\n{}", shown, before, after);
            prop_assert_eq!(roles(with, issuer, &shown.claims), shown.roles.clone());
            let left = roles(without, issuer, &shown.claims);
            prop_assert!(left.len() < 2 && left.first() == shown.instead.as_ref(), "{:?}\n{}\n{}", shown, before, after);
        }
        let mut dice = random::Dice(seed ^ 3);
        for (with, without, now) in [(&new, &old, Unnamed::Ambiguous), (&old, &new, Unnamed::Clear)] {
            for issuer in with.issuers() {
                let rows: Vec<&Row> =
                    with.roles().iter().flat_map(|role| &role.rows).filter(|row| row.issuer == issuer.name).collect();
                for _ in 0..30 {
                    let claims = token(issuer, &rows, &mut dice);
                    let (many, few) = (roles(with, issuer, &claims), roles(without, issuer, &claims));
                    let told = found.found.iter().any(|shown| {
                        shown.now == now && shown.issuer == issuer.name && shown.roles.iter().filter(|role| many.contains(role)).count() > 1
                    });
                    prop_assert!(many.len() < 2 || few.len() > 1 || told, "{:?} {:?} {:?}\n{}\n{}", now, many, claims, before, after);
                }
            }
        }
    }
}
