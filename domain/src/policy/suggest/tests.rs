use proptest::prelude::*;

use super::*;
use crate::claims::Claims;
use crate::policy::prove::{Now as Moved, diff};
use crate::policy::simulate::tests::{changed, past};
use crate::policy::simulate::{Now, now};
use crate::policy::tests::{ISSUERS, loaded, one, starter};
use crate::wire::Decision;

const TIMID: Boldness = Boldness { least_uses: 4, drop_unused: false };

/// A set of one file whose row is given, and that is commented.
fn written(row: &str) -> PolicySet {
    loaded(one(&format!(
        "# Whom we believe.\n{ISSUERS}\n# Who deploys.\n[role.deploy]\nttl = \"20m\" # short\n\n[[role.deploy.allow]] # the only way\n{row}\n\
         [role.deploy.credential.secret]\nengine = \"kv\"\npath = \"shop/registry\" # of the shop\n"
    )))
}

/// One job of the sample's repository in a run of its own.
fn job(run: usize, change: impl FnOnce(Claims) -> Claims) -> Decision {
    let mut job = past("exchange.granted", None, |claims| change(claims.with("run_id", run.to_string().as_str())));
    job.role = Some("deploy".to_owned());
    job
}

fn suggested(set: &PolicySet, boldness: Boldness, decisions: &[Decision]) -> Suggested {
    let mut usage = Usage::new(set);
    for decision in decisions {
        usage.take(decision);
    }
    let suggested = suggest(&usage, boldness);
    let mut files = set.files().to_vec();
    for file in &mut files {
        if let Some(edited) = suggested.files.iter().find(|edited| edited.path == file.path) {
            file.text.clone_from(&edited.text);
        }
    }
    let edited = loaded(files);
    let change = diff(set, &edited);
    let told = || change.moved.iter().map(|moved| format!("{:?}", moved.changes)).collect::<Vec<_>>();
    assert!(change.undecided.is_empty() && change.moved.iter().all(|moved| moved.now == Moved::Denied), "{:#?}", told());
    for decision in decisions {
        let (before, after) = (now(set, decision), now(&edited, decision));
        assert!(!matches!(before, Now::Allowed { .. }) || matches!(after, Now::Allowed { .. }), "{decision:#?} is shut out");
    }
    suggested
}

fn tags(names: &[&str]) -> Vec<Decision> {
    let tag = |(at, name): (usize, &&str)| job(at, |claims| claims.with("ref", format!("refs/tags/{name}").as_str()));
    names.iter().enumerate().map(tag).collect()
}

#[test]
fn a_list_loses_the_members_that_nobody_brought_and_nothing_else_changes() {
    let row = "issuer        = \"github\"\nrepository_id = \"637712\"   # acme/shop\nref           = \"refs/heads/main\"\n\
               event_name    = [\"push\", \"schedule\", \"workflow_dispatch\"] # how it starts\n";
    let set = written(row);
    let jobs: Vec<Decision> = (0..4).map(|run| job(run, |claims| claims)).collect();
    let told = suggested(&set, TIMID, &jobs);
    assert_eq!(told.suggestions.len(), 1, "{told:#?}");
    assert_eq!(told.suggestions[0].why, "no token brought \"schedule\", \"workflow_dispatch\"");
    assert_eq!((told.suggestions[0].line, told.suggestions[0].uses), (12, 4));
    let text = set.files()[0].text.replace("[\"push\", \"schedule\", \"workflow_dispatch\"]", "\"push\"");
    assert_eq!(told.files[0].text, text);
    assert!(suggested(&set, TIMID, &jobs[..3]).files.is_empty(), "three uses are too few to tell");
    let two = [jobs, vec![job(9, |claims| claims.with("event_name", "workflow_dispatch"))]].concat();
    let told = suggested(&set, TIMID, &two);
    assert!(told.files[0].text.contains("[\"push\", \"workflow_dispatch\"] # how it starts"), "{}", told.files[0].text);
}

#[test]
fn a_pattern_becomes_the_values_that_come_again_or_what_a_series_has_in_common() {
    let row = |git_ref: &str| format!("issuer = \"github\"\nrepository_id = \"637712\"\nref = {git_ref} # which\n");
    let set = written(&row("{ glob = \"refs/heads/**\" }").replace("\nref", "\nwaive = { no-code-gate = \"t\" }\nref"));
    let jobs: Vec<Decision> = (0..4).map(|run| job(run, |claims| claims)).collect();
    let told = suggested(&set, TIMID, &jobs);
    assert!(told.files[0].text.contains("ref = \"refs/heads/main\" # which"), "{}", told.files[0].text);

    let set = written(&row("{ glob = \"refs/tags/**\" }").replace("\nref", "\nwaive = { no-code-gate = \"t\" }\nref"));
    let told = suggested(&set, TIMID, &tags(&["v1.0.0", "v1.0.1", "v1.0.2", "v1.0.3"]));
    assert_eq!(told.suggestions[0].to.as_deref(), Some("{ glob = \"refs/tags/v*\" }"), "{told:#?}");
    // A tag that came once will not come again: that says nothing about the next one.
    let once = tags(&["v1.0.0"; 1]).into_iter().cycle().take(5).collect::<Vec<_>>();
    assert!(suggested(&set, TIMID, &once).suggestions.is_empty());
    // What is as narrow as its use stays.
    let set = written(&row("{ glob = \"refs/tags/v*\" }"));
    assert!(suggested(&set, TIMID, &tags(&["v1.0", "v1.1", "v2.0", "v2.1"])).suggestions.is_empty());
}

#[test]
fn a_name_is_joined_by_its_id_and_the_waiver_goes() {
    let row = "issuer           = \"github\"\nrepository       = \"Acme/Shop\"      # by name\nref              = \"refs/heads/main\"\n\
               waive            = { no-project-pin = \"before we knew\", self-hosted-runner = \"our farm\" } # why\n";
    let set = written(row);
    let told = suggested(&set, TIMID, &[job(1, |claims| claims)]);
    assert_eq!((told.suggestions.len(), told.suggestions[0].about), (1, About::PinnedId), "{told:#?}");
    let text = &told.files[0].text;
    assert!(text.contains("repository_id    = \"637712\"\nrepository       = \"Acme/Shop\"      # by name\n"), "{text}");
    assert!(text.contains("waive            = { self-hosted-runner = \"our farm\" } # why"), "{text}");
    // Another project that takes the name over comes in before, and not after.
    let thief = job(2, |claims| claims.with("repository_id", "666"));
    assert!(matches!(now(&set, &thief), Now::Allowed { .. }));
    let after = loaded(told.files.clone());
    assert!(matches!(now(&after, &thief), Now::Denied(_)));
}

#[test]
fn a_subject_is_joined_by_the_id_of_its_project() {
    let row = "issuer = \"github\"\nsub = \"repo:acme@9919/shop@637712:ref:refs/heads/main\"\nref = \"refs/heads/main\"\nwaive = { no-project-pin = \"old\" }\n";
    let set = written(row);
    let jobs: Vec<Decision> = (0..4).map(|run| job(run, |claims| claims)).collect();
    let told = suggested(&set, TIMID, &jobs);
    assert!(told.files[0].text.contains("repository_id = \"637712\"") && !told.files[0].text.contains("waive"), "{told:#?}");
}

#[test]
fn names_of_every_kind_are_joined_by_the_ids_that_were_seen() {
    for kind in crate::issuers::built_in().filter(|kind| !kind.ids().is_empty()) {
        let (name, sample) = (kind.name(), kind.sample().with("aud", "https://d.example"));
        let url = sample.text("iss").unwrap();
        for (of, id) in kind.ids().iter().filter(|(of, id)| sample.get(of).is_some() && sample.get(id).is_some()) {
            let set = loaded(one(&format!(
                "[issuer.it]\nkind = \"{name}\"\nurl = \"{url}\"\naudience = \"https://d.example\"\n\
                 [[role.deploy.allow]]\nissuer = \"it\"\n\"{of}\" = \"{}\"\nwaive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n\
                 [role.deploy.credential.secret]\nengine = \"kv\"\npath = \"a/b\"\n",
                sample.text(of).unwrap()
            )));
            let jobs: Vec<Decision> = (0..4)
                .map(|_| Decision {
                    issuer: "it".to_owned(),
                    claims: sample.clone(),
                    withheld: Vec::new(),
                    ..job(1, |claims| claims)
                })
                .collect();
            let told = suggested(&set, TIMID, &jobs);
            let pinned =
                told.suggestions.iter().filter(|told| told.about == About::PinnedId && told.claim.as_deref() == Some(id));
            let pinned: Vec<&Suggestion> = pinned.collect();
            assert_eq!(pinned.len(), 1, "{name}: {of}: {told:#?}");
            assert!(pinned[0].left_out.is_none() && pinned[0].why.contains(of), "{name}: {of}: {told:#?}");
            // Whoever takes the name over has another id.
            let after = loaded(told.files);
            let mut thief = jobs[0].clone();
            thief.claims.put(id, crate::claims::Json::from("another"));
            let struck = kind.vetoes().iter().any(|veto| veto.strikes(&thief.claims));
            assert!(struck || matches!(now(&set, &thief), Now::Allowed { .. }), "{name}: {of}");
            assert!(matches!(now(&after, &thief), Now::Denied(_)), "{name}: {of}");
        }
    }
}

#[test]
fn unused_rows_are_told_and_taken_out_only_when_asked() {
    let set = written(
        "issuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n\n# The old way.\n[[role.deploy.allow]]\n\
         issuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/master\"\n",
    );
    let jobs: Vec<Decision> = (0..4).map(|run| job(run, |claims| claims)).collect();
    let told = suggested(&set, TIMID, &jobs);
    assert_eq!((told.suggestions[0].about, told.suggestions[0].row), (About::UnusedRow, 1));
    assert!(told.files.is_empty() && told.suggestions[0].left_out.is_some());
    let told = suggested(&set, Boldness { drop_unused: true, ..TIMID }, &jobs);
    assert!(!told.files[0].text.contains("master") && told.files[0].text.contains("# short"), "{}", told.files[0].text);
    // A role that nobody became may be the one for the emergency.
    let told = suggested(&set, Boldness { drop_unused: true, ..TIMID }, &[]);
    assert_eq!((told.suggestions.len(), told.files.len()), (2, 0));
}

#[test]
fn a_row_that_goes_does_not_shift_the_changes_of_those_behind_it() {
    let row = |rest: &str| format!("[[role.deploy.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\n{rest}\n");
    let unused = |name: &str| row(&format!("ref = \"refs/heads/{name}\"\nevent_name = \"push\""));
    let wild = row(
        "environment = \"production\"\nref = { glob = \"refs/heads/**\" }\nevent_name = \"push\"\nwaive = { no-code-gate = \"t\" }",
    );
    let main = row("ref = \"refs/heads/main\"\nevent_name = [\"push\", \"schedule\"]");
    let text = [unused("old"), wild, unused("older"), main, unused("oldest")].concat();
    let set =
        loaded(one(&format!("{ISSUERS}\n{text}[role.deploy.credential.secret]\nengine = \"kv\"\npath = \"shop/registry\"\n")));
    let wild = (0..14).map(|run| job(run, |claims| claims.with("ref", "refs/heads/wild").with("environment", "production")));
    let night = (20..34).map(|run| job(run, |claims| claims.with("event_name", "schedule")));
    let told = suggested(&set, Boldness { drop_unused: true, ..TIMID }, &wild.chain(night).collect::<Vec<_>>());
    assert!(told.suggestions.iter().all(|it| it.left_out.is_none()), "{:#?}", told.suggestions);
    let edited = loaded(told.files);
    let rows: Vec<Vec<String>> = edited.roles()[0]
        .rows
        .iter()
        .map(|row| row.conditions.iter().filter(|it| it.claim != "repository_id").map(|it| it.pattern.to_string()).collect())
        .collect();
    let mut sorted = rows;
    for row in &mut sorted {
        row.sort();
    }
    assert_eq!(sorted, [vec!["\"production\"", "\"push\"", "\"refs/heads/wild\""], vec!["\"refs/heads/main\"", "\"schedule\""]]);
}

#[test]
fn a_change_that_lets_somebody_in_is_not_made() {
    let set = written("issuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n");
    let (role, row) = (&set.roles()[0], &set.roles()[0].rows[0]);
    let with = |value: &str| {
        let edits = vec![Edit::Replace { claim: "ref".to_owned(), value: value.to_owned() }];
        let mut made = vec![Suggestion { edits, ..new(About::Narrower, role, 0, row, String::new()) }];
        (settle(&set, &mut made).len(), made.remove(0).left_out)
    };
    assert_eq!(with("[\"refs/heads/main\"]"), (1, None));
    let (files, why) = with("[\"refs/heads/main\", \"refs/heads/next\"]");
    assert_eq!((files, why.as_deref()), (0, Some("it would let somebody in: before row 1 asked for ref = \"refs/heads/main\"")));
}

#[test]
fn what_a_case_holds_open_stays_open() {
    let set = changed(
        "event_name          = [\"push\", \"workflow_dispatch\"]",
        "event_name          = [\"push\", \"schedule\", \"workflow_dispatch\"]",
    );
    let case = "[[case]]\nname = \"the night build deploys\"\nissuer = \"github\"\nrole = \"shop-deploy-prod\"\nexpect = \"allow\"\n\
                claims = { environment = \"production\", event_name = \"schedule\" }\n";
    let mut files = set.files().to_vec();
    files.iter_mut().find(|file| file.path == "cases/shop.toml").unwrap().text.push_str(case);
    let set = loaded(files);
    let jobs: Vec<Decision> =
        (0..4).map(|run| past("exchange.granted", None, |claims| claims.with("run_id", run.to_string().as_str()))).collect();
    let told = suggested(&set, TIMID, &jobs);
    let event = told.suggestions.iter().find(|told| told.claim.as_deref() == Some("event_name")).unwrap();
    assert!(event.left_out.as_ref().unwrap().contains("the night build deploys"), "{event:#?}");
    assert!(told.files.is_empty());
}

#[test]
fn rows_that_may_have_been_used_are_not_called_unused() {
    let set = written("issuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\nactor = \"octocat\"\n");
    assert!(suggested(&set, TIMID, &[job(1, |claims| claims)]).suggestions.is_empty());
}

#[test]
fn rows_written_inline_are_edited_too() {
    let text = format!(
        "{ISSUERS}\n[role.deploy]\nallow = [{{ issuer = \"github\", repository = \"acme/shop\", ref = \"refs/heads/main\", waive = {{ no-project-pin = \"old\" }} }}]\n\
         credential.secret = {{ engine = \"kv\", path = \"shop/registry\" }}\n"
    );
    let set = loaded(one(&text));
    let told = suggested(&set, TIMID, &[job(1, |claims| claims)]);
    let edited =
        "allow = [{ issuer = \"github\", repository_id = \"637712\", repository = \"acme/shop\", ref = \"refs/heads/main\"}]";
    assert!(told.files[0].text.contains(edited), "{}", told.files[0].text);
}

#[test]
fn the_starter_set_in_use_needs_nothing() {
    let set = loaded(starter());
    let events = ["push", "workflow_dispatch"];
    let jobs: Vec<Decision> = (0..8)
        .map(|run| {
            let event = events[run % 2];
            past("exchange.granted", None, |claims| claims.with("run_id", run.to_string().as_str()).with("event_name", event))
        })
        .collect();
    let told = suggested(&set, TIMID, &jobs);
    assert!(told.files.is_empty(), "{told:#?}");
    assert!(told.suggestions.iter().all(|told| told.about == About::UnusedRow && told.role != "shop-deploy-prod"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever was seen, whoever is let in afterwards was let in before, and nobody who came is shut out.
    #[test]
    fn suggestions_only_ever_narrow(
        refs in proptest::collection::vec("refs/(heads|tags)/(main|v1|v2|release/[12]|x)", 1..10),
        others in proptest::collection::vec("refs/(heads|tags)/(main|v1|v3|release/[13]|y)", 1..10),
        events in proptest::collection::vec("push|schedule|workflow_dispatch", 10),
        ids in proptest::collection::vec("637712|5", 10),
    ) {
        let row = |repository: &str, events: &str| format!(
            "issuer = \"github\"\nrepository = {repository}\nref = {{ glob = \"refs/**\" }}\nevent_name = {events}\n\
             waive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n",
        );
        // One that nobody uses stands before two that share what comes.
        let [unused, push, night] =
            [row("\"acme/old\"", "\"push\""), row("{ glob = \"acme/*\" }", "[\"push\", \"create\"]"), row("{ glob = \"acme/s*\" }", "[\"schedule\", \"delete\"]")];
        let set = written(&format!("{unused}[[role.deploy.allow]]\n{push}[[role.deploy.allow]]\n{night}"));
        let jobs = |refs: &[String]| -> Vec<Decision> {
            refs.iter().zip(&events).zip(&ids).enumerate().map(|(at, ((name, event), id))| {
                job(at % 4, |claims| claims.with("ref", name.as_str()).with("event_name", event.as_str()).with("repository_id", id.as_str()))
            }).collect()
        };
        let told = suggested(&set, Boldness { least_uses: 1, drop_unused: true }, &jobs(&refs));
        if let Some(file) = told.files.first() {
            let edited = loaded(vec![file.clone()]);
            for other in jobs(&others) {
                let narrower = !matches!(now(&edited, &other), Now::Allowed { .. }) || matches!(now(&set, &other), Now::Allowed { .. });
                prop_assert!(narrower, "{} lets in {:?}", file.text, other.claims.text("ref"));
            }
        }
    }
}
