//! What costs too much is not decided, and that is found out soon.

use super::super::budget::Budget;
use super::super::diff::diff_within;
use super::super::domains::{Atom, Domains, Shape};
use super::super::language::{Texts, TooLarge};
use super::*;
use crate::issuers::issuer::Type;
use crate::policy::glob::Glob;

/// Roles of `rows` rows each: one with two actors in a row, and the same with an actor in a row.
fn said_twice(rows: usize) -> (PolicySet, PolicySet) {
    let set = |more: &str| {
        let text = format!("{}{more}", with_row("repository_id = \"1\"\nref = \"refs/heads/main\"\nactor = \"a\"")[0].text);
        loaded(&text)
    };
    let row = |actor: &str| {
        format!("[[role.deploy.allow]]\nissuer = \"github\"\nrepository_id = \"1\"\nref = \"refs/heads/main\"\nactor = {actor}\n")
    };
    let both: String = (0..rows).map(|at| row(&format!("[\"a{at}\", \"b{at}\"]"))).collect();
    let each: String = (0..rows).map(|at| row(&format!("\"a{at}\"")) + &row(&format!("\"b{at}\""))).collect();
    (set(&both), set(&each))
}

#[test]
fn a_comparison_without_means_is_not_decided_and_widens() {
    let (both, each) = said_twice(12);
    assert!(diff_within(Budget::ALL, &both, &each).is_empty());
    let poor = diff_within(20_000, &both, &each);
    assert!(poor.moved.is_empty() && !poor.undecided.is_empty() && poor.widens() && !poor.outcomes_stay());
    assert!(poor.undecided.iter().all(|open| open.reason.contains("too large")), "{:?}", poor.undecided[0]);
}

#[test]
fn what_the_sample_shows_is_told_however_many_rows_there_are() {
    let (_, each) = said_twice(150);
    let less = loaded(&with_row("repository_id = \"1\"\nref = \"refs/heads/main\"")[0].text);
    let told = diff_within(Budget::ALL / 1000, &each, &less);
    assert_eq!((told.moved.len(), told.undecided.len()), (1, 0));
}

#[test]
fn a_hard_question_leaves_something_to_the_next() {
    let mut budget = Budget::new(Budget::ALL);
    budget.ask();
    while budget.spend(1 << 20).is_ok() {}
    assert_eq!(budget.spend(1), Err(TooLarge));
    budget.ask();
    assert_eq!(budget.spend(1), Ok(()));
    let mut questions = 1;
    while budget.left() > 0 {
        questions += 1;
        budget.ask();
        while budget.spend(1 << 20).is_ok() {}
    }
    assert!((2..100).contains(&questions));
    budget.ask();
    assert_eq!(budget.spend(1), Err(TooLarge), "all of it is spent");
}

#[test]
fn what_took_too_long_is_not_tried_again() {
    let pieces = ["ab", "cd", "ef", "gh", "ba", "dc", "fe", "hg"];
    let glob = |a: &str, b: &str| Glob::new(&format!("*{a}*{b}*")).unwrap();
    let of = |domains: &mut Domains| {
        let globs = pieces.iter().flat_map(|a| pieces.iter().map(move |b| glob(a, b)));
        let facts = globs.map(|glob| (domains.atom(Atom::Text(Texts::Glob { glob, fold: false })), true)).collect();
        domains.domain(Shape { ty: Type::String, longest: 24 }, facts).unwrap()
    };
    let mut domains = Domains::new(8_000_000);
    let domain = of(&mut domains);
    assert_eq!(domains.is_empty(domain), Err(TooLarge));
    domains.budget = Budget::new(1_000);
    domains.budget.ask();
    assert_eq!(domains.is_empty(domain), Err(TooLarge));
    assert_eq!(domains.budget.left(), 1_000);
}

#[test]
fn what_domains_share_is_held_once() {
    let mut domains = Domains::new(Budget::ALL);
    let whole = domains.domain(Shape { ty: Type::String, longest: 1024 }, Vec::new()).unwrap();
    let mut narrow = whole;
    for at in 0..3_000 {
        let word = domains.atom(Atom::Text(Texts::Words { words: vec![at.to_string()], fold: false }));
        narrow = domains.narrow(narrow, (word, false)).unwrap();
        assert_eq!(domains.narrow(narrow, (word, false)), Ok(narrow), "what is known is not said again");
        assert_eq!(domains.is_empty(narrow), Ok(false));
    }
    // Many facts are no reason to ask again what one value has answered.
    let before = domains.budget.left();
    assert_eq!(domains.is_empty(narrow), Ok(false));
    let word = domains.atom(Atom::Text(Texts::Words { words: vec!["x1".to_owned()], fold: false }));
    assert_eq!(domains.can(narrow, (word, false)), Ok(true));
    assert!(before - domains.budget.left() < 100);
    assert_eq!(domains.known(narrow).unwrap().value.as_deref(), domains.known(whole).unwrap().value.as_deref());
}
