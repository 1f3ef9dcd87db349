use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::claims::Claims;
use crate::policy::tests::{loaded, one, starter};
use crate::wire::Asked;

/// A decision of the starter set about GitHub's sample token in the environment `production`.
pub(crate) fn past(kind: &str, code: Option<&str>, change: impl FnOnce(Claims) -> Claims) -> Decision {
    let set = loaded(starter());
    let issuer = set.issuer("github").unwrap();
    let sample = issuer.kind.sample().with("iss", issuer.url.as_str()).with("aud", issuer.audience.as_str());
    let claims = change(sample.with("environment", "production")).without("actor").without("actor_id");
    Decision {
        decision_id: "d-1".to_owned(),
        at: datetime!(2026-09-21 13:33:20 UTC),
        kind: kind.to_owned(),
        issuer: "github".to_owned(),
        code: code.map(str::to_owned),
        role: Some("shop-deploy-prod".to_owned()),
        row: code.is_none().then_some(0),
        asked: Asked::default(),
        withheld: vec!["actor".to_owned(), "actor_id".to_owned()],
        project: claims.text("repository_id").map(str::to_owned),
        project_name: claims.text("repository").map(str::to_owned),
        run_url: Some(format!("https://ci.example/{}", claims.text("run_id").unwrap_or_default())),
        claims,
    }
}

fn granted() -> Decision {
    past("exchange.granted", None, |claims| claims)
}

/// The starter set with another text in one of its files.
pub(crate) fn changed(from: &str, to: &str) -> PolicySet {
    let mut files = starter();
    assert!(files.iter().any(|file| file.text.contains(from)), "{from}");
    for file in &mut files {
        file.text = file.text.replace(from, to);
    }
    loaded(files)
}

fn simulate(set: &PolicySet, decisions: &[Decision]) -> Simulation {
    let mut replay = Replay::new(set);
    for past in decisions {
        replay.take(past);
    }
    replay.finish()
}

#[test]
fn the_same_set_changes_nothing() {
    let set = loaded(starter());
    let branch = past("exchange.denied", Some("role_not_allowed"), |claims| claims.with("ref", "refs/heads/mine"));
    let fork = past("exchange.denied", Some("event_not_allowed"), |claims| claims.with("event_name", "pull_request_target"));
    let limited = Decision { row: Some(0), ..past("exchange.denied", Some("lease_quota_exceeded"), |claims| claims) };
    let failed = Decision { row: Some(0), ..past("exchange.failed", Some("target_refused"), |claims| claims) };
    let used = past("exchange.denied", Some("rate_limited"), |claims| claims);
    let told = simulate(&set, &[granted(), branch, fork, limited, failed, used]);
    assert!(told.is_unchanged(), "{told:#?}");
    assert_eq!((told.replayed, told.unchanged, told.not_asked), (5, 5, 1));
}

#[test]
fn tells_newly_denied_jobs_in_groups_with_their_last_run_and_the_reason() {
    let set = changed(
        "ref                 = \"refs/heads/main\"\nevent_name          = [\"push\"",
        "ref                 = \"refs/heads/stable\"\nevent_name          = [\"push\"",
    );
    let mut decisions: Vec<Decision> = (0..3).map(|_| granted()).collect();
    decisions[1].at += time::Duration::days(1);
    decisions[1].run_url = Some("https://ci.example/last".to_owned());
    decisions.push(past("exchange.granted", None, |claims| claims.with("event_name", "workflow_dispatch")));
    let told = simulate(&set, &decisions);
    assert_eq!((told.newly_denied.len(), told.newly_allowed.len(), told.unchanged), (2, 0, 0));
    let group = &told.newly_denied[0];
    assert_eq!((group.count, group.run_url.as_deref()), (3, Some("https://ci.example/last")));
    assert_eq!((group.then.as_str(), group.now.as_deref()), ("allow", Some("role_not_allowed")));
    assert_eq!(group.jobs.project_name.as_deref(), Some("acme/shop"));
    assert_eq!(group.jobs.workflow.as_deref(), Some("acme/shop/.github/workflows/deploy.yml@refs/heads/main"));
    assert!(group.why.starts_with("shop.toml:") && group.why.contains("ref is \"refs/heads/main\""), "{}", group.why);
    assert_eq!(told.newly_denied[1].jobs.trigger.as_deref(), Some("workflow_dispatch"));
}

#[test]
fn tells_newly_allowed_jobs_with_the_row() {
    let set = changed("environment         = \"production\"\n", "environment         = [\"production\", \"staging\"]\n");
    let staging = past("exchange.denied", Some("role_not_allowed"), |claims| claims.with("environment", "staging"));
    let told = simulate(&set, &[staging]);
    assert_eq!(told.newly_allowed.len(), 1, "{told:#?}");
    assert_eq!(told.newly_allowed[0].new_role.as_deref(), Some("shop-deploy-prod"));
    assert!(told.newly_allowed[0].why.contains("row 1 of shop-deploy-prod (shop.toml:"), "{}", told.newly_allowed[0].why);
}

#[test]
fn what_the_verifier_takes_from_the_set_is_replayed_too() {
    let github = "url      = \"https://token.actions.githubusercontent.com\"\naudience = \"https://daypass.example.com\"";
    let audience = changed(github, &github.replace("daypass.example", "elsewhere.example"));
    let told = simulate(&audience, &[granted()]);
    assert_eq!(told.newly_denied[0].now.as_deref(), Some("audience_mismatch"));
    assert!(told.newly_denied[0].why.contains("https://elsewhere.example.com"), "{}", told.newly_denied[0].why);
    // A session was verified before; what it asks for later is not about audiences.
    let mut later = granted();
    later.asked.session_ends = Some(later.at.unix_timestamp() + 3_600);
    assert!(simulate(&audience, &[later]).is_unchanged());

    let enterprise = changed("githubusercontent.com\"", "githubusercontent.com/acme\"");
    let told = simulate(&enterprise, &[granted()]);
    assert_eq!(told.newly_denied[0].now.as_deref(), Some("issuer_unknown"));
    let disabled = changed(github, &format!("{github}\nenabled = false"));
    assert_eq!(simulate(&disabled, &[granted()]).newly_denied[0].now.as_deref(), Some("issuer_disabled"));
}

#[test]
fn a_role_that_is_rehearsed_or_gone_denies() {
    let shadow = changed("description = \"Deploys the shop to production.\"", "shadow = true");
    assert_eq!(simulate(&shadow, &[granted()]).newly_denied[0].now.as_deref(), Some("role_not_allowed"));
    let mut other = granted();
    other.role = Some("no-such-role".to_owned());
    let told = simulate(&loaded(starter()), &[other]);
    assert!(told.newly_denied[0].why.contains("no role no-such-role"), "{}", told.newly_denied[0].why);
}

#[test]
fn an_ask_without_a_role_can_become_ambiguous_or_another() {
    let any = |mut past: Decision| {
        past.asked.any_role = true;
        past
    };
    let set = changed("[role.shop-gitlab-deploy]", &format!("{}[role.shop-gitlab-deploy]", again("shop-second")));
    let told = simulate(&set, &[any(granted())]);
    assert_eq!(told.newly_denied[0].now.as_deref(), Some("role_ambiguous"));
    assert!(told.newly_denied[0].why.contains("shop-second"), "{}", told.newly_denied[0].why);
    let mut files = starter();
    for file in &mut files {
        file.text = file.text.replace("shop-deploy-prod", "shop-ship-prod");
    }
    let told = simulate(&loaded(files), &[any(granted())]);
    assert_eq!(told.other_role[0].new_role.as_deref(), Some("shop-ship-prod"));
}

/// One more role that GitHub's sample token can become.
fn again(name: &str) -> String {
    format!(
        "[role.{name}]\n[[role.{name}.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n\
         [role.{name}.credential.one]\nengine = \"kv\"\npath = \"shop/one\"\n\n"
    )
}

#[test]
fn what_depends_on_a_withheld_claim_is_not_said_to_be_known() {
    let row = "repository_id       = \"637712\"\n";
    let actor = changed(row, &format!("{row}actor = \"octocat\"\n"));
    let told = simulate(&actor, &[granted()]);
    assert_eq!((told.unsure.len(), told.newly_denied.len()), (1, 0), "{told:#?}");
    assert!(!told.is_unchanged() && told.unsure[0].why.contains("actor"), "{}", told.unsure[0].why);
    // Where something else fails, or the claim is told, it is known.
    let branch = past("exchange.granted", None, |claims| claims.with("ref", "refs/heads/mine"));
    assert_eq!(simulate(&actor, &[branch]).newly_denied.len(), 1);
    let mut told = granted();
    told.withheld.clear();
    told.claims = told.claims.with("actor", "octocat").with("actor_id", "1");
    assert!(simulate(&actor, &[told]).is_unchanged());
}

#[test]
fn a_template_over_a_withheld_claim_is_not_said_to_fail() {
    let set = changed("session_name = \"shop-{run_id}-{run_attempt}\"", "session_name = \"shop-{actor_id}\"");
    let told = simulate(&set, &[granted()]);
    assert_eq!((told.unsure.len(), told.newly_denied.len()), (1, 0), "{told:#?}");
}

#[test]
fn what_was_asked_is_asked_again() {
    let mut credential = granted();
    credential.asked.credentials = vec!["registry".to_owned()];
    let set = changed("[role.shop-deploy-prod.credential.registry]", "[role.shop-deploy-prod.credential.images]");
    assert_eq!(simulate(&set, &[credential.clone()]).newly_denied[0].now.as_deref(), Some("credential_unknown"));
    credential.asked.session_only = true;
    assert!(simulate(&set, &[credential]).is_unchanged(), "a role alone plans no credentials");
    let mut short = granted();
    short.asked.ttl = Some(60);
    assert_eq!(simulate(&loaded(starter()), &[short]).newly_denied[0].now.as_deref(), Some("ttl_below_minimum"));
}

#[test]
fn a_decision_is_read_back_as_it_was_written() {
    let written = serde_json::to_value(granted()).unwrap();
    assert_eq!(written["claims"]["ref"], json!("refs/heads/main"));
    let read: Decision = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
    let set = loaded(one(&again_alone()));
    assert!(!simulate(&set, &[granted()]).is_unchanged());
}

fn again_alone() -> String {
    format!("{}{}", crate::policy::tests::ISSUERS, again("one"))
}
