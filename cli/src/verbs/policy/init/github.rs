//! What GitHub's API says of a repository.

use domain::policy::init::Repository;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::http::{Call, Http, Repeat, trusted_url};

#[derive(Deserialize)]
struct Answer {
    id: u64,
    full_name: String,
    default_branch: String,
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    id: u64,
}

/// The repository as it is called today, and the API that told.
pub(super) async fn ask(context: &Context, repository: &str, api: &str) -> Result<(Repository, Url)> {
    let named = repository.split_once('/').filter(|(owner, name)| is_name(owner) && is_name(name));
    let (owner, name) =
        named.ok_or_else(|| Failure::usage(format!("{repository} is no repository")).fix("write it as OWNER/REPO"))?;
    let api = trusted_url(api, "--github-api")?;
    let mut url = api.clone();
    url.path_segments_mut()
        .map_err(|()| Failure::usage("--github-api cannot have a path"))?
        .pop_if_empty()
        .extend(["repos", owner, name]);
    let http = Http::new("GitHub", "--ci-ca-file or DAYPASS_CI_CACERT", context.global.ci_ca_file.as_deref(), &url)?;
    let mut call = Call::new(Method::GET, url, Repeat::Always);
    call.headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    let token = context.env.var("GITHUB_TOKEN");
    if let Some(token) = token {
        call = call.secret_header(AUTHORIZATION, Zeroizing::new(format!("Bearer {token}")).as_str())?;
    }
    let answer = http.with_notes(context.out).with_stop(&context.stop).send(&call).await?;
    let place = api.origin().ascii_serialization();
    match answer.status.as_u16() {
        200 => {}
        404 => {
            return Err(Failure::usage(format!("{place} knows no repository {repository}")).fix(match token {
                Some(_) => "check its name, and that GITHUB_TOKEN may read it",
                None => "check its name; a private one needs a GITHUB_TOKEN that may read it",
            }));
        }
        401 => return Err(Failure::usage(format!("{place} does not take the GITHUB_TOKEN")).fix("unset it, or set a valid one")),
        403 | 429 => {
            return Err(Failure::unreachable(format!("{place} answers no more for now"))
                .fix("wait an hour, or set GITHUB_TOKEN: its limit is higher"));
        }
        status => return Err(Failure::unreachable(format!("{place} answered {status}")).fix("try again later")),
    }
    let answer: Answer = serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::unreachable(format!("{place} answered something else than expected")).because(&error))?;
    let Answer { id, full_name, default_branch, owner } = answer;
    Ok((Repository { id, full_name, owner_id: owner.id, default_branch }, api))
}

/// What GitHub lets owners and repositories be called.
fn is_name(text: &str) -> bool {
    let sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.');
    (1..=100).contains(&text.len()) && text.chars().all(sign) && !matches!(text, "." | "..")
}
