//! Random policy sets from a seed, made of few words so that their rows and invariants often meet. Plain text, without
//! anything of the crate, so that the generator of the solver's oracle can use it too.

use std::fmt::Write as _;

/// Splitmix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).unwrap_or(0)
    }

    pub(super) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How a claim's values look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    List,
    Int,
    Bool,
    Object,
}

/// A claim, whether rows may ask that it is absent, and values that rows and tokens are made of.
pub(super) type Pool = (&'static str, Form, bool, &'static [&'static str]);

const T: Form = Form::Text;

const GITHUB: &[Pool] = &[
    ("repository_id", T, false, &["637712", "1", "637713", "x"]),
    ("ref", T, false, &["refs/heads/main", "refs/heads/x/y", "refs/pull/1/merge", "refs/tags/v1", ""]),
    ("event_name", T, false, &["push", "pull_request", "pull_request_target", "issue_comment", "schedule"]),
    ("environment", T, true, &["production", "Production", "staging"]),
    ("environment_node_id", T, true, &["EN_1", "EN_2"]),
    ("runner_environment", T, false, &["github-hosted", "self-hosted"]),
    ("repository", T, false, &["acme/shop", "Acme/Shop", "acme/web"]),
    ("ref_protected", T, false, &["true", "false"]),
    ("ref_type", T, false, &["branch", "tag"]),
    ("repo_property_tier", T, true, &["gold", "tin"]),
];
const GITLAB: &[Pool] = &[
    ("project_id", T, false, &["4242", "1"]),
    ("job_project_id", T, true, &["4242", "1", "9"]),
    ("pipeline_source", T, false, &["push", "web", "merge_request_event", "external_pull_request_event"]),
    ("ref", T, false, &["main", "release/1", "x"]),
    ("ref_path", T, true, &["refs/heads/main", "refs/tags/main", "refs/merge-requests/1/head"]),
    ("ref_protected", T, false, &["true", "false"]),
    ("environment", T, true, &["production", "staging"]),
    ("environment_protected", T, true, &["true", "false"]),
    ("groups_direct", Form::List, true, &["acme", "acme/ops", "other/x"]),
    ("runner_id", Form::Int, true, &["12", "7"]),
    ("runner_environment", T, false, &["gitlab-hosted", "self-hosted"]),
    ("user_identities", Form::Object, true, &[]),
];
const OTHER: &[Pool] = &[
    ("sub", T, false, &["a", "b/c", "b:c"]),
    ("project", T, false, &["p1", "p2"]),
    ("build", Form::Int, false, &["1", "2", "-3"]),
    ("nightly", Form::Bool, false, &["true", "false"]),
    ("tags", Form::List, true, &["red", "Red", "blue/1"]),
    ("tier", T, true, &["Gold", "gold", "tin"]),
    ("box", Form::Object, true, &[]),
    ("/box/name", T, true, &["ci", "ci-2"]),
];

const ISSUERS: &[(&str, &[Pool], &[&str], &str)] = &[
    (
        "github",
        GITHUB,
        &["pull-request", "pull-request-target", "workflow-run", "outsider-event", "self-hosted-runner"],
        "kind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\naudience = \"https://d.example\"\n",
    ),
    (
        "gitlab",
        GITLAB,
        &["foreign-project", "fork-merge-request", "self-hosted-runner"],
        "kind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"https://d.example\"\n",
    ),
    (
        "other",
        OTHER,
        &[],
        r#"kind = "generic"
url = "https://id.example"
audience = "https://d.example"
required = ["sub", "project"]
replay_claim = "jti"
[issuer.other.claims]
sub = { class = "writer" }
project = { class = "immutable" }
build = { class = "writer", type = "integer" }
nightly = { class = "admin", type = "boolean" }
tags = { class = "admin", type = "strings", presence = "optional", case = "fold-ascii" }
tier = { class = "admin", presence = "optional", case = "fold-ascii" }
box = { class = "admin", type = "object", presence = "optional" }
"/box/name" = { class = "admin", presence = "optional" }
[issuer.other.job]
project = "project"
"#,
    ),
];

/// The claims of an issuer.
pub(super) fn pool(issuer: &str) -> &'static [Pool] {
    ISSUERS.iter().find(|(name, ..)| *name == issuer).map_or(&[], |(_, pool, ..)| pool)
}

#[derive(Clone, Debug)]
struct Row {
    issuer: usize,
    conditions: Vec<(&'static str, String)>,
    waive: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Set {
    roles: Vec<(&'static str, bool, Vec<Row>)>,
    invariants: Vec<String>,
}

/// A set, and what an edit made of it.
pub(super) fn pair(seed: u64) -> (String, String) {
    let mut dice = Dice(seed);
    let old = make(&mut dice);
    let mut new = old.clone();
    for _ in 0..=dice.below(3) {
        edit(&mut new, &mut dice);
    }
    (print(&old), print(&new))
}

fn make(dice: &mut Dice) -> Set {
    let issuers = [dice.below(3), dice.below(3)];
    let mut roles = Vec::new();
    for name in ["r-prod", "r-dev", "s-prod"].into_iter().take(1 + dice.below(3)) {
        let rows = (0..=dice.below(3)).map(|_| row(dice.of(&issuers), dice)).collect();
        roles.push((name, dice.chance(8), rows));
    }
    let used: Vec<usize> = roles.iter().flat_map(|(_, _, rows): &(_, _, Vec<Row>)| rows.iter().map(|row| row.issuer)).collect();
    let invariants = (0..=dice.below(3)).map(|_| invariant(dice.of(&used), dice)).collect();
    Set { roles, invariants }
}

fn row(issuer: usize, dice: &mut Dice) -> Row {
    let (_, pool, vetoes, _) = ISSUERS[issuer];
    let count = dice.below(5);
    Row { issuer, conditions: conditions(pool, count, dice), waive: vetoes.iter().copied().filter(|_| dice.chance(25)).collect() }
}

fn conditions(pool: &[Pool], count: usize, dice: &mut Dice) -> Vec<(&'static str, String)> {
    let mut conditions: Vec<(&'static str, String)> = Vec::new();
    for _ in 0..count {
        let claim = dice.of(pool);
        if !conditions.iter().any(|(name, _)| *name == claim.0) {
            conditions.push((claim.0, pattern(claim, dice)));
        }
    }
    conditions
}

fn pattern((_, form, optional, words): Pool, dice: &mut Dice) -> String {
    let quote = |word: &str| if matches!(form, Form::Int | Form::Bool) { word.to_owned() } else { format!("\"{word}\"") };
    match dice.below(10) {
        _ if form == Form::Object => if dice.chance(50) { "{ absent = true }" } else { "{ present = true }" }.to_owned(),
        0 => "{ present = true }".to_owned(),
        1 if optional => "{ absent = true }".to_owned(),
        1..=3 => {
            let mut list: Vec<String> = words.iter().filter(|_| dice.chance(50)).map(|word| quote(word)).collect();
            list.push(quote(dice.of(words)));
            format!("[{}]", list.join(", "))
        }
        4..=6 if matches!(form, Form::Text | Form::List) => format!("{{ glob = \"{}\" }}", glob(dice.of(words), dice)),
        _ => quote(dice.of(words)),
    }
}

fn glob(word: &str, dice: &mut Dice) -> String {
    let cut = dice.below(word.len() + 1);
    match dice.below(6) {
        0 => "*".to_owned(),
        1 => "**".to_owned(),
        2 => format!("{}*", &word[..cut]),
        3 => format!("*{}", &word[cut..]),
        4 => match word.rsplit_once('/') {
            Some((path, _)) => format!("{path}/**"),
            None => format!("{}*", &word[..cut]),
        },
        _ => format!("{}*{}", &word[..cut], &word[word.len().min(cut + 1)..]),
    }
}

fn invariant(issuer: usize, dice: &mut Dice) -> String {
    let (name, pool, ..) = ISSUERS[issuer];
    let bound = if dice.chance(50) { "never" } else { "only" };
    let role = if dice.chance(50) { "role = { glob = \"*-prod\" }, " } else { "" };
    let count = 1 + dice.below(3);
    let list = conditions(pool, count, dice);
    let list: Vec<String> = list.iter().map(|(claim, pattern)| format!("\"{claim}\" = {pattern}")).collect();
    format!("issuer = \"{name}\"\n{bound} = {{ {role}{} }}\n", list.join(", "))
}

fn edit(set: &mut Set, dice: &mut Dice) {
    let at = dice.below(set.roles.len());
    let (_, shadow, rows) = &mut set.roles[at];
    let row_at = dice.below(rows.len());
    let issuer = rows[row_at].issuer;
    match dice.below(7) {
        0 => rows.push(row(issuer, dice)),
        1 if rows.len() > 1 && rows.iter().filter(|row| row.issuer == issuer).count() > 1 => {
            rows.remove(row_at);
        }
        2 if dice.chance(30) => *shadow = !*shadow,
        3 if !rows[row_at].waive.is_empty() => {
            rows[row_at].waive.pop();
        }
        4 if !rows[row_at].conditions.is_empty() => {
            rows[row_at].conditions.pop();
        }
        _ => {
            let (_, pool, ..) = ISSUERS[issuer];
            let claim = dice.of(pool);
            let new = (claim.0, pattern(claim, dice));
            let conditions = &mut rows[row_at].conditions;
            conditions.retain(|(name, _)| *name != new.0);
            conditions.push(new);
        }
    }
}

fn print(set: &Set) -> String {
    let mut text = String::new();
    for (at, (name, _, _, table)) in ISSUERS.iter().enumerate() {
        if set.roles.iter().any(|(_, _, rows)| rows.iter().any(|row| row.issuer == at)) {
            let _ = writeln!(text, "[issuer.{name}]\n{table}");
        }
    }
    for (name, shadow, rows) in &set.roles {
        let _ = writeln!(text, "[role.{name}]\nshadow = {shadow}\n[role.{name}.credential.c]\nengine = \"kv\"\npath = \"a/b\"");
        for row in rows {
            let _ = writeln!(text, "[[role.{name}.allow]]\nissuer = \"{}\"", ISSUERS[row.issuer].0);
            for (claim, pattern) in &row.conditions {
                let _ = writeln!(text, "\"{claim}\" = {pattern}");
            }
            let waived = ["no-project-pin", "no-code-gate"].iter().chain(&row.waive);
            let waived: Vec<String> = waived.map(|name| format!("{name} = \"random\"")).collect();
            let _ = writeln!(text, "waive = {{ {} }}", waived.join(", "));
        }
    }
    for (at, invariant) in set.invariants.iter().enumerate() {
        let _ = writeln!(text, "[[invariant]]\nname = \"i{at}\"\n{invariant}");
    }
    text
}
