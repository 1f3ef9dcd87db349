//! Which variable a value goes by. Every field has its exact name, `DAYPASS_<CREDENTIAL>_<FIELD>`; beside it stands the name
//! that programs of its kind expect (`PGPASSWORD`, `AWS_SESSION_TOKEN`, `REGISTRY_PASSWORD`).

use std::collections::BTreeMap;

use domain::secret::Secret;

use crate::issued::Credential;

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Secret<String>,
}

/// Variables, and what the user should know about names that were not given.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    pub(crate) all: Vec<Variable>,
    pub(crate) notes: Vec<String>,
    /// What must not be inherited: programs would prefer it to what they are given.
    pub(crate) displaced: Vec<String>,
}

/// Names the values of all credentials. With `prefix` the expected names carry the credential's own name in front, so
/// that several of one engine can stand side by side.
pub(crate) fn variables(credentials: &[Credential], prefix: bool) -> Variables {
    let mut named = Variables::default();
    for credential in credentials {
        for field in credential.fields() {
            named.add(exact(&credential.name, field.name), field.value.clone());
        }
    }
    for (credential, in_front) in with_expected_names(credentials, prefix, &mut named.notes) {
        for field in credential.fields() {
            for name in expected(credential, field.name) {
                named.add(format!("{in_front}{name}"), field.value.clone());
            }
        }
    }
    named
}

/// The credentials that get their expected names, each with what stands in front of them. Of several that would fight over
/// one name the first wins, and the rest are noted.
pub(crate) fn with_expected_names<'a>(
    credentials: &'a [Credential],
    prefix: bool,
    notes: &mut Vec<String>,
) -> Vec<(&'a Credential, String)> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut chosen = Vec::new();
    for credential in credentials {
        let shares_names = matches!(credential.engine.as_str(), "aws" | "postgres");
        if !shares_names {
            chosen.push((credential, String::new()));
        } else if prefix {
            chosen.push((credential, format!("{}_", upper(&credential.name))));
        } else if let Some(winner) = first.get(credential.engine.as_str()) {
            notes.push(format!(
                "{} is the second {} credential: the usual names stand for {winner}; use {}_…, --prefix, or ask for one with -C",
                credential.name,
                credential.engine,
                exact(&credential.name, "").trim_end_matches('_'),
            ));
        } else {
            first.insert(credential.engine.as_str(), credential.name.as_str());
            chosen.push((credential, String::new()));
        }
    }
    chosen
}

/// `DAYPASS_<CREDENTIAL>_<FIELD>`.
pub(crate) fn exact(credential: &str, field: &str) -> String {
    format!("DAYPASS_{}_{}", upper(credential), upper(field))
}

/// The names that programs look for.
pub(crate) fn expected(credential: &Credential, field: &str) -> Vec<String> {
    let fixed: &[&str] = match (credential.engine.as_str(), field) {
        ("aws", "access_key_id") => &["AWS_ACCESS_KEY_ID"],
        ("aws", "secret_access_key") => &["AWS_SECRET_ACCESS_KEY"],
        ("aws", "session_token") => &["AWS_SESSION_TOKEN"],
        // Some programs know only the older one.
        ("aws", "region") => &["AWS_REGION", "AWS_DEFAULT_REGION"],
        ("postgres", "username") => &["PGUSER"],
        ("postgres", "password") => &["PGPASSWORD"],
        ("postgres", "host") => &["PGHOST"],
        ("postgres", "port") => &["PGPORT"],
        ("postgres", "database") => &["PGDATABASE"],
        ("postgres", "url") => &["DATABASE_URL"],
        // Verifying needs a root certificate at the client, which the broker does not hand out.
        ("postgres", "sslmode") => match credential.field(field).map(|value| value.expose().as_str()) {
            Some("disable" | "prefer" | "require") => &["PGSSLMODE"],
            _ => &[],
        },
        ("aws" | "postgres", _) => &[],
        _ => return vec![format!("{}_{}", upper(&credential.name), upper(field))],
    };
    fixed.iter().map(|name| (*name).to_owned()).collect()
}

fn upper(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

impl Variables {
    pub(crate) fn add(&mut self, name: String, value: Secret<String>) {
        if name.starts_with(|first: char| first.is_ascii_digit()) || is_reserved(&name) {
            self.notes.push(format!(
                "{name} is not set: the name steers programs or this tool; use its DAYPASS_… name or `daypass read`"
            ));
        } else if let Some(other) = self.all.iter().find(|variable| variable.name == name) {
            if other.value != value {
                self.notes.push(format!("{name} would stand for two values; the first one keeps it"));
            }
        } else {
            self.all.push(Variable { name, value });
        }
    }
}

/// Names that change what a program runs, or where this tool sends its tokens. Whoever may write a stored secret chooses
/// its keys, and must not get to run code in the job by it.
fn is_reserved(name: &str) -> bool {
    const STEERING: [&str; 19] = [
        "BASH_ENV",
        "ENV",
        "GIT_ASKPASS",
        "GIT_EDITOR",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "HOME",
        "IFS",
        "JAVA_TOOL_OPTIONS",
        "NODE_OPTIONS",
        "PATH",
        "PERL5LIB",
        "PERL5OPT",
        "PROMPT_COMMAND",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "RUBYOPT",
        "RUSTC_WRAPPER",
        "SHELL",
    ];
    const FAMILIES: [&str; 6] = ["ACTIONS_", "DYLD_", "GIT_CONFIG_", "LD_", "NPM_CONFIG_", "RUNNER_"];
    const RUNNER_FILES: [&str; 5] = ["GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"];
    STEERING.contains(&name)
        || RUNNER_FILES.contains(&name)
        || SETTINGS.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// What this tool is configured by. Not secret, so a child keeps them; a credential never overrides them.
pub(crate) const SETTINGS: [&str; 9] = [
    "DAYPASS_ADDR",
    "DAYPASS_AUDIENCE",
    "DAYPASS_CACERT",
    "DAYPASS_CI_CACERT",
    "DAYPASS_ID_TOKEN",
    "DAYPASS_OPERATOR_ADDR",
    "DAYPASS_ROLE",
    "DAYPASS_SESSION_FILE",
    "DAYPASS_TOKEN_FILE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issued::tests::credential;

    fn names(credentials: &[Credential], prefix: bool) -> Vec<String> {
        let mut names: Vec<String> = variables(credentials, prefix).all.into_iter().map(|variable| variable.name).collect();
        names.sort();
        names
    }

    #[test]
    fn names_what_programs_expect() {
        let db = credential("db", "postgres", &[("username", "u"), ("password", "p"), ("host", "h"), ("url", "postgres://")]);
        let cloud = credential(
            "cloud",
            "aws",
            &[("access_key_id", "A"), ("secret_access_key", "S"), ("session_token", "T"), ("account", "1")],
        );
        let registry = credential("registry-eu", "kv", &[("pass-word", "x")]);
        assert_eq!(
            names(&[cloud, db, registry], false),
            [
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "DATABASE_URL",
                "DAYPASS_CLOUD_ACCESS_KEY_ID",
                "DAYPASS_CLOUD_ACCOUNT",
                "DAYPASS_CLOUD_SECRET_ACCESS_KEY",
                "DAYPASS_CLOUD_SESSION_TOKEN",
                "DAYPASS_DB_HOST",
                "DAYPASS_DB_PASSWORD",
                "DAYPASS_DB_URL",
                "DAYPASS_DB_USERNAME",
                "DAYPASS_REGISTRY_EU_PASS_WORD",
                "PGHOST",
                "PGPASSWORD",
                "PGUSER",
                "REGISTRY_EU_PASS_WORD",
            ]
        );
    }

    #[test]
    fn only_a_mode_that_needs_no_certificate_is_set() {
        for (mode, set) in [("disable", true), ("prefer", true), ("require", true), ("verify-ca", false), ("verify-full", false)]
        {
            let named = names(&[credential("db", "postgres", &[("sslmode", mode)])], false);
            assert_eq!(named.iter().any(|name| name == "PGSSLMODE"), set, "{mode}");
            assert!(named.iter().any(|name| name == "DAYPASS_DB_SSLMODE"), "{mode}");
        }
    }

    #[test]
    fn the_first_of_one_engine_gets_the_usual_names_and_the_rest_are_said() {
        let pair = [credential("a", "postgres", &[("password", "1")]), credential("b", "postgres", &[("password", "2")])];
        let named = variables(&pair, false);
        let usual = named.all.iter().find(|variable| variable.name == "PGPASSWORD").expect("named");
        assert_eq!(usual.value.expose(), "1");
        assert!(named.notes.iter().any(|note| note.starts_with("b is the second postgres")), "{:?}", named.notes);
        assert_eq!(names(&pair, true), ["A_PGPASSWORD", "B_PGPASSWORD", "DAYPASS_A_PASSWORD", "DAYPASS_B_PASSWORD"]);
    }

    #[test]
    fn a_stored_secret_cannot_steer_programs() {
        let named = variables(
            &[
                credential("ld", "kv", &[("preload", "/x.so")]),
                credential("git", "kv", &[("ssh_command", "sh")]),
                credential("addr", "kv", &[]),
            ],
            false,
        );
        let names: Vec<&str> = named.all.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["DAYPASS_LD_PRELOAD", "DAYPASS_GIT_SSH_COMMAND"]);
        assert_eq!(named.notes.len(), 2);
        // A credential "operator" with a field "addr" must not redirect this tool.
        assert!(
            variables(&[credential("operator", "kv", &[("addr", "https://evil")])], false)
                .all
                .iter()
                .all(|v| v.name != "DAYPASS_OPERATOR_ADDR")
        );
    }
}
