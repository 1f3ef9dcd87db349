//! `daypass policy suggest`: what of a set is wider than its use, as an edit of its files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use domain::policy::suggest::{About, Boldness, Suggested, Suggestion, Usage, suggest};
use domain::policy::{PolicySet, SourceFile};
use serde::Serialize;
use similar::TextDiff;

use super::history::{self, Past, Window};
use super::load;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, count, moment};

#[derive(Args, Debug)]
pub(crate) struct Suggest {
    /// The folder of the set
    #[arg(default_value = "policies")]
    folder: PathBuf,
    #[command(flatten)]
    window: Window,
    /// Uses of a row before what nobody brought counts as not needed
    #[arg(long, default_value_t = 10, value_name = "USES", value_parser = clap::value_parser!(u64).range(1..))]
    least: u64,
    /// Take rows out that nobody came in by, where their role has others that are used
    #[arg(long)]
    drop_unused: bool,
    /// Change the files
    #[arg(long)]
    write: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    past: &'a Past,
    suggestions: &'a [Suggestion],
    /// The change of all files as a patch.
    patch: String,
    written: bool,
}

pub(super) async fn run(context: &Context, ask: Suggest) -> Result<u8> {
    let set = load::folder(&ask.folder)?;
    let mut usage = Usage::new(&set);
    let past = history::read(context, &ask.window, |decision| usage.take(decision)).await?;
    let Suggested { suggestions, files } = suggest(&usage, Boldness { least_uses: ask.least, drop_unused: ask.drop_unused });
    if ask.write {
        write(&ask.folder, &set, &files)?;
    }
    let patch = patch(&set, &files);
    if context.out.is_json() {
        context.out.json(&Answer { past: &past, suggestions: &suggestions, patch, written: ask.write })?;
        return Ok(0);
    }
    let mut text = String::new();
    past.describe(&mut text);
    describe(&mut text, &suggestions);
    coloured(&mut text, &patch);
    match (files.is_empty(), ask.write) {
        (true, _) => text.push_str("nothing to change\n"),
        (false, true) => {
            let _ = writeln!(text, "{GOOD}{} changed{GOOD:#}: run `daypass policy check` and review", count(files.len(), "file"));
        }
        (false, false) => {
            let _ = writeln!(text, "{FAINT}nothing was written: --write changes {}{FAINT:#}", count(files.len(), "file"));
        }
    }
    context.out.text(&text)?;
    Ok(0)
}

fn describe(text: &mut String, suggestions: &[Suggestion]) {
    for suggestion in suggestions {
        let Suggestion { file, line, role, row, why, uses, last_use, .. } = suggestion;
        let _ =
            writeln!(text, "\n{STRONG}{}:{line}{STRONG:#} {} row {}: {}", clean(file), clean(role), row + 1, head(suggestion));
        let used = last_use.map(|last| format!("{} decisions, the last {}", uses, moment(last)));
        let lines = [
            ("from", suggestion.from.clone()),
            ("to", suggestion.to.clone()),
            ("why", Some(why.clone())),
            ("used", used),
            ("left out", suggestion.left_out.clone()),
        ];
        for (name, value) in lines.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let _ = writeln!(text, "  {FAINT}{name:8}{FAINT:#}  {}", clean(&value));
        }
    }
    if !suggestions.is_empty() {
        text.push('\n');
    }
}

fn head(suggestion: &Suggestion) -> String {
    let claim = suggestion.claim.as_deref().map(clean).unwrap_or_default();
    match suggestion.about {
        About::UnusedRow => "not used".to_owned(),
        About::Narrower => format!("{claim} is wider than its use"),
        About::PinnedId => format!("{claim} can be pinned"),
    }
}

/// One unified diff over all files that change.
fn patch(set: &PolicySet, files: &[SourceFile]) -> String {
    files
        .iter()
        .filter_map(|file| Some((file, set.files().iter().find(|before| before.path == file.path)?)))
        .map(|(after, before)| {
            let (from, to) = (format!("a/{}", before.path), format!("b/{}", after.path));
            TextDiff::from_lines(&before.text, &after.text).unified_diff().context_radius(3).header(&from, &to).to_string()
        })
        .collect()
}

fn coloured(text: &mut String, patch: &str) {
    for line in patch.lines() {
        let shown = clean(line);
        let _ = match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") => writeln!(text, "{STRONG}{shown}{STRONG:#}"),
            Some(b'+') => writeln!(text, "{GOOD}{shown}{GOOD:#}"),
            Some(b'-') => writeln!(text, "{BAD}{shown}{BAD:#}"),
            Some(b'@') => writeln!(text, "{FAINT}{shown}{FAINT:#}"),
            _ => writeln!(text, "{shown}"),
        };
    }
}

/// Puts the files in place, unless somebody has changed one since it was read.
fn write(folder: &Path, set: &PolicySet, files: &[SourceFile]) -> Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        let held = std::fs::read_to_string(&path).ok();
        if !set.files().iter().any(|read| read.path == file.path && Some(&read.text) == held.as_ref()) {
            return Err(Failure::local(format!("{} has changed in the meantime", path.display())).fix("run it again"));
        }
    }
    for file in files {
        let path = folder.join(&file.path);
        std::fs::write(&path, &file.text)
            .map_err(|error| Failure::local(format!("{} cannot be written", path.display())).because(&error))?;
    }
    Ok(())
}
