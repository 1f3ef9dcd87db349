//! Loosened owners are told, whichever way they are loosened.

use super::*;
use crate::policy::problem::SourceFile;

const SHOP: &str = "[[owner]]\nfiles = \"teams/shop.toml\"\nroles = { glob = \"shop-*\" }\nkv = [\"shop/**\"]\n";

fn role(name: &str) -> String {
    format!(
        "[[role.{name}.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n\
         [role.{name}.credential.c]\nengine = \"kv\"\npath = \"shop/a\"\n"
    )
}

/// A set with these owners, and a role of the shop that stands at `path`.
fn set(owners: &str, path: &str) -> PolicySet {
    let file = |path: &str, text: String| SourceFile { path: path.to_owned(), text };
    let files = vec![
        file("set.toml", format!("{ISSUERS}\n{}", role("platform"))),
        file("owners.toml", owners.to_owned()),
        file(path, role("shop-x")),
    ];
    PolicySet::load(files).unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

/// What is told beside tokens, which none of this moves.
fn told(old: &PolicySet, new: &PolicySet) -> Vec<(&'static str, String, bool)> {
    let diff = diff(old, new);
    assert!(diff.outcomes_stay());
    diff.differences.into_iter().map(|it| (it.kind, it.name, it.widens)).collect()
}

fn owners(owners: &str) -> Vec<(&'static str, String, bool)> {
    told(&set(SHOP, "teams/shop.toml"), &set(owners, "teams/shop.toml"))
}

#[test]
fn an_owner_that_may_say_more_widens_and_one_that_may_say_less_does_not() {
    let one =
        |text: &str, widens: bool| assert_eq!(owners(text), [("owner", "\"teams/shop.toml\"".to_owned(), widens)], "{text}");
    for more in ["connections = [\"prod\"]\n", "aws_accounts = [\"123456789012\"]\n"] {
        one(&format!("{SHOP}{more}"), true);
        let back = told(&set(&format!("{SHOP}{more}"), "teams/shop.toml"), &set(SHOP, "teams/shop.toml"));
        assert_eq!(back, [("owner", "\"teams/shop.toml\"".to_owned(), false)]);
    }
    one(&SHOP.replace("shop/**", "**"), true);
    one(&SHOP.replace("shop/**", "shop/*"), false);
    one(&SHOP.replace("shop-*", "*"), true);
    one(&SHOP.replace("{ glob = \"shop-*\" }", "[\"shop-x\", \"platform\"]"), true);
    one(&SHOP.replace("{ glob = \"shop-*\" }", "[\"shop-x\", \"shop-y\"]"), false);
}

#[test]
fn an_owner_beside_another_adds_to_what_its_files_may_say() {
    let beside = |files: &str, reach: &str| owners(&format!("{SHOP}[[owner]]\nfiles = {files}\n{reach}"));
    let (all, less) = ("roles = { glob = \"*\" }\nkv = [\"**\"]\n", "roles = { glob = \"shop-*\" }\n");
    for (files, joins) in [
        ("{ glob = \"teams/*.toml\" }", true),
        ("{ glob = \"*/shop.toml\" }", true),
        ("[\"teams/shop.toml\", \"teams/web.toml\"]", true),
        ("{ glob = \"teams/web*.toml\" }", false),
        ("{ glob = \"teams/*/*.toml\" }", false),
        ("\"teams/web.toml\"", false),
    ] {
        let found = beside(files, all);
        let owner = found.iter().find(|(kind, ..)| *kind == "owner").unwrap();
        assert_eq!(owner.2, joins, "{files}: {found:?}");
        let role = found.iter().find(|(kind, ..)| *kind == "role");
        assert_eq!(role.map(|role| (role.1.as_str(), role.2)), joins.then_some(("shop-x", true)), "{files}: {found:?}");
        assert!(beside(files, less).iter().all(|(.., widens)| !widens), "{files}");
    }
    // Two globs of which no file of either set lies in both: one of the next set may.
    let old = set("[[owner]]\nfiles = \"a/*.toml\"\nkv = [\"a/**\"]\n", "shop.toml");
    let new = |files: &str| {
        let text = format!("[[owner]]\nfiles = \"a/*.toml\"\nkv = [\"a/**\"]\n[[owner]]\nfiles = \"{files}\"\nkv = [\"**\"]\n");
        diff(&old, &set(&text, "shop.toml")).widens()
    };
    assert!(new("*/new.toml") && !new("*/*/new.toml") && !new("b/*.toml"));
}

#[test]
fn a_file_that_loses_its_owner_widens_and_one_that_gains_one_does_not() {
    let (owned, free) = (set(SHOP, "teams/shop.toml"), set(SHOP, "free.toml"));
    let lost = diff(&owned, &free);
    assert!(lost.widens());
    let one = &lost.differences[0];
    assert_eq!((one.kind, one.name.as_str(), one.field.as_str()), ("role", "shop-x", "owner"));
    assert_eq!((one.old.as_deref(), one.new.as_deref()), (Some("\"teams/shop.toml\""), Some("nobody")));
    assert_eq!(told(&free, &owned), [("role", "shop-x".to_owned(), false)]);
    assert_eq!(
        told(&owned, &set("", "teams/shop.toml")),
        [("owner", "\"teams/shop.toml\"".to_owned(), true), ("role", "shop-x".to_owned(), true)]
    );
    // Two sets are not the same when different owners answer for what they say.
    assert_ne!(owned.hash(), free.hash());
    assert_ne!(owned.hash(), set("", "teams/shop.toml").hash());
    let moved =
        |path: &str| set("[[owner]]\nfiles = \"teams/*.toml\"\nroles = { glob = \"shop-*\" }\nkv = [\"shop/**\"]\n", path);
    assert_eq!(moved("teams/a.toml").hash(), moved("teams/b.toml").hash(), "the same owner under another name of the file");
    assert!(diff(&moved("teams/a.toml"), &moved("teams/b.toml")).is_empty());
    assert_eq!(set("", "a.toml").hash(), set("", "b.toml").hash(), "without owners names of files decide nothing");
}

#[test]
fn two_owners_of_the_same_files_are_refused() {
    let twice = format!("{SHOP}[[owner]]\nfiles = [\"teams/shop.toml\"]\nroles = {{ glob = \"*\" }}\n");
    let file = |path: &str, text: String| SourceFile { path: path.to_owned(), text };
    let files = vec![file("set.toml", format!("{ISSUERS}\n{}", role("platform"))), file("owners.toml", twice)];
    let problems = PolicySet::load(files).unwrap_err();
    let told: Vec<(&str, &str, usize)> = problems.iter().map(|it| (it.rule, it.file.as_str(), it.line)).collect();
    assert_eq!(told, [("duplicate-owner", "owners.toml", 5)]);
}
