//! The kinds of CI issuers that Daypass knows. One file and one line here per kind.

pub mod aws;
pub mod azure;
pub mod bitbucket;
pub mod buildkite;
pub mod circleci;
pub mod generic;
pub mod github;
pub mod gitlab;
pub mod google;
pub mod issuer;
pub mod kubernetes;
pub mod rule;
pub mod spiffe;
pub mod terraform;

use std::sync::{Arc, LazyLock};

use issuer::Kind;

/// The kinds that bring their own schema, in the order of the documentation.
static KINDS: LazyLock<Vec<Arc<dyn Kind>>> = LazyLock::new(|| {
    vec![
        Arc::new(github::GitHub),
        Arc::new(gitlab::GitLab),
        Arc::new(buildkite::Buildkite),
        Arc::new(circleci::CircleCi),
        Arc::new(bitbucket::Bitbucket),
        Arc::new(terraform::Terraform),
        Arc::new(kubernetes::Kubernetes),
        Arc::new(google::Google),
        Arc::new(azure::Azure),
        Arc::new(aws::Aws),
        Arc::new(spiffe::Spiffe),
    ]
});

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| built_in().map(Kind::name).chain([generic::NAME]).collect());

/// Every kind that brings its own schema.
pub fn built_in() -> impl Iterator<Item = &'static dyn Kind> {
    KINDS.iter().map(|kind| &**kind)
}

/// Every word that may stand in `kind = "…"`.
pub fn kinds() -> &'static [&'static str] {
    &NAMES
}

/// The kind of that name, when it brings its own schema; `generic` takes its schema from the policy set.
pub fn by_name(name: &str) -> Option<Arc<dyn Kind>> {
    KINDS.iter().find(|kind| kind.name() == name).cloned()
}

/// Whether `text` is an https URL that an issuer can have: a host, no user, query or fragment.
///
/// The issuer is compared byte by byte, so the text must already be spelled as a URL parser would spell it.
pub fn https_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if url.scheme() != "https" {
        return Err("the scheme must be https".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) || !url.username().is_empty() || url.password().is_some() {
        return Err("it must name a host and no user".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no query and no fragment".to_owned());
    }
    let spelled = url.as_str();
    if spelled != text && spelled.strip_suffix('/') != Some(text) {
        return Err(format!("it must be spelled {}", spelled.trim_end_matches('/')));
    }
    Ok(url)
}

/// Whether `text` is a UUID in lower case with its dashes.
fn is_uuid(text: &str) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let sign = |at: usize, byte: u8| if dash(at) { byte == b'-' } else { matches!(byte, b'0'..=b'9' | b'a'..=b'f') };
    text.len() == 36 && text.bytes().enumerate().all(|(at, byte)| sign(at, byte))
}

#[cfg(test)]
mod tests;
