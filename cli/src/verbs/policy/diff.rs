//! `daypass policy diff`: what a change of the set lets in and shuts out, and what else it changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use domain::policy::{Ambiguities, Diff, Difference, Moved, Now, SourceFile, ambiguities, diff};
use serde::Serialize;

use super::load::loaded;
use super::revision::{is_revision, merge_base, read_revision};
use super::{tokens, unnamed};
use crate::args::Format;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::policy::read_folder;
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, count};

#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The set as it was: a folder, a git revision, or two of them: main..HEAD, or main...HEAD from where the two parted
    old: String,
    /// The folder of the set as it is
    #[arg(default_value = "policies")]
    new: PathBuf,
    /// Exit with 1 when the change lets more in, gives more or loosens a guard
    #[arg(long)]
    exit_code: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// Whether every token has the roles that it had.
    outcomes_stay: bool,
    widens: bool,
    #[serde(flatten)]
    diff: &'a Diff,
    /// What becomes of asks that name no role.
    unnamed: &'a Ambiguities,
}

/// The exit code: 0, or 1 for a change that widens where that was asked for.
pub(super) fn run(context: &Context, ask: &Compare) -> Result<u8> {
    let (old, new) = sets(&ask.old, &ask.new)?;
    let (old, new) = (loaded(old.0, &old.1)?, loaded(new.0, &new.1)?);
    let diff = diff(&old, &new);
    let unnamed = ambiguities(&old, &new, &diff);
    match context.out.format {
        Format::Json => {
            let (outcomes_stay, widens) = (diff.outcomes_stay(), diff.widens());
            context.out.json(&Answer { outcomes_stay, widens, diff: &diff, unnamed: &unnamed })?;
        }
        Format::Markdown => context.out.raw(markdown(&diff, &unnamed).as_bytes())?,
        Format::Text | Format::Sarif | Format::Github => context.out.text(&text(&diff, &unnamed))?,
    }
    Ok(u8::from(ask.exit_code && diff.widens()))
}

/// Files, and what to call them.
type Source = (Vec<SourceFile>, String);

/// The old set and the new one. A name that is both a folder and a revision is not guessed: whoever writes to a repository could put a
/// folder in the way of the branch that a change is compared with.
fn sets(old: &str, folder: &Path) -> Result<(Source, Source)> {
    let at = |revision: &str| Ok((read_revision(folder, revision)?, format!("at {revision}")));
    let here = |folder: &Path| Ok((read_folder(folder)?, folder.display().to_string()));
    if Path::new(old).is_dir() {
        if !old.starts_with(['.', '/']) && is_revision(folder, old) {
            return Err(Failure::usage(format!("{old} is a folder and a git revision"))
                .fix(format!("write ./{old} for the folder, or the whole name of the revision, such as refs/remotes/{old}")));
        }
        return Ok((here(Path::new(old))?, here(folder)?));
    }
    let head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
    if let Some((from, to)) = old.split_once("...") {
        let (from, to) = (head(from), head(to));
        let base = merge_base(folder, &from, &to)?;
        let parted = format!("at {}, where {from} and {to} parted", base.get(..12).unwrap_or(&base));
        return Ok(((read_revision(folder, &base)?, parted), at(&to)?));
    }
    match old.split_once("..") {
        Some((from, to)) => Ok((at(&head(from))?, at(&head(to))?)),
        None => Ok((at(old)?, here(folder)?)),
    }
}

/// Newly allowed first.
fn in_order(diff: &Diff) -> impl Iterator<Item = &Moved> {
    [Now::Allowed, Now::Denied].into_iter().flat_map(|now| diff.moved.iter().filter(move |moved| moved.now == now))
}

fn text(diff: &Diff, unnamed: &Ambiguities) -> String {
    let mut text = String::new();
    for moved in in_order(diff) {
        let (style, word) = if moved.now == Now::Allowed { (BAD, "newly allowed") } else { (GOOD, "newly denied ") };
        let _ = writeln!(
            text,
            "{style}{word}{style:#}  {STRONG}{}{STRONG:#}  {FAINT}{}, row {} ({}:{}){FAINT:#}\n    {}; one such token:",
            clean(&moved.role),
            clean(&moved.issuer),
            moved.row + 1,
            clean(&moved.place.file),
            moved.place.line,
            clean(&moved.because)
        );
        tokens::changes(&moved.changes, &moved.issuer, &mut text);
    }
    for unanswered in &diff.undecided {
        let (role, issuer) = (clean(&unanswered.role), clean(&unanswered.issuer));
        let _ = writeln!(
            text,
            "{BAD}not decided  {BAD:#}  {STRONG}{role}{STRONG:#}  {FAINT}{issuer}{FAINT:#}: {}",
            clean(&unanswered.reason)
        );
    }
    unnamed::text(unnamed, &mut text);
    let shown: Vec<[String; 4]> = diff.differences.iter().map(cells).collect();
    let width = |at: usize| shown.iter().filter_map(|cells| cells.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for ([what, field, change, _], difference) in shown.iter().zip(&diff.differences) {
        let (style, word) = if difference.widens { (BAD, "wider") } else { (FAINT, "other") };
        let _ = writeln!(text, "{style}{word}{style:#}  {STRONG}{what:first$}{STRONG:#}  {field:second$}  {change}");
    }
    let style = if diff.widens() { BAD } else { GOOD };
    let _ = writeln!(text, "{style}{}{style:#}", summary(diff, unnamed));
    text
}

fn summary(diff: &Diff, unnamed: &Ambiguities) -> String {
    let many = |now: Now| diff.moved.iter().filter(|moved| moved.now == now).count();
    let outcome = if diff.outcomes_stay() {
        "no token's outcome changes".to_owned()
    } else {
        format!("newly allowed by {}, newly denied by {}", count(many(Now::Allowed), "row"), count(many(Now::Denied), "row"))
    };
    let undecided = match diff.undecided.len() {
        0 => String::new(),
        n => format!("; {} not decided", count(n, "row")),
    };
    let others = match diff.differences.len() {
        0 => String::new(),
        n => format!("; {}", count(n, "other difference")),
    };
    format!("{outcome}{undecided}{}{others}", unnamed::summary(unnamed))
}

/// What it is, which field, how it changed, and the same for Markdown.
fn cells(difference: &Difference) -> [String; 4] {
    let what = format!("{} {}", difference.kind, clean(&difference.name));
    let field = if difference.field.is_empty() { "as a whole".to_owned() } else { clean(&difference.field) };
    [what, field, change(difference, clean), change(difference, tokens::code)]
}

/// Of a list what came and went; of anything else both values.
fn change(difference: &Difference, value: fn(&str) -> String) -> String {
    match (difference.old.as_deref(), difference.new.as_deref()) {
        (Some(old), Some(new)) => items(old, new, value).unwrap_or_else(|| format!("{} → {}", value(old), value(new))),
        (None, Some(new)) => format!("new: {}", value(new)),
        (Some(old), None) => format!("gone: {}", value(old)),
        (None, None) => String::new(),
    }
}

/// What one list of words has and the other does not; none for what are no such lists, or where only their order differs.
fn items(old: &str, new: &str, value: fn(&str) -> String) -> Option<String> {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).ok();
    let (old, new) = (list(old)?, list(new)?);
    let only = |sign: &'static str, these: &[String], those: &[String]| {
        let only = these.iter().filter(|item| !those.contains(item));
        only.map(|item| format!("{sign} {}", value(item))).collect::<Vec<_>>()
    };
    let moved = [only("+", &new, &old), only("-", &old, &new)].concat();
    (!moved.is_empty()).then(|| moved.join(", "))
}

fn markdown(diff: &Diff, unnamed: &Ambiguities) -> String {
    let mut text = format!("### Policy: {}\n\n", summary(diff, unnamed));
    for moved in in_order(diff) {
        let word = if moved.now == Now::Allowed { "⚠️ **Newly allowed**" } else { "🔒 **Newly denied**" };
        let place = tokens::code(&format!("{}:{}", moved.place.file, moved.place.line));
        let (role, issuer, because) = (tokens::code(&moved.role), tokens::code(&moved.issuer), tokens::plain(&moved.because));
        let _ =
            writeln!(text, "{word}: {role} to tokens of {issuer}, row {} ({place}); {because}. One such token:\n", moved.row + 1);
        tokens::markdown(&moved.changes, &moved.issuer, &mut text);
    }
    for unanswered in &diff.undecided {
        let (role, issuer) = (tokens::code(&unanswered.role), tokens::code(&unanswered.issuer));
        let _ = writeln!(text, "❓ **Not decided**: {role} to tokens of {issuer}: {}.\n", tokens::plain(&unanswered.reason));
    }
    unnamed::markdown(unnamed, &mut text);
    if !diff.differences.is_empty() {
        let _ = writeln!(text, "| what | field | change | |\n|---|---|---|---|");
        for difference in &diff.differences {
            let [what, field, _, change] = cells(difference);
            let wider = if difference.widens { "wider" } else { "" };
            let _ = writeln!(text, "| {} | {} | {change} | {wider} |", tokens::plain(&what), tokens::plain(&field));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::policy::PolicySet;

    use super::*;

    fn loaded(text: String) -> PolicySet {
        PolicySet::load(vec![SourceFile { path: "set.toml".to_owned(), text }]).expect("a set")
    }

    fn role(name: &str, environment: &str, ttl: &str) -> String {
        format!(
            "[role.{name}]\nttl = \"{ttl}\"\n[role.{name}.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
             [[role.{name}.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n{environment}\n"
        )
    }

    const ISSUER: &str = "[issuer.github]\nkind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\n\
                          audience = \"https://d.example\"\n";

    fn set(environment: &str, ttl: &str) -> PolicySet {
        loaded(format!("{ISSUER}{}", role("deploy", environment, ttl)))
    }

    fn seen(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    /// As text and as Markdown.
    fn shown(old: &PolicySet, new: &PolicySet) -> (String, String) {
        let diff = diff(old, new);
        let unnamed = ambiguities(old, new, &diff);
        (seen(&text(&diff, &unnamed)), markdown(&diff, &unnamed))
    }

    #[test]
    fn shows_a_token_for_what_moves_and_marks_what_is_wider() {
        let (text, page) = shown(&set("environment = \"production\"", "10m"), &set("", "20m"));
        assert_eq!(
            text,
            "newly allowed  deploy  github, row 1 (set.toml:10)\n    before row 1 asked for environment = \"production\"; one such token:\n      \
             the sample token of github as it is\nwider  role deploy  ttl  10m → 20m\n\
             newly allowed by 1 row, newly denied by 0 rows; 1 other difference\n"
        );
        assert!(page.starts_with("### Policy: newly allowed by 1 row"), "{page}");
        assert!(page.contains("| role deploy | ttl | `10m` → `20m` | wider |"), "{page}");
    }

    #[test]
    fn of_a_list_only_what_comes_and_goes_is_shown() {
        let rights = |old: &str, new: &str| Difference {
            kind: "role",
            name: "operators".to_owned(),
            field: "credential.rights.rights".to_owned(),
            old: Some(old.to_owned()),
            new: Some(new.to_owned()),
            widens: true,
        };
        let grown = rights(r#"["audit.read","leases.read"]"#, r#"["exchanges.stop","leases.read","leases.reconcile"]"#);
        let [_, _, text, marked] = cells(&grown);
        assert_eq!(text, "+ exchanges.stop, + leases.reconcile, - audit.read");
        assert_eq!(marked, "+ `exchanges.stop`, + `leases.reconcile`, - `audit.read`");
        for (old, new) in [("[1]", "[2]"), (r#"["a","b"]"#, r#"["b","a"]"#), (r#"["a"]"#, r#""a""#)] {
            assert_eq!(cells(&rights(old, new))[2], format!("{old} → {new}"), "no list of words, or another order");
        }
        assert!(!cells(&rights("[]", r#"["\u001b[31m"]"#))[2].contains('\u{1b}'), "what a policy says is no escape sequence");
    }

    #[test]
    fn says_so_when_nothing_moves() {
        let (text, page) = shown(&set("", "10m"), &set("run_id = { present = true }", "10m"));
        assert_eq!(text, "no token's outcome changes\n");
        assert_eq!(page, "### Policy: no token's outcome changes\n\n");
    }

    #[test]
    fn tells_whose_asks_without_a_role_are_refused_from_now_on() {
        let one = set("", "10m");
        let two = loaded(format!("{ISSUER}{}{}", role("deploy", "", "10m"), role("other", "environment = \"x\"", "10m")));
        let (text, page) = shown(&one, &two);
        let sentence =
            "an ask that names no role got deploy and is refused now (role_ambiguous); one such token:\n      environment  \"x\"";
        assert!(text.contains("ambiguous  deploy, other  github") && text.contains(sentence), "{text}");
        assert!(text.contains("; 1 pair of roles newly ambiguous"), "{text}");
        assert!(page.contains("⚠️ **Ambiguous**: `deploy`, `other` to tokens of `github`"), "{page}");
        let (text, page) = shown(&two, &one);
        assert!(text.contains("was refused (role_ambiguous) and gets deploy now"), "{text}");
        assert!(text.contains("; 1 pair of roles no longer ambiguous") && page.contains("✅ **No longer ambiguous**"), "{text}");
    }

    #[test]
    fn a_folder_comes_before_a_revision() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(sets(&folder.path().display().to_string(), folder.path()).expect_err("empty").title.contains("holds no .toml"));
    }
}
