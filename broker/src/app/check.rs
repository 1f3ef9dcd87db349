//! `daypass-broker check`: every problem of the configuration and of the policy set in one list.

use std::path::Path;

use anyhow::{Result, bail};

use super::{ground, hooks, tools};
use crate::config::{Draft, PolicySource, Problems, TlsVersion};
use crate::engines;
use crate::http::tls::Certificate;
use crate::service::policies::{self, LoadError, doubts};
use crate::telemetry::chain;

/// Reads configuration and policy set, tells every problem, starts nothing.
#[expect(clippy::print_stdout, reason = "the verb's answer")]
pub async fn check(file: &Path) -> Result<()> {
    let (problems, policies) = problems(file).await;
    if !problems.is_empty() {
        bail!(Problems { file: file.to_owned(), problems });
    }
    println!("{} is sound", file.display());
    println!("{policies}");
    Ok(())
}

/// Every problem, and what can be said of the policy set.
async fn problems(file: &Path) -> (Vec<String>, String) {
    let draft = Draft::read(file);
    let mut problems = draft.problems;
    // What does not exist has been told.
    let mut tell = |path: &Path, error: &dyn std::fmt::Display| {
        if path.exists() {
            problems.push(error.to_string());
        }
    };
    if let Some(tls) = draft.listen.as_ref().and_then(|listen| listen.tls.as_ref())
        && tls.cert.exists()
        && let Err(error) = Certificate::load(&tls.cert, &tls.key, tls.min_version == TlsVersion::V12)
    {
        tell(&tls.key, &error);
    }
    if let Some(seal) = draft.seal.as_ref().filter(|seal| seal.file.is_some() != seal.environment.is_some())
        && let Err(error) = tools::seal(seal)
    {
        tell(seal.file.as_deref().unwrap_or(Path::new("/")), &format!("[seal] {error}"));
    }
    let passwords = draft.connections.values().filter_map(|connection| connection.password_file.as_deref());
    for path in passwords.chain(draft.database.iter().filter_map(|database| database.password_file.as_deref())) {
        if let Err(error) = tools::secret_file(path) {
            tell(path, &format!("{error:#}"));
        }
    }
    problems.extend(hooks::wrong(&draft.hooks));
    let mut about = String::new();
    let policy = draft.policy.unwrap_or_default();
    if policy.source == PolicySource::Database {
        "the policy set is what operators have pushed".clone_into(&mut about);
    }
    if let Some(path) = policy.path.as_deref().filter(|path| path.exists()) {
        match policies::load_folder(path) {
            Ok(set) => {
                // Settings that are wrong have been told; connections are the same with others.
                let engines = draft.engines.as_ref().and_then(|settings| engines::all(settings).ok());
                let engines = engines.or_else(|| engines::all(&engines::Settings::default()).ok()).unwrap_or_default();
                problems.extend(ground::uses(&set, &draft.connections, &engines));
                problems.extend(hooks::idle(&set, &draft.hooks));
                match doubts::sources(&set, &policy.base) {
                    Ok(sources) => problems.extend(doubts::files(&sources).await),
                    Err(error) => problems.push(error.to_string()),
                }
                let hash = domain::audit::hex(&set.hash());
                let first = if policy.source == PolicySource::Database { "to begin with: " } else { "" };
                about = format!("{first}policy set {hash} with {} issuer(s) is sound", set.issuers().len());
                for note in doubts::idle(&set, draft.connections.keys()) {
                    about = format!("{about}\n{note}");
                }
            }
            Err(LoadError::Unsound { path, problems: more }) => {
                problems.extend(more.iter().map(|problem| format!("{}/{problem}", path.display())));
            }
            Err(error) => problems.push(chain(&error)),
        }
    }
    (problems, about)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [listen]
        native = "127.0.0.1:8443"
        operator = "127.0.0.1:8444"
        metrics = "127.0.0.1:9090"
        tls = { cert = "tls.pem", key = "tls.key" }
        [database]
        url = "postgres://daypass@localhost/daypass"
        [seal]
        file = "root.key"
        [policy]
        path = "policies"
        [verify]
        leeway = 7
        [connection.shop]
        engine = "postgres"
        url = "postgres://admin@localhost/shop"
        allowed_roles = ["other-*"]
        [connection.stock]
        engine = "postgres"
        url = "postgres://admin@localhost/stock"
        allowed_roles = ["*"]
        statements = { ro = { create = ["grant ro to {{name}}"] } }
        [connection.spare]
        engine = "postgres"
        url = "postgres://admin@localhost/spare"
        allowed_roles = ["*"]
        [hook.ci]
        secret_file = "ci.hook"
        former_secret_file = "absent.hook"
        [hook.nobody]
        secret_file = "nobody.hook"
    "#;

    const POLICY: &str = r#"
        [issuer.ci]
        kind = "generic"
        url = "https://ci.example.test"
        audience = "https://broker.test"
        jwks_file = "keys.json"
        ca_file = "ca.pem"
        required = ["sub", "service_id"]
        replay_claim = "jti"
        [issuer.ci.claims]
        sub = { class = "admin" }
        service_id = { class = "immutable" }
        [issuer.ci.job]
        project = "service_id"
        [role.deploy]
        ttl = "10m"
        [[role.deploy.allow]]
        issuer = "ci"
        service_id = "s1"
        sub = "x"
        waive = { no-code-gate = "a test" }
        [role.deploy.credential.a]
        engine = "postgres"
        connection = "shop"
        statements = "rw"
        [role.deploy.credential.b]
        engine = "postgres"
        connection = "stock"
        statements = "rw"
        [role.deploy.credential.c]
        engine = "postgres"
        connection = "gone"
        statements = "rw"
    "#;

    #[tokio::test]
    async fn tells_every_problem_of_both_in_one_list() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        write("daypass.toml", CONFIG);
        write("policies/policy.toml", POLICY);
        write("policies/keys.json", "{}");
        write("nobody.hook", "a-secret-that-is-long-enough\n");
        for name in ["tls.pem", "tls.key", "root.key", "ci.hook"] {
            write(name, "nothing of use");
        }
        let (told, about) = problems(&folder.path().join("daypass.toml")).await;
        let expected = [
            "[verify]",
            "tls.pem: holds no PEM certificate",
            "[seal]",
            "credential `a`: role `deploy` is not among the `allowed_roles`",
            "credential `b`: the connection has no statements `rw`",
            "credential `c`: the configuration has no [connection.gone]",
            "ca.pem",
            "keys.json",
            "ci.hook: a hook's secret has at least 16 characters",
            "absent.hook does not exist",
            "[hook.ci]: issuers of kind generic send nothing",
            "[hook.nobody]: the policy set has no issuer",
        ];
        for words in expected {
            assert!(told.iter().any(|problem| problem.contains(words)), "{words}: {told:#?}");
        }
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        let notes: Vec<&str> = about.lines().filter(|line| line.starts_with("note: ")).collect();
        assert_eq!(notes, ["note: no role uses [connection.spare]"]);
        assert!(check(&folder.path().join("daypass.toml")).await.is_err());
    }
}
