//! What of a set is wider than its use.
//!
//! Every suggestion only narrows: nobody gets in who did not before. And every token that came in would still come in, since
//! each condition still takes all that was seen in its claim. What a case of the set holds open stays open.

mod edit;
mod series;
mod usage;

use std::cmp::Reverse;

use serde::Serialize;
use time::OffsetDateTime;

use super::check::run_cases;
use super::load::NO_PROJECT_PIN;
use super::pattern::{Condition, Pattern, Value};
use super::problem::SourceFile;
use super::prove::{Now, diff};
use super::set::{Issuer, PolicySet, Role, Row};
use crate::issuers::issuer::{Class, Type};

pub use usage::{RowUse, Usage};

use edit::Edit;
use usage::Seen;

/// Values that a list may have in place of a pattern.
const FEW: usize = 8;

/// What a suggestion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Nothing came in by this row.
    UnusedRow,
    /// A list has members, or a pattern takes values, that nobody brought.
    Narrower,
    /// A name, which another project can be given, is joined by the id that none can.
    PinnedId,
}

/// One change that would make a row narrower.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestion {
    pub about: About,
    pub role: String,
    /// Counted from zero.
    pub row: usize,
    pub file: String,
    pub line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// As TOML writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub why: String,
    /// How many decisions came in by the row.
    pub uses: u64,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub last_use: Option<OffsetDateTime>,
    /// Why it is not part of the edited files, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    #[serde(skip)]
    edits: Vec<Edit>,
}

/// How bold suggestions are.
#[derive(Clone, Copy, Debug)]
pub struct Boldness {
    /// Uses of a row before what nobody brought is taken for what nobody will bring.
    pub least_uses: u64,
    /// Rows that nobody came in by are taken out.
    pub drop_unused: bool,
}

/// The suggestions, and the files with those that can be carried out.
#[derive(Debug, Serialize)]
pub struct Suggested {
    pub suggestions: Vec<Suggestion>,
    /// The files that change, whole.
    pub files: Vec<SourceFile>,
}

/// What the use of a set suggests, tried on its files.
pub fn suggest(usage: &Usage<'_>, boldness: Boldness) -> Suggested {
    let set = usage.set;
    let mut suggestions = Vec::new();
    for role in set.roles().iter().filter(|role| !role.shadow) {
        let used = role.rows.iter().enumerate().any(|(at, _)| usage.row(&role.name, at).is_some());
        for (at, row) in role.rows.iter().enumerate() {
            let Some(issuer) = set.issuer(&row.issuer).filter(|issuer| issuer.enabled) else { continue };
            match usage.row(&role.name, at) {
                Some(seen) => suggestions.extend(of_row(issuer, role, at, row, seen, boldness)),
                None if usage.is_doubtful(&role.name, at) => {}
                None => suggestions.push(unused(role, at, row, used, boldness)),
            }
        }
    }
    let files = settle(set, &mut suggestions);
    Suggested { suggestions, files }
}

/// Carries out what can be: the set must stay sound, its cases must hold as they did, and nobody may come in who did not.
fn settle(set: &PolicySet, suggestions: &mut [Suggestion]) -> Vec<SourceFile> {
    let failing = failing(set);
    let mut now: Option<PolicySet> = None;
    let mut open: Vec<&mut Suggestion> = suggestions.iter_mut().filter(|suggestion| suggestion.left_out.is_none()).collect();
    // Suggestions know rows by their number, so rows are taken out behind everything else, and the last of a role first.
    open.sort_by_key(|suggestion| match suggestion.about {
        About::UnusedRow => (1, Reverse(suggestion.row)),
        About::Narrower | About::PinnedId => (0, Reverse(0)),
    });
    for suggestion in open {
        match tried(now.as_ref().unwrap_or(set), suggestion, &failing) {
            Ok(edited) => now = Some(edited),
            Err(reason) => suggestion.left_out = Some(reason),
        }
    }
    let edited = now.as_ref().map_or(&[][..], PolicySet::files);
    edited.iter().zip(set.files()).filter(|(now, before)| now != before).map(|(now, _)| now.clone()).collect()
}

/// The set with one suggestion more; the error says why not.
fn tried(set: &PolicySet, suggestion: &Suggestion, failing: &[String]) -> Result<PolicySet, String> {
    let files = edit::apply(set.files(), &suggestion.role, suggestion.row, &suggestion.file, &suggestion.edits)?;
    let edited = PolicySet::load(files).map_err(|problems| {
        let problem = problems.first().map_or_else(String::new, ToString::to_string);
        format!("with it the set cannot be loaded: {problem}")
    })?;
    if let Some(case) = self::failing(&edited).iter().find(|case| !failing.contains(case)) {
        return Err(format!("the case `{case}` holds it open"));
    }
    let change = diff(set, &edited);
    if !change.undecided.is_empty() {
        return Err("whether it lets nobody in could not be decided".to_owned());
    }
    match change.moved.iter().find(|moved| moved.now == Now::Allowed) {
        Some(moved) => Err(format!("it would let somebody in: {}", moved.because)),
        None => Ok(edited),
    }
}

/// The cases that fail.
fn failing(set: &PolicySet) -> Vec<String> {
    run_cases(set).into_iter().filter(|case| !case.passed).map(|case| case.name).collect()
}

fn new(about: About, role: &Role, at: usize, row: &Row, why: String) -> Suggestion {
    Suggestion {
        about,
        role: role.name.clone(),
        row: at,
        file: row.place.file.clone(),
        line: row.place.line,
        claim: None,
        from: None,
        to: None,
        why,
        uses: 0,
        last_use: None,
        left_out: None,
        edits: Vec::new(),
    }
}

fn unused(role: &Role, at: usize, row: &Row, role_is_used: bool, boldness: Boldness) -> Suggestion {
    let mut suggestion = new(About::UnusedRow, role, at, row, "nothing came in by this row".to_owned());
    suggestion.edits = vec![Edit::Drop];
    suggestion.left_out = if !role_is_used {
        Some(
            "the role as a whole was not used: take it out by hand, with its cases, if nobody needs it in an emergency"
                .to_owned(),
        )
    } else if !boldness.drop_unused {
        Some("rows are only taken out when that is asked for".to_owned())
    } else {
        None
    };
    suggestion
}

fn of_row(issuer: &Issuer, role: &Role, at: usize, row: &Row, used: &RowUse, boldness: Boldness) -> Vec<Suggestion> {
    let mut found = Vec::new();
    let enough = used.count >= boldness.least_uses;
    for condition in row.conditions.iter().filter(|_| enough) {
        let Some(seen) = used.seen(&condition.claim) else { continue };
        let Some((pattern, why)) = narrower(condition, seen) else { continue };
        let edit = match &condition.pattern {
            Pattern::OneOf(_) => Edit::Keep { claim: condition.claim.clone(), values: values_of(&pattern) },
            _ => Edit::Replace { claim: condition.claim.clone(), value: pattern.to_string() },
        };
        found.push(Suggestion {
            claim: Some(condition.claim.clone()),
            from: Some(condition.pattern.to_string()),
            to: Some(pattern.to_string()),
            edits: vec![edit],
            ..new(About::Narrower, role, at, row, why)
        });
    }
    for (name, id) in pins(issuer, row) {
        let Some(ids) = ids(used, row, name, id, enough) else { continue };
        let pattern = Pattern::OneOf(ids);
        let mut edits = vec![Edit::Add { claim: id.to_owned(), value: pattern.to_string(), before: name.map(str::to_owned) }];
        if issuer.kind.claim(id).is_some_and(|claim| claim.pins_project) && row.waive.contains_key(NO_PROJECT_PIN) {
            edits.push(Edit::Unwaive { name: NO_PROJECT_PIN.to_owned() });
        }
        let why = match name {
            Some(name) => format!("whoever takes over the name in {name} would come in; the id is never given again"),
            None => "nothing in this row names the project by an id that is never given again".to_owned(),
        };
        let to = Some(pattern.to_string());
        found.push(Suggestion { claim: Some(id.to_owned()), to, edits, ..new(About::PinnedId, role, at, row, why) });
    }
    for suggestion in &mut found {
        (suggestion.uses, suggestion.last_use) = (used.count, Some(used.last));
    }
    found
}

/// A pattern that takes less than the condition and all that was seen.
fn narrower(condition: &Condition, seen: &Seen) -> Option<(Pattern, String)> {
    match &condition.pattern {
        Pattern::OneOf(values) => {
            let kept: Vec<Value> = values.iter().filter(|value| seen.holds(value, condition.fold)).cloned().collect();
            let gone: Vec<String> = values.iter().filter(|value| !kept.contains(value)).map(ToString::to_string).collect();
            let why = format!("no token brought {}", gone.join(", "));
            (!kept.is_empty() && !gone.is_empty()).then_some((Pattern::OneOf(kept), why))
        }
        Pattern::Glob(_) | Pattern::Present if condition.ty == Type::String => {
            let mut values: Vec<Value> = seen.values().cloned().collect();
            values.sort();
            if seen.is_steady() && values.len() <= FEW {
                let why = if values.len() == 1 { "every run brought this value" } else { "all runs brought one of these values" };
                return Some((Pattern::OneOf(values), why.to_owned()));
            }
            let texts: Vec<&str> = values.iter().filter_map(|value| value.as_text()).collect();
            let glob = series::common(&texts).filter(|glob| texts.iter().all(|text| glob.matches(text, condition.fold)))?;
            let is_narrower = match &condition.pattern {
                Pattern::Glob(written) => *written != glob && written.covers(&glob),
                _ => true,
            };
            is_narrower.then(|| (Pattern::Glob(glob), format!("it takes all {} values that were brought", values.len())))
        }
        Pattern::Glob(_) | Pattern::Present | Pattern::Absent => None,
    }
}

fn values_of(pattern: &Pattern) -> Vec<String> {
    pattern.values().into_iter().flatten().map(ToString::to_string).collect()
}

/// The ids that a row lacks, each with the name that it stands for; without a name, where the row pins no project at all.
fn pins<'r>(issuer: &'r Issuer, row: &'r Row) -> Vec<(Option<&'r str>, &'r str)> {
    let kind = &issuer.kind;
    let has = |claim: &str| row.conditions.iter().any(|condition| condition.claim == claim);
    let named = kind.ids().iter().filter(|(name, id)| has(name) && !has(id));
    let mut pins: Vec<(Option<&str>, &str)> = Vec::new();
    for (name, id) in named {
        if !pins.iter().any(|(_, pinned)| pinned == id) {
            pins.push((Some(name), id));
        }
    }
    let immutable = |claim: &&crate::issuers::issuer::Claim| {
        claim.pins_project && claim.class == Class::Immutable && claim.ty == Type::String
    };
    let of_project: Vec<&str> = kind.claims().iter().filter(immutable).map(|claim| &*claim.name).collect();
    if !of_project.iter().any(|id| has(id) || pins.iter().any(|(_, pinned)| pinned == id)) {
        pins.extend(of_project.first().map(|id| (None, *id)));
    }
    pins
}

/// The ids that were seen, when they are all that the row means.
fn ids(used: &RowUse, row: &Row, name: Option<&str>, id: &str, enough: bool) -> Option<Vec<Value>> {
    let seen = used.seen(id)?;
    let named = row.conditions.iter().find(|condition| Some(condition.claim.as_str()) == name);
    let written = named.and_then(|condition| Some((condition, condition.pattern.values()?)));
    // Where every name of a list was there, so was every id. Else only long use tells.
    let whole = match (written, name.and_then(|name| used.seen(name))) {
        (Some((condition, values)), Some(names)) => values.iter().all(|value| names.holds(value, condition.fold)),
        _ => false,
    };
    let mut ids: Vec<Value> = seen.values().cloned().collect();
    ids.sort();
    let settled = whole || (enough && seen.is_steady());
    (settled && ids.len() <= FEW && ids.iter().all(|id| id.as_text().is_some_and(|text| !text.is_empty()))).then_some(ids)
}

#[cfg(test)]
mod tests;
