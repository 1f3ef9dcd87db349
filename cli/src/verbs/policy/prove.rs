//! `daypass policy prove`: what must never become possible, decided over every token that an issuer can make.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use domain::policy::{Counterexample, Outcome, PolicySet, Proof, prove};
use serde::Serialize;

use super::load;
use super::tokens;
use crate::args::Format;
use crate::context::Context;
use crate::failure::Result;
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, count};

#[derive(Args, Debug)]
pub(crate) struct Prove {
    /// The folder of the set
    #[arg(default_value = "policies")]
    folder: PathBuf,
}

#[derive(Serialize)]
struct Answer<'a> {
    holds: bool,
    proofs: &'a [Proof],
}

/// The exit code: 0 when every invariant holds.
pub(super) fn run(context: &Context, ask: &Prove) -> Result<u8> {
    let set = load::folder(&ask.folder)?;
    let proofs = prove(&set);
    let holds = proofs.iter().all(Proof::holds);
    match context.out.format {
        Format::Json => context.out.json(&Answer { holds, proofs: &proofs })?,
        Format::Markdown => context.out.raw(markdown(&proofs).as_bytes())?,
        Format::Text | Format::Sarif | Format::Github => context.out.text(&text(&proofs, &set, &ask.folder))?,
    }
    Ok(u8::from(!holds))
}

fn text(proofs: &[Proof], set: &PolicySet, folder: &Path) -> String {
    let mut text = String::new();
    let width = proofs.iter().map(|proof| clean(&proof.invariant).chars().count()).max().unwrap_or(0);
    for proof in proofs {
        let (name, kind) = (clean(&proof.invariant), format!("{} {}", clean(&proof.issuer), proof.bound));
        let place = clean(&format!("{}:{}", folder.join(&proof.place.file).display(), proof.place.line));
        match &proof.outcome {
            Outcome::Holds { rows, note } => {
                let _ = writeln!(text, "{GOOD}✓{GOOD:#} {name:width$}  {FAINT}{kind}, {}{FAINT:#}", count(*rows, "row"));
                if let Some(note) = note {
                    let _ = writeln!(text, "  {STRONG}note{STRONG:#}  {} {FAINT}({place}){FAINT:#}", clean(note));
                }
            }
            Outcome::Undecided { reason } => {
                let _ = writeln!(
                    text,
                    "{BAD}?{BAD:#} {name:width$}  {FAINT}{kind}, {place}{FAINT:#}\n  {BAD}not decided{BAD:#}: {}",
                    clean(reason)
                );
            }
            Outcome::Broken { counterexamples, also } => {
                let _ = writeln!(text, "{BAD}✗{BAD:#} {name:width$}  {FAINT}{kind}, {place}{FAINT:#}");
                for shown in counterexamples {
                    broken(proof, shown, folder, &mut text);
                }
                if !also.is_empty() {
                    let _ = writeln!(text, "  {STRONG}also{STRONG:#}  {}", clean(&also.join(", ")));
                }
            }
        }
    }
    let held = proofs.iter().filter(|proof| proof.holds()).count();
    let style = if held == proofs.len() { GOOD } else { BAD };
    let _ = writeln!(
        text,
        "{style}{held} of {} {}{style:#} for every token that the issuers can make; {}",
        count(proofs.len(), "invariant"),
        if held == 1 { "holds" } else { "hold" },
        count(set.roles().len(), "role"),
    );
    text
}

fn broken(proof: &Proof, shown: &Counterexample, folder: &Path, text: &mut String) {
    let place = clean(&folder.join(&shown.place.file).display().to_string());
    let rehearsed = if shown.rehearsed { " (in shadow)" } else { "" };
    let _ = writeln!(
        text,
        "  {STRONG}{}{STRONG:#}{rehearsed} {FAINT}{}:{}{FAINT:#}\n    {} and so lets in:",
        clean(&shown.role),
        place,
        shown.place.line,
        clean(&shown.because)
    );
    tokens::changes(&shown.changes, &proof.issuer, text);
    let command = tokens::command(&folder.display().to_string(), &proof.issuer, &shown.role, &shown.changes);
    let _ = writeln!(text, "    {FAINT}{}{FAINT:#}", clean(&command));
}

fn markdown(proofs: &[Proof]) -> String {
    let held = proofs.iter().filter(|proof| proof.holds()).count();
    let mut text = format!("### Policy: {held} of {} hold for every possible token\n\n", count(proofs.len(), "invariant"));
    for proof in proofs {
        let place = tokens::code(&format!("{}:{}", proof.place.file, proof.place.line));
        let name = tokens::plain(&proof.invariant);
        match &proof.outcome {
            Outcome::Holds { note, .. } => {
                let note = note.as_ref().map_or_else(String::new, |note| format!(" — {}", tokens::plain(note)));
                let _ = writeln!(text, "- ✅ {name}{note}");
            }
            Outcome::Undecided { reason } => {
                let _ = writeln!(text, "- ❓ **{name}** ({place}): not decided: {}", tokens::plain(reason));
            }
            Outcome::Broken { counterexamples, also } => {
                let _ = writeln!(text, "- ❌ **{name}** ({place})\n");
                for shown in counterexamples {
                    let place = tokens::code(&format!("{}:{}", shown.place.file, shown.place.line));
                    let _ = writeln!(
                        text,
                        "{}: {} ({place}) and so lets in:\n",
                        tokens::code(&shown.role),
                        tokens::plain(&shown.because)
                    );
                    tokens::markdown(&shown.changes, &proof.issuer, &mut text);
                }
                if !also.is_empty() {
                    let also: Vec<String> = also.iter().map(|role| tokens::code(role)).collect();
                    let _ = writeln!(text, "Also: {}.\n", also.join(", "));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::policy::SourceFile;

    use super::*;

    fn set(invariant: &str) -> PolicySet {
        let text = format!(
            "[issuer.github]\nkind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\naudience = \"https://d.example\"\n\
             [role.deploy.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
             [[role.deploy.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nref = {{ glob = \"refs/heads/release/*\" }}\n\
             [[invariant]]\nname = \"main\"\nissuer = \"github\"\n{invariant}\n"
        );
        PolicySet::load(vec![SourceFile { path: "set.toml".to_owned(), text }]).expect("a set")
    }

    fn shown(invariant: &str) -> String {
        let set = set(invariant);
        anstream::adapter::strip_str(&text(&prove(&set), &set, Path::new("policies"))).to_string()
    }

    #[test]
    fn shows_the_token_that_breaks_it_and_how_to_look_closer() {
        assert_eq!(
            shown("only = { ref = \"refs/heads/main\" }"),
            "✗ main  github only, policies/set.toml:12\n  deploy policies/set.toml:8\n    \
             row 1 asks for ref = { glob = \"refs/heads/release/*\" } and so lets in:\n      \
             ref  \"refs/heads/release/x\"  sample: \"refs/heads/main\"\n    \
             daypass policy explain policies --issuer github --role deploy --claim ref=refs/heads/release/x\n\
             0 of 1 invariant hold for every token that the issuers can make; 1 role\n"
        );
    }

    #[test]
    fn says_what_holds_and_when_it_says_little() {
        assert_eq!(
            shown("never = { ref = \"refs/heads/main\" }"),
            "✓ main  github never, 1 row\n1 of 1 invariant holds for every token that the issuers can make; 1 role\n"
        );
        let vacuous = shown("never = { runner_environment = \"large\" }");
        assert!(
            vacuous.contains("note  no token of `github` is like that, whatever the roles (policies/set.toml:12)"),
            "{vacuous}"
        );
        assert!(markdown(&prove(&set("never = { ref = \"x\" }"))).starts_with("### Policy: 1 of 1 invariant hold"));
    }
}
