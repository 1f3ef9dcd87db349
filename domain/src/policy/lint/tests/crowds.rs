//! Lints that hold every name of a set against all others: what they find, and that many names are no hindrance.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::look::RowView;
use super::super::words::texts;
use super::*;
use crate::policy::lint::look::rows;
use crate::policy::problem::Place;

fn loaded(text: &str) -> PolicySet {
    let file = SourceFile { path: "set.toml".to_owned(), text: whole(text) };
    PolicySet::load(vec![file]).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn row(role: usize, id: &str, name: &str, refs: &str) -> String {
    format!("[[role.r{role:04}.allow]]\nissuer = \"github\"\nrepository_id = \"{id}\"\nrepository = \"{name}\"\nref = [{refs}]\n")
}

fn capitals(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_uppercase).count()
}

/// What the two lints mean, each pair of rows by itself.
fn by_pairs(set: &PolicySet) -> BTreeSet<(&'static str, Place)> {
    let all: Vec<RowView<'_>> = set.roles().iter().flat_map(|role| rows(set, role)).collect();
    let one = |row: &RowView<'_>, claim: &str| texts(row.condition(claim).unwrap()).next().unwrap().to_owned();
    let refs = |row: &RowView<'_>| texts(row.condition("ref").unwrap()).map(str::to_owned).collect::<Vec<_>>();
    let mut told = BTreeSet::new();
    for row in &all {
        for other in &all {
            let earlier = other.row.place < row.row.place;
            let slips = refs(row).iter().any(|text| {
                refs(other).iter().any(|near| {
                    let (fewer, as_many) = (capitals(near) < capitals(text), capitals(near) == capitals(text));
                    near != text && near.eq_ignore_ascii_case(text) && (fewer || (as_many && earlier))
                })
            });
            if slips {
                told.insert(("case-slip", row.row.keys["ref"].clone()));
            }
            let same_id = one(row, "repository_id") == one(other, "repository_id");
            let same_name = one(row, "repository").eq_ignore_ascii_case(&one(other, "repository"));
            if earlier && same_id != same_name {
                told.insert(("name-drift", row.row.keys["repository"].clone()));
            }
        }
    }
    told
}

fn told(set: &PolicySet) -> BTreeSet<(&'static str, Place)> {
    let findings = run(set).into_iter().filter(|finding| ["case-slip", "name-drift"].contains(&finding.rule));
    findings.map(|finding| (finding.rule, finding.place)).collect()
}

proptest! {
    #[test]
    fn what_is_found_in_a_crowd_is_what_its_pairs_show(
        mut crowd in prop::collection::vec(
            (0_usize..4, "[1-4]", "acme/(a|b|A|c)", prop::collection::btree_set("refs/heads/(main|Main|mAin|MAIN|x|X)", 1..3)),
            1..9,
        ),
        turned: bool,
    ) {
        // Roles go by name, files by line.
        crowd.sort_by_key(|(role, ..)| if turned { 9 - role } else { *role });
        let text: String = crowd.iter().map(|(role, id, name, refs)| {
            let refs: Vec<String> = refs.iter().map(|git_ref| format!("\"{git_ref}\"")).collect();
            row(*role, id, name, &refs.join(", "))
        }).collect();
        let set = loaded(&text);
        prop_assert_eq!(told(&set), by_pairs(&set), "{}", text);
    }
}

/// Each against each would be tens of millions of comparisons of conditions, which a run of the tests shows by hardly ending.
#[test]
fn thousands_of_names_are_sorted_out() {
    const ROWS: usize = 6_000;
    let mut text = String::new();
    for at in 0..ROWS {
        text += &row(at / 60, &at.to_string(), &format!("acme/p{at}"), &format!("\"refs/heads/Team-{at}\""));
    }
    text += &row(ROWS, "17", "acme/other", "\"refs/heads/team-42\"");
    text += &row(ROWS, "99999999", "Acme/P18", "\"refs/heads/x\"");
    let set = loaded(&text);
    let all: Vec<RowView<'_>> = set.roles().iter().flat_map(|role| rows(&set, role)).collect();
    let found = |name: &str| {
        let lint = LINTS.iter().find(|lint| lint.name == name).unwrap();
        let Over::AllRows(look) = lint.look else { panic!("{name} looks at one row after the other") };
        look(&all).into_iter().map(|(at, found)| (at, found.message)).collect::<Vec<_>>()
    };
    let line = |at: usize| all[at].row.place.line;
    let slip = format!("`refs/heads/Team-42` is spelled `refs/heads/team-42` at set.toml:{}", line(ROWS));
    assert_eq!(found("case-slip"), [(42, slip)]);
    let renamed = format!("`acme/other` is 17 here, and `acme/p17` is 17 at set.toml:{}", line(17));
    let copied = format!("`Acme/P18` is 99999999 here, and `acme/p18` is 18 at set.toml:{}", line(18));
    assert_eq!(found("name-drift"), [(ROWS, renamed), (ROWS + 1, copied)]);
}
