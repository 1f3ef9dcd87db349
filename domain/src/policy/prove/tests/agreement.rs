//! On random sets and tokens: what is proven, what is decided and what is explained are one.

use proptest::prelude::*;

use super::*;
use crate::policy::tests::ask;
use crate::policy::{Bound, Invariant, SHADOW, decide, explain};

fn breaks(invariant: &Invariant, claims: &Claims) -> bool {
    let all = invariant.conditions.iter().all(|condition| condition.holds(claims));
    all == (invariant.bound == Bound::Never)
}

/// The row that lets a token have a role, decided and explained alike; a role in shadow is explained as refused for that.
fn row(set: &PolicySet, issuer: &Issuer, claims: &Claims, role: &str) -> Option<usize> {
    let ask = ask(&issuer.name, claims, Some(role));
    let (decided, explained) = (decide(set, &ask), explain(set, &ask));
    let shadow = decided.as_ref().is_ok_and(|allowed| allowed.shadow);
    assert_eq!(explained.code.is_none(), decided.is_ok() && !shadow);
    assert_eq!(explained.hints.iter().any(|hint| hint == SHADOW), shadow);
    decided.ok().map(|allowed| allowed.row)
}

/// The rows of the issuer, of one role or of all.
fn rows_of<'s>(set: &'s PolicySet, issuer: &Issuer, role: Option<&str>) -> Vec<&'s Row> {
    let roles = set.roles().iter().filter(|it| role.is_none_or(|role| it.name == role));
    roles.flat_map(|role| &role.rows).filter(|row| row.issuer == issuer.name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_counterexample_breaks_the_invariant_and_nothing_breaks_what_holds(seed: u64) {
        let text = random::pair(seed).0;
        let set = loaded(&text);
        let mut dice = random::Dice(seed ^ 1);
        for (proof, invariant) in prove(&set).iter().zip(set.invariants()) {
            prop_assert_eq!(&proof.invariant, &invariant.name);
            let issuer = set.issuer(&proof.issuer).unwrap();
            match &proof.outcome {
                Outcome::Undecided { reason } => prop_assert!(false, "{}\n{}", reason, text),
                Outcome::Broken { counterexamples, .. } => for shown in counterexamples {
                    prop_assert!(believed(issuer, &shown.claims), "{:?}\n{}", shown, text);
                    prop_assert!(invariant.role.takes_text(&shown.role) && breaks(invariant, &shown.claims), "{:?}\n{}", shown, text);
                    prop_assert_eq!(row(&set, issuer, &shown.claims, &shown.role), Some(shown.row), "{:?}\n{}", shown, text);
                },
                Outcome::Holds { .. } => for _ in 0..40 {
                    let claims = token(issuer, &rows_of(&set, issuer, None), &mut dice);
                    for role in set.roles().iter().filter(|role| invariant.role.takes_text(&role.name)) {
                        let allowed = row(&set, issuer, &claims, &role.name).is_some();
                        prop_assert!(!allowed || !breaks(invariant, &claims), "{} {:?}\n{}", role.name, claims, text);
                    }
                },
            }
        }
    }

    #[test]
    fn what_moves_was_decided_otherwise_and_nothing_else_moves(seed: u64) {
        let (before, after) = random::pair(seed);
        let (old, new) = (loaded(&before), loaded(&after));
        let found = diff(&old, &new);
        prop_assert!(found.undecided.is_empty(), "{:?}", found.undecided);
        let allows = |set: &PolicySet, issuer: &Issuer, role: &str, claims: &Claims| {
            set.issuer_by_url(&issuer.url).is_some_and(|issuer| {
                let live = set.role(role).is_some_and(|role| !role.shadow);
                live && witness::verified(issuer, claims) && row(set, issuer, claims, role).is_some()
            })
        };
        for moved in &found.moved {
            let (with, without) = if moved.now == Now::Allowed { (&new, &old) } else { (&old, &new) };
            let issuer = with.issuer(&moved.issuer).unwrap();
            prop_assert!(believed(issuer, &moved.claims), "{:?}\n{}\n{}", moved, before, after);
            prop_assert!(allows(with, issuer, &moved.role, &moved.claims), "{:?}\n{}\n{}", moved, before, after);
            prop_assert!(!allows(without, issuer, &moved.role, &moved.claims), "{:?}\n{}\n{}", moved, before, after);
        }
        let mut dice = random::Dice(seed ^ 2);
        for (with, without, now) in [(&new, &old, Now::Allowed), (&old, &new, Now::Denied)] {
            for (issuer, role) in with.issuers().iter().flat_map(|issuer| with.roles().iter().map(move |role| (issuer, role))) {
                let moves = found.moved.iter().any(|moved| (&moved.role, &moved.issuer, moved.now) == (&role.name, &issuer.name, now));
                for _ in 0..if moves { 0 } else { 20 } {
                    let claims = token(issuer, &rows_of(with, issuer, Some(&role.name)), &mut dice);
                    let moved = allows(with, issuer, &role.name, &claims) && !allows(without, issuer, &role.name, &claims);
                    prop_assert!(!moved, "{:?} {} {:?}\n{}\n{}", now, role.name, claims, before, after);
                }
            }
        }
    }

    #[test]
    fn a_set_is_like_itself(seed: u64) {
        let set = loaded(&random::pair(seed).0);
        prop_assert!(diff(&set, &set).is_empty() && !diff(&set, &set).widens());
    }
}
