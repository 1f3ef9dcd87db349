//! Tokens of proofs and comparisons, for people: what is not as in the issuer's sample, and how to look closer.

use std::fmt::Write as _;

use domain::claims::Json;
use domain::policy::Change;

use crate::render::{FAINT, STRONG, clean};

/// Each claim on a line of its own, aligned. Nothing when the token is the sample itself.
pub(super) fn changes(changes: &[Change], issuer: &str, text: &mut String) {
    if changes.is_empty() {
        let _ = writeln!(text, "      {FAINT}the sample token of {} as it is{FAINT:#}", clean(issuer));
        return;
    }
    let shown: Vec<[String; 3]> = changes.iter().map(cells).collect();
    let width = |at: usize| shown.iter().filter_map(|cells| cells.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [claim, token, sample] in &shown {
        let _ = writeln!(text, "      {STRONG}{claim:first$}{STRONG:#}  {token:second$}  {FAINT}sample: {sample}{FAINT:#}");
    }
}

/// The same as rows of a Markdown table.
pub(super) fn markdown(changes: &[Change], issuer: &str, text: &mut String) {
    if changes.is_empty() {
        let _ = writeln!(text, "The sample token of {} as it is.\n", code(issuer));
        return;
    }
    let _ = writeln!(text, "| claim | token | sample |\n|---|---|---|");
    for [claim, token, sample] in changes.iter().map(cells) {
        let _ = writeln!(text, "| {} | {} | {} |", code(&claim), code(&token), code(&sample));
    }
    text.push('\n');
}

/// The claim, what the token has, and what the sample has.
fn cells(change: &Change) -> [String; 3] {
    let value = |value: &Option<Json>| value.as_ref().map_or_else(|| "(missing)".to_owned(), |value| clean(&json(value)));
    [clean(&change.claim), value(&change.token), value(&change.sample)]
}

fn json(value: &Json) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// How to ask the set about this very token.
pub(super) fn command(folder: &str, issuer: &str, role: &str, changes: &[Change]) -> String {
    let mut command = format!("daypass policy explain {} --issuer {issuer} --role {role}", quoted(folder));
    for change in changes {
        let option = match &change.token {
            Some(Json::String(text)) => format!("--claim {}", quoted(&format!("{}={text}", change.claim))),
            Some(value) => format!("--claim {}", quoted(&format!("{}:={}", change.claim, json(value)))),
            None => format!("--without {}", quoted(&change.claim)),
        };
        command = format!("{command} {option}");
    }
    command
}

/// A word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "_-./:=@%+,".contains(sign);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Text of a Markdown page, as code, that ends neither the code nor a cell of a table.
pub(super) fn code(text: &str) -> String {
    let text = clean(text).replace('|', "\\|");
    let longest = text.split(|sign| sign != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match (text.is_empty(), longest) {
        (true, _) => "—".to_owned(),
        (false, 0) => format!("{fence}{text}{fence}"),
        (false, _) => format!("{fence} {text} {fence}"),
    }
}

/// Text of a Markdown page that is no markup, whatever it holds. What would be read as a mention or a link even so is broken by a
/// space of no width.
pub(super) fn plain(text: &str) -> String {
    let mut escaped = String::new();
    let text = clean(text).replace('@', "@\u{200b}").replace("://", ":\u{200b}//").replace("www.", "www\u{200b}.");
    for sign in text.chars() {
        if sign.is_ascii_punctuation()
            && !matches!(sign, '.' | ',' | ':' | ';' | '-' | '(' | ')' | '/' | '=' | '"' | '\'' | '{' | '}')
        {
            escaped.push('\\');
        }
        escaped.push(sign);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(claim: &str, token: Option<Json>) -> Change {
        Change { claim: claim.to_owned(), sample: Some("s".into()), token }
    }

    #[test]
    fn a_command_asks_about_the_token_and_nothing_a_shell_would_do() {
        let changes = [
            change("ref", Some("refs/heads/a b'; rm -rf ~".into())),
            change("runner_id", Some(Json::Int(7))),
            change("environment", None),
        ];
        assert_eq!(
            command("policies", "gitlab", "deploy", &changes),
            "daypass policy explain policies --issuer gitlab --role deploy --claim 'ref=refs/heads/a b'\\''; rm -rf ~' \
             --claim runner_id:=7 --without environment"
        );
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut text = String::new();
        super::changes(&[change("ref", Some("main".into())), change("environment", None)], "x", &mut text);
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(text, "      ref          \"main\"     sample: \"s\"\n      environment  (missing)  sample: \"s\"\n");
    }

    #[test]
    fn markdown_cannot_be_broken_out_of() {
        assert_eq!(code("refs/heads/main"), "`refs/heads/main`");
        assert_eq!(code("a`|b\u{1b}"), "`` a`\\|b\u{fffd} ``");
        assert_eq!(code("x|y\n@everyone"), "`x\\|y\u{fffd}@everyone`");
        assert_eq!(plain("<b>[x](y)* `z` | @acme"), "\\<b\\>\\[x\\](y)\\* \\`z\\` \\| \\@\u{200b}acme");
        assert_eq!(plain("see https://x.example or www.x.example"), "see https:\u{200b}//x.example or www\u{200b}.x.example");
    }
}
