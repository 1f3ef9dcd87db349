//! `daypass policy diff`: what a change of the set lets in and shuts out, and what else it changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use domain::policy::{Diff, Difference, Moved, Now, SourceFile, diff};
use serde::Serialize;

use super::load::loaded;
use super::revision::read_revision;
use super::tokens;
use crate::args::Format;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::policy::read_folder;
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, count};

#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The set as it was: a folder, a git revision, or two of them as in origin/main..HEAD
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
}

/// The exit code: 0, or 1 for a change that widens where that was asked for.
pub(super) fn run(context: &Context, ask: &Compare) -> Result<u8> {
    let (old, new) = sets(&ask.old, &ask.new)?;
    let (old, new) = (loaded(old.0, &old.1)?, loaded(new.0, &new.1)?);
    let diff = diff(&old, &new);
    match context.out.format {
        Format::Json => {
            context.out.json(&Answer { outcomes_stay: diff.outcomes_stay(), widens: diff.widens(), diff: &diff })?;
        }
        Format::Markdown => context.out.raw(markdown(&diff).as_bytes())?,
        Format::Text | Format::Sarif | Format::Github => context.out.text(&text(&diff))?,
    }
    Ok(u8::from(ask.exit_code && diff.widens()))
}

/// Files, and what to call them.
type Source = (Vec<SourceFile>, String);

/// The old set and the new one. A folder is meant before a revision of the same name.
fn sets(old: &str, folder: &Path) -> Result<(Source, Source)> {
    let at = |revision: &str| Ok((read_revision(folder, revision)?, format!("at {revision}")));
    let here = |folder: &Path| Ok((read_folder(folder)?, folder.display().to_string()));
    if Path::new(old).is_dir() {
        return Ok((here(Path::new(old))?, here(folder)?));
    }
    if old.contains("...") {
        return Err(Failure::usage(format!("{old} names two revisions by three dots"))
            .fix("write it with two dots, or name one revision to compare it with the folder"));
    }
    match old.split_once("..") {
        Some((from, to)) => Ok((at(from)?, at(if to.is_empty() { "HEAD" } else { to })?)),
        None => Ok((at(old)?, here(folder)?)),
    }
}

/// Newly allowed first.
fn in_order(diff: &Diff) -> impl Iterator<Item = &Moved> {
    [Now::Allowed, Now::Denied].into_iter().flat_map(|now| diff.moved.iter().filter(move |moved| moved.now == now))
}

fn text(diff: &Diff) -> String {
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
    let shown: Vec<[String; 4]> = diff.differences.iter().map(cells).collect();
    let width = |at: usize| shown.iter().filter_map(|cells| cells.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for ([what, field, change, _], difference) in shown.iter().zip(&diff.differences) {
        let (style, word) = if difference.widens { (BAD, "wider") } else { (FAINT, "other") };
        let _ = writeln!(text, "{style}{word}{style:#}  {STRONG}{what:first$}{STRONG:#}  {field:second$}  {change}");
    }
    let style = if diff.widens() { BAD } else { GOOD };
    let _ = writeln!(text, "{style}{}{style:#}", summary(diff));
    text
}

fn summary(diff: &Diff) -> String {
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
    format!("{outcome}{undecided}{others}")
}

/// What it is, which field, how it changed, and the same for Markdown.
fn cells(difference: &Difference) -> [String; 4] {
    let what = format!("{} {}", difference.kind, clean(&difference.name));
    let field = if difference.field.is_empty() { "as a whole".to_owned() } else { clean(&difference.field) };
    let value = |value: &Option<String>| value.as_ref().map(|value| clean(value));
    let (old, new) = (value(&difference.old), value(&difference.new));
    let (change, marked) = match (old, new) {
        (Some(old), Some(new)) => (format!("{old} → {new}"), format!("{} → {}", tokens::code(&old), tokens::code(&new))),
        (None, Some(new)) => (format!("new: {new}"), format!("new: {}", tokens::code(&new))),
        (Some(old), None) => (format!("gone: {old}"), format!("gone: {}", tokens::code(&old))),
        (None, None) => (String::new(), String::new()),
    };
    [what, field, change, marked]
}

fn markdown(diff: &Diff) -> String {
    let mut text = format!("### Policy: {}\n\n", summary(diff));
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
    use domain::policy::{PolicySet, diff};

    use super::*;

    fn set(environment: &str, ttl: &str) -> PolicySet {
        let text = format!(
            "[issuer.github]\nkind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\naudience = \"https://d.example\"\n\
             [role.deploy]\nttl = \"{ttl}\"\n[role.deploy.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
             [[role.deploy.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n{environment}"
        );
        PolicySet::load(vec![SourceFile { path: "set.toml".to_owned(), text }]).expect("a set")
    }

    fn seen(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn shows_a_token_for_what_moves_and_marks_what_is_wider() {
        let diff = diff(&set("environment = \"production\"", "10m"), &set("", "20m"));
        assert_eq!(
            seen(&text(&diff)),
            "newly allowed  deploy  github, row 1 (set.toml:10)\n    before row 1 asked for environment = \"production\"; one such token:\n      \
             the sample token of github as it is\nwider  role deploy  ttl  10m → 20m\n\
             newly allowed by 1 row, newly denied by 0 rows; 1 other difference\n"
        );
        let page = markdown(&diff);
        assert!(page.starts_with("### Policy: newly allowed by 1 row"), "{page}");
        assert!(page.contains("| role deploy | ttl | `10m` → `20m` | wider |"), "{page}");
    }

    #[test]
    fn says_so_when_nothing_moves() {
        let same = diff(&set("", "10m"), &set("run_id = { present = true }", "10m"));
        assert_eq!(seen(&text(&same)), "no token's outcome changes\n");
        assert_eq!(markdown(&same), "### Policy: no token's outcome changes\n\n");
    }

    #[test]
    fn three_dots_are_refused_and_a_folder_comes_before_a_revision() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(sets("a...b", folder.path()).expect_err("three dots").title.contains("three dots"));
        assert!(sets(&folder.path().display().to_string(), folder.path()).expect_err("empty").title.contains("holds no .toml"));
    }
}
