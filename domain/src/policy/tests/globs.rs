use proptest::prelude::*;

use super::*;

/// The definition, sign by sign, without any cleverness.
fn naive(pattern: &[char], text: &[char], at_start: bool) -> bool {
    let boundary = |sign: Option<&char>| matches!(sign, None | Some('/' | ':'));
    match pattern {
        [] => text.is_empty(),
        ['*', '*'] => !text.is_empty() && !text.contains(&':'),
        ['*', rest @ ..] => {
            let alone = at_start && boundary(rest.first());
            let reach = text.iter().take_while(|sign| !matches!(sign, '/' | ':')).count();
            (usize::from(alone)..=reach).any(|taken| naive(rest, &text[taken..], false))
        }
        [sign, rest @ ..] => text.first() == Some(sign) && naive(rest, &text[1..], matches!(sign, '/' | ':')),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_the_definition(pattern in "[ab*/:]{1,8}([/:]\\*\\*)?", text in "[ab/:]{0,10}") {
        if let Ok(glob) = Glob::new(&pattern) {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(glob.matches(&text, false), naive(&p, &t, true), "{} against {}", pattern, text);
        }
    }

    #[test]
    fn what_covers_a_glob_matches_all_it_matches(outer in "[a*/]{1,6}(/\\*\\*)?", inner in "[a*/]{1,6}(/\\*\\*)?", text in "[a/]{0,8}") {
        if let (Ok(outer), Ok(inner)) = (Glob::new(&outer), Glob::new(&inner))
            && outer.covers(&inner) && inner.matches(&text, false)
        {
            prop_assert!(outer.matches(&text, false), "{} covers {} but not {}", outer, inner, text);
        }
    }

    #[test]
    fn never_takes_what_holds_more_colons_than_it_does(pattern in "[ab*/:]{1,8}", text in "[ab/:]{0,10}") {
        if let Ok(glob) = Glob::new(&pattern) && glob.matches(&text, false) {
            prop_assert_eq!(pattern.matches(':').count(), text.matches(':').count());
        }
    }
}

#[test]
fn a_star_never_crosses_a_segment() {
    let table = [
        ("refs/heads/release/*", "refs/heads/release/1.2", true),
        ("refs/heads/release/*", "refs/heads/release/", false),
        ("refs/heads/release/*", "refs/heads/release/1/2", false),
        ("refs/heads/release/*", "refs/heads/release", false),
        ("refs/heads/**", "refs/heads/a/b/c", true),
        ("refs/heads/**", "refs/heads/", false),
        ("refs/heads/**", "refs/heads/a:b", false),
        ("refs/tags/v*", "refs/tags/v1.0.0", true),
        ("refs/tags/v*", "refs/tags/v1/evil", false),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/main", true),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:environment:x:ref:refs/heads/main", false),
        ("repo:acme/*", "repo:acme/shop:ref:refs/heads/main", false),
        ("main", "main-evil", false),
        ("*", "", false),
        ("*", "a/b", false),
        ("**", "a/b", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
    ];
    for (pattern, text, matches) in table {
        assert_eq!(Glob::new(pattern).unwrap().matches(text, false), matches, "{pattern} against {text}");
    }
}

#[test]
fn refuses_globs_that_would_not_mean_what_they_seem() {
    for pattern in ["", "**/x", "a**", "a/**/b", "***", "v?", "[ab]", "{a,b}", "a\\*", "a\nb", "x**", ":a**"] {
        assert!(Glob::new(pattern).is_err(), "{pattern:?} was taken");
    }
}

#[test]
fn hostile_patterns_take_bounded_time() {
    let glob = Glob::new(&format!("{}b", "a*".repeat(500))).unwrap();
    let before = std::time::Instant::now();
    for _ in 0..20 {
        assert!(!glob.matches(&"a".repeat(1024), true));
    }
    assert!(before.elapsed().as_secs() < 5);
}
