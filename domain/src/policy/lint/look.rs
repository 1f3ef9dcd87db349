//! What a lint looks at, and the words in which it answers.

use super::possible::stem;
use super::words::{is_odd, is_pattern, written};
use crate::issuers::issuer::{Claim, Class};
use crate::issuers::{github, gitlab};
use crate::policy::glob::Glob;
use crate::policy::pattern::{Condition, Pattern, Value};
use crate::policy::problem::Place;
use crate::policy::set::{Credential, Issuer, PolicySet, Role, Row};

/// The things that a lint is asked about, one at a time.
#[derive(Debug)]
pub(super) enum Over {
    Issuers(fn(&PolicySet, &Issuer) -> Vec<Found>),
    Roles(fn(&PolicySet, &Role) -> Vec<Found>),
    Rows(fn(&RowView<'_>) -> Vec<Found>),
    /// All rows of the set at once, for what shows in several of them only; each finding with the position of its row.
    AllRows(fn(&[RowView<'_>]) -> Vec<(usize, Found)>),
    Credentials(fn(&CredentialView<'_>) -> Vec<Found>),
    /// Once, for what no single thing shows.
    Set(fn(&PolicySet) -> Vec<(Place, Found)>),
}

/// What a lint found.
#[derive(Debug)]
pub(super) struct Found {
    /// The key at fault, as in the table of places; the whole table otherwise.
    pub(super) key: Option<String>,
    pub(super) message: String,
    /// Instead of the lint's remedy.
    pub(super) help: Option<String>,
    /// A waiver that says the same and has a reason.
    pub(super) waived: Option<String>,
}

impl Found {
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { key: None, message: message.into(), help: None, waived: None }
    }

    pub(super) fn at(key: &str, message: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), ..Self::whole(message) }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn waived(mut self, reason: Option<&String>) -> Self {
        self.waived = reason.cloned();
        self
    }
}

/// One row with what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowView<'a> {
    set: &'a PolicySet,
    pub(super) role: &'a Role,
    pub(super) row: &'a Row,
    pub(super) issuer: &'a Issuer,
    pub(super) at: usize,
}

/// One credential with what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct CredentialView<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) role: &'a Role,
    pub(super) credential: &'a Credential,
}

/// Every row of a role whose issuer is known, which it is in a loaded set.
pub(super) fn rows<'a>(set: &'a PolicySet, role: &'a Role) -> impl Iterator<Item = RowView<'a>> {
    let issuer = |row: &Row| set.issuer(&row.issuer);
    role.rows.iter().enumerate().filter_map(move |(at, row)| Some(RowView { set, role, row, issuer: issuer(row)?, at }))
}

impl<'a> RowView<'a> {
    /// How messages call it.
    pub(super) fn name(&self) -> String {
        format!("row {} of role `{}`", self.at + 1, self.role.name)
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.issuer.kind.name() == kind
    }

    pub(super) fn condition(&self, claim: &str) -> Option<&'a Condition> {
        self.row.conditions.iter().find(|condition| condition.claim == claim)
    }

    pub(super) fn claim(&self, condition: &Condition) -> Option<&'a Claim> {
        self.issuer.kind.claim(&condition.claim)
    }

    pub(super) fn waives(&self, name: &str) -> bool {
        self.row.waive.contains_key(name)
    }

    /// A condition that a token passes only with one of the values written here.
    pub(super) fn pins(&self, claim: &str) -> bool {
        self.condition(claim).is_some_and(|condition| condition.pattern.values().is_some())
    }

    /// Whether it equals `claim` with exactly `text`.
    pub(super) fn equals(&self, claim: &str, text: &str) -> bool {
        self.condition(claim).is_some_and(|condition| condition.pattern.values() == Some(&[Value::Text(text.to_owned())]))
    }

    /// A condition that names what it wants: values, or a glob.
    pub(super) fn names(&self, claim: &str) -> bool {
        self.condition(claim).is_some_and(|condition| matches!(condition.pattern, Pattern::OneOf(_) | Pattern::Glob(_)))
    }

    /// Whether a guarded environment stands between the code and the role, as far as tokens tell.
    pub(super) fn environment_guards(&self) -> bool {
        self.row.conditions.iter().any(|condition| {
            !matches!(condition.pattern, Pattern::Absent | Pattern::Present) && self.claim(condition).is_some_and(is_guard)
        })
    }

    /// Whether it takes tokens of protected refs only.
    pub(super) fn ref_is_protected(&self) -> bool {
        self.equals("ref_protected", "true")
    }

    /// The other rows of the role.
    pub(super) fn others(&self) -> impl Iterator<Item = Self> + use<'a> {
        let at = self.at;
        rows(self.set, self.role).filter(move |other| other.at != at)
    }

    /// Claims that nobody else can ever have, pinned by value. A run's own number is none: it pins nobody.
    pub(super) fn identities(&self) -> impl Iterator<Item = &'a Claim> {
        let pinned = self.row.conditions.iter().filter(|condition| condition.pattern.values().is_some());
        let claims = pinned.filter_map(|condition| self.claim(condition));
        claims.filter(|claim| claim.class == Class::Immutable && !self.is_of_run(&claim.name))
    }

    /// Whether the claim is another one in every run.
    pub(super) fn is_of_run(&self, claim: &str) -> bool {
        let kind = &self.issuer.kind;
        if !kind.claim(claim).is_some_and(|claim| claim.class == Class::Immutable && !claim.pins_project) {
            return false;
        }
        let sample = kind.sample();
        let view = kind.job(&self.issuer.url, &sample);
        let runs = [view.run, view.attempt, view.job];
        let says = sample.text(claim);
        claim == "run_number" || (says.is_some() && runs.iter().any(|run| run.as_deref() == says))
    }

    /// The claim with the id of what `name` names, in issuers that have both.
    pub(super) fn id_of(&self, name: &str) -> Option<&'a str> {
        let stem = ["_path", "_name", "_slug"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let ids = [format!("{name}_id"), format!("{stem}_id")];
        let claim = ids.iter().find_map(|id| self.issuer.kind.claim(id))?;
        (claim.class == Class::Immutable).then_some(&*claim.name)
    }

    /// Whether tokens of the issuer can tell of an environment that others guard.
    pub(super) fn could_be_guarded(&self) -> bool {
        self.issuer.kind.claims().iter().any(is_guard)
    }

    /// A glob over refs with nothing beside it that keeps refs out which anybody can make. GitLab's have a lint of their own.
    pub(super) fn open_ref_glob(&self) -> Option<(&'a str, &'a Glob)> {
        if self.ref_is_protected() || self.environment_guards() || self.is(gitlab::NAME) {
            return None;
        }
        self.row.conditions.iter().find_map(|condition| match &condition.pattern {
            Pattern::Glob(glob) if !stem(glob.as_str()).starts_with("refs/pull/") => {
                let claim = self.claim(condition)?;
                (claim.gates_code && claim.class == Class::Writer).then_some((condition.claim.as_str(), glob))
            }
            _ => None,
        })
    }

    /// Refs that are short where tokens carry whole ones, or the other way round.
    pub(super) fn wrong_ref_forms(&self) -> Vec<(&'a str, &'a str)> {
        let forms: &[(&str, bool)] = match self.issuer.kind.name() {
            github::NAME => &[("ref", true)],
            gitlab::NAME => &[("ref", false), ("ref_path", true)],
            _ => &[],
        };
        let mut wrong = Vec::new();
        for (claim, whole) in forms {
            if let Some(condition) = self.condition(claim) {
                let plain = written(condition).into_iter().filter(|text| !is_pattern(text) && !is_odd(text));
                let begun = plain.filter(|text| !stem(text).is_empty());
                wrong.extend(
                    begun.filter(|text| stem(text).starts_with("refs/") != *whole).map(|text| (condition.claim.as_str(), text)),
                );
            }
        }
        wrong
    }
}

impl CredentialView<'_> {
    /// Places of the parameters below `pointer` that are filled from claims of `class` or worse, which some row leaves open.
    pub(super) fn open_holes(&self, pointer: &str, class: Class) -> Vec<(&str, String)> {
        let of_class = |view: &RowView<'_>, claim: &str| view.issuer.kind.claim(claim).is_some_and(|claim| claim.class >= class);
        let open = |claim: &str| rows(self.set, self.role).any(|row| of_class(&row, claim) && !row.pins(claim));
        let holes = self.credential.holes.iter().filter(|hole| hole.pointer.starts_with(pointer));
        let claims = holes.flat_map(|hole| hole.template.claims().map(|claim| (hole.pointer.as_str(), claim.to_owned())));
        claims.filter(|(_, claim)| open(claim)).collect()
    }
}

/// An environment that administrators guard, as far as a schema can tell.
fn is_guard(claim: &Claim) -> bool {
    claim.class <= Class::Admin && claim.gates_code && claim.name.contains("environment")
}
