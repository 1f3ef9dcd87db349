//! The secrets of webhooks, and what is wrong with their sections.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use domain::policy::PolicySet;

use super::tools;
use crate::config::Hook;
use crate::service::hooks::{self, Secrets};

/// Reads all of them.
pub(super) fn read(configured: &BTreeMap<String, Hook>) -> Result<Secrets> {
    let hook = |(name, hook): (&String, &Hook)| {
        let secrets: Result<Vec<_>> = hook.files().map(|path| secret(name, path)).collect();
        Ok((name.clone(), secrets?))
    };
    configured.iter().map(hook).collect()
}

/// What is wrong with secrets that are there. Files that are not have been told.
pub(super) fn wrong(configured: &BTreeMap<String, Hook>) -> Vec<String> {
    let files = configured.iter().flat_map(|(name, hook)| hook.files().map(move |path| (name, path)));
    let read = files.filter(|(_, path)| path.exists()).filter_map(|(name, path)| secret(name, path).err());
    read.map(|error| format!("{error:#}")).collect()
}

/// Hooks that no delivery can be accepted for.
pub(super) fn idle(set: &PolicySet, configured: &BTreeMap<String, Hook>) -> Vec<String> {
    let what = |name: &String| match set.issuer(name) {
        None => Some(format!("[hook.{name}]: the policy set has no issuer of this name")),
        Some(issuer) if hooks::sender(issuer.kind.name()).is_none() => {
            Some(format!("[hook.{name}]: issuers of kind {} send nothing that is understood here", issuer.kind.name()))
        }
        Some(_) => None,
    };
    configured.keys().filter_map(what).collect()
}

fn secret(name: &str, path: &Path) -> Result<domain::secret::Secret<String>> {
    let secret = tools::secret_file(path).with_context(|| format!("[hook.{name}]"))?;
    hooks::check_secret(&secret).map_err(|what| anyhow::anyhow!("[hook.{name}] {}: {what}", path.display()))?;
    Ok(secret)
}
