//! How long `decide` and `prove` take for large sets: rows 19 and 20 of docs/benchmarks.md, run by `./dev bench`.

#![expect(clippy::print_stdout, clippy::panic, clippy::indexing_slicing, reason = "a tool of the bench")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use domain::claims::Claims;
use domain::policy::{Ask, PolicySet, Proof, SourceFile, decide, prove};

const REPEATS: usize = 5;

fn main() -> ExitCode {
    let json = std::env::args().any(|argument| argument == "json");
    let (small, large, huge) = (load(10, 0), load(1_000, 100), load(10_000, 0));
    let [few, many, most] = [&small, &large, &huge].map(|set| micros_to_decide(set, Some("role-5")));
    let [few_unnamed, many_unnamed, most_unnamed] = [&small, &large, &huge].map(|set| micros_to_decide(set, None));
    let proving = milliseconds_to_prove(&large);
    let rows = [
        Row {
            name: "19a decide, 1,000 roles, role named",
            value: many,
            unit: "µs",
            floor: 20.0,
            beside: format!("10 roles: {few:.2} µs, 10,000: {most:.2} µs"),
        },
        Row {
            name: "19b decide, 1,000 roles, none named",
            value: many_unnamed,
            unit: "µs",
            floor: 20.0,
            beside: format!("10 roles: {few_unnamed:.2} µs, 10,000: {most_unnamed:.2} µs"),
        },
        Row {
            name: "20  prove, 1,000 roles and 100 invariants",
            value: proving,
            unit: "ms",
            floor: 1_000.0,
            beside: "100,000 proofs".to_owned(),
        },
    ];
    if json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{}", serde_json::json!({ "rows": rows }));
    } else {
        for row in &rows {
            println!(
                "{:<42} {:>9.2} {}  floor ≤ {} {}  {:5}  {}",
                row.name,
                row.value,
                row.unit,
                row.floor,
                row.unit,
                row.verdict(),
                row.beside
            );
        }
    }
    if rows.iter().all(|row| row.value <= row.floor) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    floor: f64,
    beside: String,
}

impl Row {
    fn verdict(&self) -> &'static str {
        if self.value <= self.floor { "ok" } else { "BELOW" }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "what": self.name, "measured": self.value, "unit": self.unit, "floor": self.floor, "beside": self.beside })
    }
}

/// The median of some runs.
fn median(mut run: impl FnMut() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..REPEATS).map(|_| run()).collect();
    figures.sort_by(f64::total_cmp);
    figures[REPEATS / 2]
}

fn micros_to_decide(set: &PolicySet, role: Option<&str>) -> f64 {
    const TIMES: u32 = 20_000;
    let claims = token(5);
    let ask = Ask { issuer: "github", claims: &claims, role, credentials: &[], ttl: None, now: 1_790_000_010 };
    assert_eq!(decide(set, &ask).map(|allowed| allowed.role).as_deref(), Ok("role-5"));
    median(|| {
        let began = Instant::now();
        for _ in 0..TIMES {
            drop(black_box(decide(black_box(set), black_box(&ask))));
        }
        began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    })
}

fn milliseconds_to_prove(set: &PolicySet) -> f64 {
    let proofs = prove(set);
    let held = proofs.iter().filter(|proof| proof.holds()).count();
    assert_eq!((proofs.len(), held), (100, 100), "{:?}", proofs.iter().find(|proof| !Proof::holds(proof)));
    median(|| {
        let began = Instant::now();
        black_box(prove(black_box(set)));
        began.elapsed().as_secs_f64() * 1e3
    })
}

fn token(repository: usize) -> Claims {
    let sample = domain::issuers::by_name("github").unwrap_or_else(|| panic!("there is no github")).sample();
    sample.with("repository_id", format!("{}", 600_000 + repository).as_str()).with("environment", "production")
}

/// Roles of as many projects, a fifth of them on another issuer, and invariants of every form that speak of all of them.
fn load(roles: usize, invariants: usize) -> PolicySet {
    let mut text = "[issuer.github]\nkind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\naudience = \"https://d.example\"\n\
                    [issuer.gitlab]\nkind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"https://d.example\"\n"
        .to_owned();
    for at in 0..roles {
        let _ = write!(
            text,
            "[role.role-{at}]\nttl = \"15m\"\n[role.role-{at}.credential.c]\nengine = \"kv\"\npath = \"team-{at}/secret\"\n"
        );
        let _ = writeln!(
            text,
            "[[role.role-{at}.allow]]\nissuer = \"github\"\nrepository_owner_id = \"9919\"\nrepository_id = \"{}\"",
            600_000 + at
        );
        let _ = match at % 3 {
            0 => writeln!(text, "ref = {{ glob = \"refs/heads/release-{}/*\" }}", at % 50),
            1 => writeln!(
                text,
                "ref = \"refs/heads/main\"\nevent_name = [\"push\", \"workflow_dispatch\"]\nwaive = {{ self-hosted-runner = \"farm\" }}"
            ),
            _ => writeln!(text, "ref = [\"refs/heads/main\", \"refs/heads/next\"]\nenvironment = \"production\""),
        };
        if at % 5 == 0 {
            let _ =
                writeln!(text, "[[role.role-{at}.allow]]\nissuer = \"gitlab\"\nproject_id = \"{at}\"\nref_protected = \"true\"");
        }
    }
    for at in 0..invariants {
        let _ = write!(text, "[[invariant]]\nname = \"invariant {at}\"\nissuer = \"github\"\n");
        let _ = match at % 10 {
            0 => writeln!(
                text,
                "never = {{ event_name = [\"pull_request\", \"pull_request_target\", \"issues\"], actor = {{ glob = \"bot-{at}*\" }} }}"
            ),
            1 => writeln!(text, "only = {{ repository_owner_id = [\"9919\", \"{at}\"] }}"),
            2 => writeln!(text, "only = {{ ref = {{ glob = \"refs/heads/**\" }}, repository_owner_id = {{ glob = \"9*\" }} }}"),
            3 => writeln!(text, "never = {{ ref = {{ glob = \"refs/heads/feature-{at}*\" }} }}"),
            4 => writeln!(text, "never = {{ role = {{ glob = \"role-*\" }}, ref = {{ glob = \"refs/tags/**\" }} }}"),
            5 => writeln!(text, "never = {{ repository_id = \"{at}\" }}"),
            6 => writeln!(text, "only = {{ event_name = {{ present = true }}, ref_protected = [\"true\", \"false\"] }}"),
            7 => writeln!(text, "never = {{ event_name = \"pull_request\", ref = {{ glob = \"refs/heads/*-{at}\" }} }}"),
            8 => {
                writeln!(text, "never = {{ environment = {{ absent = true }}, environment_node_id = {{ glob = \"EN_{at}*\" }} }}")
            }
            _ => writeln!(text, "only = {{ ref = {{ glob = \"refs/*/**\" }}, repository_id = {{ glob = \"6*\" }} }}"),
        };
    }
    let file = SourceFile { path: "large.toml".to_owned(), text };
    PolicySet::load(vec![file]).unwrap_or_else(|problems| panic!("{}", problems[0]))
}
