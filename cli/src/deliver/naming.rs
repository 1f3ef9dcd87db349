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
        named.displace(credential, &in_front);
        for field in credential.fields() {
            for name in expected(credential, field.name) {
                named.add_usual(credential, format!("{in_front}{name}"), field.value.clone());
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
        if !has_names_of_its_own(credential) {
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

/// Whether programs know the engine's values by fixed names, whatever the credential is called.
pub(crate) fn has_names_of_its_own(credential: &Credential) -> bool {
    matches!(credential.engine.as_str(), "aws" | "postgres" | "mysql")
}

/// What programs of an engine prefer to the names that it is given by, or read beside them: an inherited one would have them
/// log in as, or to, somebody else.
fn rivals(engine: &str) -> &'static [&'static str] {
    match engine {
        "aws" => &[
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_DEFAULT_PROFILE",
            "AWS_PROFILE",
            "AWS_ROLE_ARN",
            "AWS_ROLE_SESSION_NAME",
            "AWS_SECURITY_TOKEN",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
        ],
        "postgres" => &["PGHOSTADDR", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE"],
        // Folders and groups of option files, which come after the environment and win over it; a socket in place of the host.
        "mysql" => &[
            "MARIADB_HOME",
            "MYSQL_DEFAULTS_FILE",
            "MYSQL_GROUP_SUFFIX",
            "MYSQL_HOME",
            "MYSQL_TEST_LOGIN_FILE",
            "MYSQL_UNIX_PORT",
        ],
        _ => &[],
    }
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
        ("postgres" | "mysql", "url") => &["DATABASE_URL"],
        // Verifying needs a root certificate at the client, which the broker does not hand out.
        ("postgres", "sslmode") => match credential.field(field).map(|value| value.expose().as_str()) {
            Some("disable" | "prefer" | "require") => &["PGSSLMODE"],
            _ => &[],
        },
        // The programs themselves read MYSQL_HOST, MYSQL_TCP_PORT and MYSQL_PWD; the others are what scripts pass on to them.
        ("mysql", "username") => &["MYSQL_USER"],
        ("mysql", "password") => &["MYSQL_PWD"],
        ("mysql", "host") => &["MYSQL_HOST"],
        ("mysql", "port") => &["MYSQL_TCP_PORT"],
        ("mysql", "database") => &["MYSQL_DATABASE"],
        ("aws" | "postgres" | "mysql", _) => &[],
        _ => return vec![format!("{}_{}", upper(&credential.name), upper(field))],
    };
    fixed.iter().map(|name| (*name).to_owned()).collect()
}

fn upper(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

impl Variables {
    /// Takes away what programs would prefer to the usual names of this credential. Names with a prefix stand beside what the
    /// job has.
    pub(crate) fn displace(&mut self, credential: &Credential, in_front: &str) {
        if in_front.is_empty() {
            self.displaced.extend(rivals(&credential.engine).iter().map(|name| (*name).to_owned()));
        }
    }

    /// The usual name beside the exact one. Where the credential's fields choose it, it must not be one that steers programs.
    pub(crate) fn add_usual(&mut self, credential: &Credential, name: String, value: Secret<String>) {
        if !has_names_of_its_own(credential) && steers(&name) {
            self.not_set(&name);
        } else {
            self.add(name, value);
        }
    }

    fn not_set(&mut self, name: &str) {
        self.notes
            .push(format!("{name} is not set: the name steers programs or this tool; use its DAYPASS_… name or `daypass read`"));
    }

    pub(crate) fn add(&mut self, name: String, value: Secret<String>) {
        if name.starts_with(|first: char| first.is_ascii_digit()) || SETTINGS.contains(&name.as_str()) {
            self.not_set(&name);
        } else if let Some(other) = self.all.iter().find(|variable| variable.name == name) {
            if other.value != value {
                self.notes.push(format!("{name} would stand for two values; the first one keeps it"));
            }
        } else {
            self.all.push(Variable { name, value });
        }
    }
}

/// Whether a name changes what a program runs, what it trusts or where it sends what it has. Whoever may write a stored secret
/// chooses its fields, and must not get to run code in the job by it; so the families of such programs are left out whole. A
/// name without an underscore (`PATH`) cannot come up: there is one between credential and field.
fn steers(name: &str) -> bool {
    const FAMILIES: [&str; 56] = [
        "ACTIONS_",
        "ALL_",
        "ANDROID_",
        "ANSIBLE_",
        "AWS_",
        "AZURE_",
        "BASH_",
        "BUILDKIT_",
        "BUNDLE_",
        "CARGO_",
        "CGO_",
        "CLOUDSDK_",
        "CMAKE_",
        "COMPOSER_",
        "CURL_",
        "DOCKER_",
        "DYLD_",
        "ELECTRON_",
        "FTP_",
        "GCONV_",
        "GEM_",
        "GIT_",
        "GLIBC_",
        "GOOGLE_",
        "GRADLE_",
        "HELM_",
        "HTTPS_",
        "HTTP_",
        "JAVA_",
        "JDK_",
        "KUBE_",
        "LD_",
        "LUA_",
        "MAVEN_",
        "NODE_",
        "NO_",
        "NPM_CONFIG_",
        "OPENSSL_",
        "PERL_",
        "PHP_",
        "PIP_",
        "PROMPT_",
        "PYTHON",
        "REQUESTS_",
        "RUBY_",
        "RUNNER_",
        "RUSTC_",
        "RUSTUP_",
        "SSH_",
        "SSL_",
        "TF_",
        "UV_",
        "VAULT_",
        "VIRTUAL_",
        "XDG_",
        "YARN_",
    ];
    const RUNNER_FILES: [&str; 5] = ["GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"];
    RUNNER_FILES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
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
mod tests;
