use proptest::prelude::*;

use super::super::budget::Budget;
use super::super::language::{Automaton, Texts, TooLarge};
use crate::policy::glob::Glob;

fn glob(pattern: &str, fold: bool) -> Option<Texts> {
    Glob::new(pattern).ok().map(|glob| Texts::Glob { glob, fold })
}

fn shortest(sets: &[(&Automaton, bool)], longest: usize) -> Result<Option<String>, TooLarge> {
    let mut budget = Budget::new(Budget::ALL);
    budget.ask();
    super::super::language::shortest(sets, longest, &mut budget)
}

/// Whether an automaton takes a text: whether the set of that one text and the automaton's have one in common.
fn takes(texts: &Texts, text: &str) -> bool {
    let one = Automaton::of(&Texts::Words { words: vec![text.to_owned()], fold: false }).unwrap();
    shortest(&[(&Automaton::of(texts).unwrap(), true), (&one, true)], 1024).unwrap().is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn an_automaton_takes_what_its_glob_matches(pattern in "[abA*/:é]{1,7}([/:]\\*\\*)?", text in "[abAB/:éx\n]{0,8}", fold: bool) {
        if let Some(texts) = glob(&pattern, fold) {
            prop_assert_eq!(takes(&texts, &text), texts.has(&text), "{} against {:?}", pattern, text);
        }
    }

    #[test]
    fn what_is_found_lies_in_every_set_that_it_must_and_in_no_other(
        inside in prop::collection::vec("[ab*/]{1,5}(/\\*\\*)?", 1..3),
        outside in prop::collection::vec("[ab*/]{1,5}(/\\*\\*)?", 0..3),
        tried in prop::collection::vec("[abx/]{0,7}", 20),
    ) {
        let sets: Vec<(Texts, bool)> = inside.iter().map(|glob| (glob, true)).chain(outside.iter().map(|glob| (glob, false)))
            .filter_map(|(pattern, within)| Some((glob(pattern, false)?, within))).collect();
        let automata: Vec<(Automaton, bool)> = sets.iter().map(|(set, within)| (Automaton::of(set).unwrap(), *within)).collect();
        let automata: Vec<(&Automaton, bool)> = automata.iter().map(|(set, within)| (set, *within)).collect();
        let fits = |text: &str| sets.iter().all(|(set, within)| set.has(text) == *within);
        match shortest(&automata, 1024).unwrap() {
            Some(found) => {
                prop_assert!(fits(&found), "{:?} in {:?}", found, sets);
                prop_assert!(tried.iter().all(|text| !fits(text) || text.len() >= found.len()), "{:?} is not the shortest", found);
            }
            None => prop_assert!(!tried.iter().any(|text| fits(text)), "{:?} is not empty", sets),
        }
    }
}

#[test]
fn tells_every_form_of_set() {
    let words = |list: &[&str], fold| Texts::Words { words: list.iter().map(|word| (*word).to_owned()).collect(), fold };
    let begins = |head: &str, more| Texts::Begins { head: head.to_owned(), more };
    let sets = [
        words(&[], false),
        words(&["", "a.b"], false),
        words(&["Production", "é"], true),
        begins("refs/pull/", true),
        begins("refs/pull/", false),
        Texts::Digits,
        Texts::Full,
        Texts::Any,
    ];
    let long = "1".repeat(21);
    let texts =
        ["", "a.b", "aXb", "production", "PRODUCTION", "É", "é", "refs/pull/", "refs/pull/7", "7", "٧", "\n", long.as_str()];
    for set in &sets {
        for text in texts {
            assert_eq!(takes(set, text), set.has(text), "{set:?} {text:?}");
        }
    }
}

#[test]
fn a_text_without_control_characters_is_found_or_none() {
    let plain = Automaton::plain().unwrap();
    let control = Automaton::of(&Texts::Words { words: vec!["\u{7}".to_owned(), "\u{85}".to_owned()], fold: false }).unwrap();
    assert_eq!(shortest(&[(&plain, true), (&control, true)], 1024), Ok(None));
    let other = Automaton::of(&Texts::Words { words: vec![String::new(), "x".to_owned()], fold: false }).unwrap();
    assert_eq!(shortest(&[(&plain, true), (&other, false)], 1024), Ok(Some("a".to_owned())));
    // Two signs are one too many.
    let long = Automaton::of(&Texts::Begins { head: "ab".to_owned(), more: false }).unwrap();
    assert_eq!(shortest(&[(&plain, true), (&long, true)], 1), Ok(None));
    assert_eq!(shortest(&[(&plain, true), (&long, true)], 2), Ok(Some("ab".to_owned())));
}
