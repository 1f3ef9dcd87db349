//! The kinds of CI issuers that Daypass knows. One file and one line here per kind.

pub mod generic;
pub mod github;
pub mod gitlab;
pub mod issuer;
pub mod rule;

use std::sync::Arc;

use issuer::Kind;

/// Every word that may stand in `kind = "…"`.
pub fn kinds() -> &'static [&'static str] {
    &[github::NAME, gitlab::NAME, generic::NAME]
}

/// The kind of that name, when it brings its own schema; `generic` takes its schema from the policy set.
pub fn by_name(name: &str) -> Option<Arc<dyn Kind>> {
    match name {
        github::NAME => Some(Arc::new(github::GitHub)),
        gitlab::NAME => Some(Arc::new(gitlab::GitLab)),
        _ => None,
    }
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

#[cfg(test)]
mod tests;
