//! The options that several verbs share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Global {
    /// Where the broker listens, such as https://broker.example
    #[arg(long, global = true, env = "DAYPASS_ADDR", value_name = "URL", hide_env_values = true)]
    pub(crate) address: Option<String>,
    /// Where the broker listens for operators
    #[arg(long, global = true, env = "DAYPASS_OPERATOR_ADDR", value_name = "URL", hide_env_values = true)]
    pub(crate) operator_address: Option<String>,
    /// Certificate authorities (PEM) to believe for the broker, instead of the system's
    #[arg(long, global = true, env = "DAYPASS_CACERT", value_name = "FILE", hide_env_values = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Certificate authorities (PEM) to believe for the CI system's token endpoint
    #[arg(long, global = true, env = "DAYPASS_CI_CACERT", value_name = "FILE", hide_env_values = true)]
    pub(crate) ci_ca_file: Option<PathBuf>,
    /// Where `login` keeps the session, instead of a folder of this job or login
    #[arg(long, global = true, env = "DAYPASS_SESSION_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) session_file: Option<PathBuf>,
    /// How answers and errors are written
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    /// Text for a pull request; where a verb has none, as text
    Markdown,
    /// SARIF 2.1.0, of `policy check` alone
    Sarif,
    /// Annotations of a GitHub job, of `policy check` alone
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What is asked for, and with which token.
#[derive(Args, Clone, Debug)]
pub(crate) struct Asking {
    /// The role wanted; may be left out when the token can become exactly one
    #[arg(long, env = "DAYPASS_ROLE", value_name = "ROLE", hide_env_values = true)]
    pub(crate) role: Option<String>,
    /// How long the credentials are needed, such as 15m; it can only shorten what the policy allows
    #[arg(long, value_name = "DURATION", value_parser = a_duration)]
    pub(crate) ttl: Option<String>,
    #[command(flatten)]
    pub(crate) token: Token,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The CI token")]
#[expect(clippy::struct_field_names, reason = "named as the options are")]
pub(crate) struct Token {
    /// The variable that holds the CI token (GitLab `id_tokens:`); DAYPASS_ID_TOKEN unless told
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,
    // Its variable is read later: named here, the token is wanted even when a session is kept; in the variable it is only offered.
    /// A file that holds the CI token, or - for standard input [env: DAYPASS_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The audience to ask a token for; the broker's address unless told
    #[arg(long, env = "DAYPASS_AUDIENCE", value_name = "AUDIENCE", hide_env_values = true)]
    pub(crate) audience: Option<String>,
    /// Which of the token's claims to show when the broker refuses it
    #[arg(long, value_enum, default_value_t = ShowClaims::Safe)]
    pub(crate) show_claims: ShowClaims,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowClaims {
    /// Those that name no person
    Safe,
    /// None of them
    None,
}

impl Global {
    /// Variables set to nothing count as not set, as CI systems pass undefined inputs that way.
    pub(crate) fn tidy(&mut self) {
        clear(&mut self.address, String::is_empty);
        clear(&mut self.operator_address, String::is_empty);
        for path in [&mut self.ca_file, &mut self.ci_ca_file, &mut self.session_file] {
            clear(path, |path| path.as_os_str().is_empty());
        }
    }
}

impl Asking {
    pub(crate) fn tidy(&mut self) {
        clear(&mut self.role, String::is_empty);
        clear(&mut self.token.audience, String::is_empty);
        clear(&mut self.token.token_file, |path| path.as_os_str().is_empty());
    }
}

fn clear<T>(value: &mut Option<T>, is_empty: impl Fn(&T) -> bool) {
    if value.as_ref().is_some_and(is_empty) {
        *value = None;
    }
}

/// A duration that is passed on as it was written.
fn a_duration(text: &str) -> Result<String, String> {
    domain::policy::duration::parse(text).map(|_| text.to_owned())
}

/// `NAME=VALUE`.
pub(crate) fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
