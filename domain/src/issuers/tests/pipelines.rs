//! The kinds of CI systems, by tables: URLs, vetoes, job views.

use super::*;
use crate::claims::Claims;

/// Which vetoes of the kind strike its sample with one claim changed.
pub(super) fn struck(name: &str, claim: &str, value: impl Into<Json>) -> Vec<&'static str> {
    let kind = by_name(name).unwrap();
    let mut claims = kind.sample();
    claims.put(claim, value.into());
    strikes(name, &claims)
}

pub(super) fn strikes(name: &str, claims: &Claims) -> Vec<&'static str> {
    let kind = by_name(name).unwrap();
    kind.vetoes().iter().filter(|veto| veto.strikes(claims)).map(|veto| veto.name).collect()
}

pub(super) fn urls(name: &str, good: &[&str], bad: &[&str]) {
    let kind = by_name(name).unwrap();
    for url in good {
        assert_eq!(kind.check_url(url), Ok(()), "{url}");
    }
    for url in bad {
        assert!(kind.check_url(url).is_err(), "{url}");
    }
}

#[test]
fn buildkite_builds_say_what_started_them() {
    for (source, veto) in [
        ("webhook", None),
        ("schedule", None),
        ("ui", Some("unverified-branch")),
        ("api", Some("unverified-branch")),
        ("trigger_job", Some("unverified-branch")),
        ("Webhook", Some("unverified-branch")),
        ("", Some("unverified-branch")),
    ] {
        assert_eq!(struck("buildkite", "build_source", source), Vec::from_iter(veto), "{source}");
    }
    assert_eq!(struck("buildkite", "runner_environment", "self-hosted"), ["self-hosted-runner"]);
}

#[test]
fn a_buildkite_tag_is_no_branch() {
    let kind = by_name("buildkite").unwrap();
    let of = |claims: &Claims| kind.job("https://agent.buildkite.com", claims);
    let job = of(&kind.sample());
    assert_eq!(job.git_ref.as_deref(), Some("refs/heads/main"));
    assert_eq!((job.run.as_deref(), job.project_name.as_deref()), (Some("412"), Some("acme/shop")));
    assert_eq!(job.run_url.as_deref(), Some("https://buildkite.com/acme/shop/builds/412#0194b000-80f0-41e8-9b83-a2970a9305a1"));
    let tagged = kind.sample().with("build_tag", "main");
    assert_eq!(of(&tagged).git_ref.as_deref(), Some("refs/tags/main"));
    assert!(kind.hints(&tagged).concat().contains("the tag main"));
    assert!(kind.hints(&tagged.without("pipeline_id")).concat().contains("--claim organization_id,pipeline_id"));
    assert!(kind.claim("agent_tag:queue").is_some() && kind.claim("agent_tag:*").is_none() && kind.claim("agent_tag:").is_none());
    let bad = ["https://agent.buildkite.com/", "http://agent.buildkite.com", "https://agent.buildkite.com.evil.example"];
    urls("buildkite", &["https://agent.buildkite.com"], &bad);
}

#[test]
fn circleci_reruns_with_ssh_and_pull_requests_are_vetoed() {
    let reference = "oidc.circleci.com/vcs-ref";
    for (git_ref, veto) in [
        ("refs/heads/main", None),
        ("refs/tags/v1", None),
        ("refs/pull/7/head", Some("pull-request")),
        ("refs/heads/pull/7", Some("pull-request")),
        ("pull/7", Some("pull-request")),
    ] {
        assert_eq!(struck("circleci", reference, git_ref), Vec::from_iter(veto), "{git_ref}");
    }
    for value in [Json::from(true), Json::from("false"), Json::Null] {
        assert_eq!(struck("circleci", "oidc.circleci.com/ssh-rerun", value.clone()), ["ssh-rerun"], "{value:?}");
    }
    // A custom webhook: nothing tells which code it is.
    let webhook = by_name("circleci").unwrap().sample().without(reference).without("oidc.circleci.com/vcs-origin");
    assert_eq!(strikes("circleci", &webhook), ["pull-request"]);
    let organization = "5f2b3c4d-1111-4222-8333-9a8b7c6d5e4f";
    urls(
        "circleci",
        &[&format!("https://oidc.circleci.com/org/{organization}"), &format!("https://circleci.acme.example/org/{organization}")],
        &[
            "https://oidc.circleci.com/org/",
            "https://oidc.circleci.com/org",
            "https://oidc.circleci.com",
            &format!("https://oidc.circleci.com/org/{organization}/"),
            &format!("https://oidc.circleci.com/org/{organization}/x"),
            &format!("https://oidc.circleci.com/org/{}", organization.to_uppercase()),
            &format!("https://oidc.circleci.com/org/{organization}?issuer=x"),
            &format!("https://evil.example/redirect/https://oidc.circleci.com/org/{organization}"),
        ],
    );
}

#[test]
fn bitbucket_is_one_issuer_per_workspace() {
    let base = "https://api.bitbucket.org/2.0/workspaces";
    urls(
        "bitbucket",
        &[&format!("{base}/acme/pipelines-config/identity/oidc")],
        &[
            &format!("{base}//pipelines-config/identity/oidc"),
            &format!("{base}/a/b/pipelines-config/identity/oidc"),
            &format!("{base}/acme/pipelines-config/identity/oidc/"),
            "https://api.bitbucket.org",
            "https://evil.example/2.0/workspaces/acme/pipelines-config/identity/oidc",
        ],
    );
}

#[test]
fn terraform_plans_are_vetoed() {
    for (phase, veto) in [("apply", None), ("plan", Some("plan-phase")), ("Apply", Some("plan-phase"))] {
        assert_eq!(struck("terraform", "terraform_run_phase", phase), Vec::from_iter(veto), "{phase}");
    }
    urls(
        "terraform",
        &["https://app.terraform.io", "https://app.eu.terraform.io", "https://tfe.acme.example:8443"],
        &["https://app.terraform.io/", "https://app.terraform.io/acme", "http://app.terraform.io"],
    );
    let kind = by_name("terraform").unwrap();
    let job = kind.job("https://app.terraform.io", &kind.sample());
    assert_eq!(job.run_url.as_deref(), Some("https://app.terraform.io/app/acme/workspaces/shop-prod/runs/run-MnOpQrStUvWxYz12"));
    assert_eq!(job.ends_at, Some(1_790_007_200));
    assert_eq!(kind.job("https://app.terraform.io", &kind.sample().without("exp")).ends_at, Some(0));
}

#[test]
fn a_merged_pull_request_runs_on_the_branch_it_was_merged_into() {
    let kind = by_name("github").unwrap();
    let merged = kind.sample().with("event_name", "pull_request").with("base_ref", "main").with("head_ref", "patch-1");
    assert!(kind.relations().iter().all(|relation| relation.holds(&merged)), "real tokens are not left out of proofs");
    for (event, git_ref) in [
        ("push", "refs/pull/7/merge"),
        ("pull_request_target", "refs/pull/7/merge"),
        ("issue_comment", "refs/tags/v1"),
        ("workflow_run", "refs/pull/7/merge"),
    ] {
        let impossible = kind.sample().with("event_name", event).with("ref", git_ref);
        assert!(kind.relations().iter().any(|relation| !relation.holds(&impossible)), "{event} on {git_ref}");
    }
}
