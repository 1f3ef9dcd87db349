//! Invariants whose answers can be told by thinking.

use super::*;

/// A GitHub set of one row and one invariant, and what is shown: nothing where it holds.
fn shown(row: &str, invariant: &str) -> Vec<(String, Option<Json>)> {
    let text = format!("{}\n[[invariant]]\nname = \"i\"\nissuer = \"github\"\n{invariant}\n", with_row(row)[0].text);
    shown_in(&text)
}

fn shown_in(text: &str) -> Vec<(String, Option<Json>)> {
    match &prove(&loaded(text))[0].outcome {
        Outcome::Holds { .. } => Vec::new(),
        Outcome::Broken { counterexamples, .. } => {
            counterexamples[0].changes.iter().map(|change| (change.claim.clone(), change.token.clone())).collect()
        }
        Outcome::Undecided { reason } => panic!("{reason}"),
    }
}

fn texts(changes: &[(&str, &str)]) -> Vec<(String, Option<Json>)> {
    changes.iter().map(|(claim, value)| ((*claim).to_owned(), Some(Json::from(*value)))).collect()
}

const PIN: &str = "repository_id = \"637712\"\n";

#[test]
fn the_starter_set_is_proven() {
    let set = PolicySet::load(crate::policy::tests::starter()).unwrap();
    let proofs = prove(&set);
    assert_eq!(proofs.len(), 3);
    for proof in &proofs {
        assert!(matches!(proof.outcome, Outcome::Holds { note: None, .. }), "{proof:?}");
    }
}

#[test]
fn a_veto_keeps_pull_requests_out_until_a_row_waives_it() {
    let never = "never = { event_name = [\"pull_request\", \"pull_request_target\"] }";
    let row = format!("{PIN}ref = {{ glob = \"refs/**\" }}");
    let gate = "waive = { no-code-gate = \"t\" }";
    assert_eq!(shown(&format!("{row}\n{gate}"), never), []);
    // One that was merged shows the branch that it went into, so the ref need not change.
    let waived = "waive = { no-code-gate = \"t\", pull-request = \"t\" }";
    assert_eq!(shown(&format!("{row}\n{waived}"), never), texts(&[("event_name", "pull_request")]));
    // A row of tags cannot take a `pull_request_target`, which has the ref of a branch, even where it waives the veto.
    assert_eq!(shown(&format!("{PIN}ref = {{ glob = \"refs/tags/v*\" }}\nwaive = {{ pull-request-target = \"t\" }}"), never), []);
}

#[test]
fn a_counterexample_is_the_sample_with_little_changed() {
    let only = "only = { ref = \"refs/heads/main\" }";
    assert_eq!(
        shown(&format!("{PIN}ref = {{ glob = \"refs/heads/release/*\" }}"), only),
        texts(&[("ref", "refs/heads/release/x")])
    );
    assert_eq!(shown(&format!("{PIN}ref = \"refs/heads/main\""), only), []);
    assert_eq!(
        shown(&format!("{PIN}environment = \"production\""), only),
        texts(&[("environment", "production"), ("ref", "refs/heads/other")])
    );
    // The repository may write itself in other letters; ids may not.
    let repository = "repository = \"Acme/shop\"\nref_protected = \"true\"\nwaive = { no-project-pin = \"t\" }";
    assert_eq!(shown(repository, "only = { repository = \"acme/Shop\" }"), []);
    assert_eq!(shown(repository, "only = { repository_id = \"637712\" }"), texts(&[("repository_id", "637713")]));
}

#[test]
fn relations_of_the_issuer_count() {
    // Protected is true or false, so what is not false is true.
    let row = format!("{PIN}ref_protected = \"true\"");
    assert_eq!(shown(&row, "never = { ref_protected = \"false\" }"), []);
    assert_eq!(shown(&row, "only = { ref_protected = { present = true } }"), []);
    assert_eq!(shown(&row, "only = { repository_id = { glob = \"*\" } }"), []);
}

#[test]
fn a_claim_that_is_not_required_may_be_missing() {
    let main = format!("{PIN}ref = \"refs/heads/main\"");
    let lacking = [("ref_type".to_owned(), None)];
    for only in ["only = { ref_type = \"branch\" }", "only = { ref_type = { present = true } }"] {
        // A branch is of no other type, but who says that a token tells?
        let broken = shown(&main, only);
        assert!(broken.ends_with(&lacking), "{only}: {broken:?}");
        assert_eq!(shown(&format!("{main}\nref_type = {{ present = true }}"), only), [], "{only}");
    }
    // A deployment from a commit has a ref of no type.
    let commit = format!("{PIN}ref = \"\"\nref_type = {{ present = true }}\nwaive = {{ no-code-gate = \"t\" }}");
    assert!(!shown(&commit, "only = { ref_type = [\"branch\", \"tag\"] }").is_empty());
    let why = |row: &str| match &prove(&loaded(&format!(
        "{}\n[[invariant]]\nname = \"i\"\nissuer = \"github\"\nonly = {{ ref_type = \"branch\" }}\n",
        with_row(row)[0].text
    )))[0]
        .outcome
    {
        Outcome::Broken { counterexamples, .. } => counterexamples[0].because.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&main), "row 1 does not ask for ref_type, which a token may lack");
    assert_eq!(why(&format!("{PIN}ref = {{ glob = \"refs/tags/v*\" }}")), "row 1 does not ask for ref_type");
}

#[test]
fn projects_that_must_be_the_same_are() {
    let set = |row: &str, invariant: &str| {
        format!(
            "[issuer.gitlab]\nkind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"https://d.example\"\n\
             [role.r.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n[[role.r.allow]]\nissuer = \"gitlab\"\nref_protected = \"true\"\n{row}\n\
             [[invariant]]\nname = \"i\"\nissuer = \"gitlab\"\n{invariant}\n"
        )
    };
    let only = "only = { job_project_id = \"7\" }";
    assert_eq!(shown_in(&set("project_id = \"7\"", only)), []);
    let waived = "project_id = \"7\"\nwaive = { foreign-project = \"t\" }";
    assert_eq!(shown_in(&set(waived, only)), texts(&[("project_id", "7")]));
    // A pipeline of a merge request may run where its project is the job's.
    let source = "never = { pipeline_source = \"merge_request_event\", job_project_id = [\"8\", \"9\"] }";
    assert_eq!(shown_in(&set("project_id = \"7\"", source)), []);
    assert_eq!(shown_in(&set(waived, source)), []);
    let both = "project_id = \"7\"\nwaive = { foreign-project = \"t\", fork-merge-request = \"t\" }";
    assert_eq!(
        shown_in(&set(both, source)),
        texts(&[("job_project_id", "8"), ("pipeline_source", "merge_request_event"), ("project_id", "7")])
    );
}

#[test]
fn what_holds_for_want_of_tokens_says_so() {
    let note = |row: &str, invariant: &str, more: &str| {
        let text = format!("{}\n[[invariant]]\nname = \"i\"\nissuer = \"github\"\n{invariant}\n", with_row(row)[0].text);
        match prove(&loaded(&text.replace("kind     =", &format!("{more}\nkind ="))))[0].outcome.clone() {
            Outcome::Holds { note, .. } => note.unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    };
    let row = format!("{PIN}ref = \"refs/heads/main\"");
    assert!(note(&row, "never = { ref = \"refs/heads/x\" }", "").is_empty());
    assert!(note(&row, "never = { ref = \"refs/heads/x\" }", "enabled = false").contains("disabled"));
    assert!(note(&row, "never = { runner_environment = \"large\" }", "").contains("no token of `github` is like that"));
    assert!(note(&row, "never = { role = { glob = \"*-prod\" }, ref = \"x\" }", "").contains("a role that it speaks of"));
}

#[test]
fn an_unclear_schema_proves_nothing() {
    let text = format!(
        "{}\n[issuer.x]\nkind = \"generic\"\nurl = \"https://x.example\"\naudience = \"https://d.example\"\n\
         [issuer.x.claims]\nsub = {{ class = \"immutable\" }}\ngroups = {{ type = \"strings\", class = \"admin\" }}\n\"/groups/0\" = {{ class = \"admin\" }}\n\
         [[role.deploy.allow]]\nissuer = \"x\"\n\"/groups/0\" = \"a\"\nwaive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n\
         [[invariant]]\nname = \"i\"\nissuer = \"x\"\nnever = {{ sub = \"y\" }}\n",
        with_row(&format!("{PIN}ref = \"refs/heads/main\""))[0].text
    );
    let proof = &prove(&loaded(&text))[0];
    assert!(
        !proof.holds() && matches!(&proof.outcome, Outcome::Undecided { reason } if reason.contains("two ways")),
        "{proof:?}"
    );
}

#[test]
fn nested_claims_come_with_what_is_around_them() {
    let text = format!(
        "{ISSUERS}\n[issuer.x]\nkind = \"generic\"\nurl = \"https://x.example\"\naudience = \"https://d.example\"\n\
         [issuer.x.claims]\nsub = {{ class = \"immutable\" }}\nbox = {{ type = \"object\", class = \"admin\", presence = \"optional\" }}\n\
         \"/box/name\" = {{ class = \"admin\", presence = \"optional\" }}\n\
         [role.r.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
         [[role.r.allow]]\nissuer = \"x\"\nbox = {{ absent = true }}\nwaive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n\
         [[role.r.allow]]\nissuer = \"github\"\nrepository_id = \"1\"\nref = \"r\"\n\
         [[invariant]]\nname = \"i\"\nissuer = \"x\"\nnever = {{ \"/box/name\" = {{ present = true }} }}\n"
    );
    assert_eq!(shown_in(&text), []);
    let named = text.replace("box = { absent = true }", "box = { present = true }");
    assert_eq!(shown_in(&named), texts(&[("/box/name", "x")]));
}

/// Whatever a kind knows of its tokens, tokens can be found of which each of its claims is another than the sample's, or
/// not there; and whatever is said of such a token has been decided.
#[test]
fn every_kind_can_be_proven_about() {
    for (name, kind) in crate::issuers::kinds().iter().filter_map(|name| Some((name, crate::issuers::by_name(name)?))) {
        let sample = kind.sample();
        let mut text = format!(
            "[issuer.x]\nkind = \"{name}\"\nurl = \"{}\"\naudience = \"https://d.example\"\n[role.r.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
             [[role.r.allow]]\nissuer = \"x\"\n",
            sample.text("iss").unwrap()
        );
        let waived = kind.vetoes().iter().map(|veto| veto.name).chain(["no-project-pin", "no-code-gate"]);
        let waived: Vec<String> = waived.map(|veto| format!("{veto} = \"t\"")).collect();
        text = format!("{text}waive = {{ {} }}\n", waived.join(", "));
        let claims = kind.claims().iter().filter(|claim| kind.claim(&claim.name).is_some());
        let mut told = 0;
        for claim in claims {
            let condition = match sample.text(&claim.name).filter(|_| claim.ty == crate::issuers::issuer::Type::String) {
                Some(text) => format!("\"{text}\""),
                None => "{ present = true }".to_owned(),
            };
            for bound in ["only", "never"] {
                let claim = claim.name.replace('"', "");
                text = format!(
                    "{text}[[invariant]]\nname = \"{told} {bound}\"\nissuer = \"x\"\n{bound} = {{ \"{claim}\" = {condition} }}\n"
                );
                told += 1;
            }
        }
        let proofs = prove(&loaded(&text));
        assert_eq!(proofs.len(), told);
        for proof in &proofs {
            // A value that the sample has, some token has.
            let broken = matches!(proof.outcome, Outcome::Broken { .. });
            assert!(broken || (proof.bound == "only" && proof.holds()), "{name}: {proof:?}\n{text}");
        }
        assert!(proofs.iter().filter(|proof| !proof.holds()).count() > told / 2, "{name}: too little can differ");
    }
}
