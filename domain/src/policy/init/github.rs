//! A first set from what GitHub tells of a repository, without a token.

use std::sync::Arc;

use super::{NoStart, Start, named, own};
use crate::issuers::github::{GitHub, URL};
use crate::issuers::issuer::Kind;
use crate::policy::glob::Glob;
use crate::policy::pattern::{Pattern, Value};

/// What the API says of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub id: u64,
    /// `OWNER/NAME`.
    pub full_name: String,
    pub owner_id: u64,
    pub default_branch: String,
}

/// Any workflow of the repository at its default branch, started by a push or by hand.
pub fn of_repository(repository: &Repository, api: &url::Url, audience: String, role: Option<String>) -> Result<Start, NoStart> {
    let Repository { id, full_name, owner_id, default_branch } = repository;
    let Some((owner, _)) = full_name.split_once('/') else {
        return Err(NoStart::new(format!("{full_name} is no repository"), "name it as OWNER/NAME"));
    };
    let git_ref = format!("refs/heads/{default_branch}");
    let workflow = |file: &str| format!("{full_name}/.github/workflows/{file}@{git_ref}");
    let workflows = Glob::new(&workflow("*")).map_err(|reason| {
        NoStart::new(format!("the names of {full_name} and {default_branch} make no pattern: {reason}"), "use --from-token")
    })?;
    let url = issuer_url(api);
    let claims = GitHub.sample();
    let claims = [
        ("iss", url.clone()),
        ("aud", audience.clone()),
        ("sub", format!("repo:{full_name}:ref:{git_ref}")),
        ("repository", full_name.clone()),
        ("repository_id", id.to_string()),
        ("repository_owner", owner.to_owned()),
        ("repository_owner_id", owner_id.to_string()),
        ("ref", git_ref.clone()),
        ("event_name", "push".to_owned()),
        ("workflow_ref", workflow("deploy.yml")),
        ("job_workflow_ref", workflow("deploy.yml")),
    ]
    .into_iter()
    .fold(claims, |claims, (name, value)| claims.with(name, value.as_str()));
    let events = ["push", "workflow_dispatch"].map(|event| Value::Text(event.to_owned()));
    let wider = vec![("event_name", Pattern::OneOf(events.to_vec())), ("job_workflow_ref", Pattern::Glob(workflows))];
    let (audience, role) = (own(&url, audience)?, named(role, full_name)?);
    Ok(Start { kind: Arc::new(GitHub), url, audience, claims, role, wider })
}

/// Who signs the tokens of the installation that an API belongs to.
fn issuer_url(api: &url::Url) -> String {
    let host = match (api.host_str().unwrap_or_default(), api.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    match host.as_str() {
        "api.github.com" => URL.to_owned(),
        host => match host.strip_prefix("api.").filter(|rest| rest.ends_with(".ghe.com")) {
            Some(rest) => format!("https://token.actions.{rest}"),
            None => format!("https://{host}/_services/token"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_signs_for_which_api() {
        for (api, issuer) in [
            ("https://api.github.com", "https://token.actions.githubusercontent.com"),
            ("https://api.acme.ghe.com/", "https://token.actions.acme.ghe.com"),
            ("https://ghe.example.com/api/v3", "https://ghe.example.com/_services/token"),
        ] {
            let url = issuer_url(&api.parse().unwrap());
            assert_eq!(url, issuer);
            assert!(GitHub.check_url(&url).is_ok());
        }
    }
}
