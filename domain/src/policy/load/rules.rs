//! What only the whole set shows: names that nothing answers to, rows that are too wide, files that say more than they may.

use std::collections::BTreeSet;

use super::Parts;
use super::roles::{NO_CODE_GATE, NO_PROJECT_PIN};
use crate::credentials::engine::Reach;
use crate::credentials::kv::DEFAULT_MOUNT;
use crate::issuers::issuer::Class;
use crate::policy::glob::Glob;
use crate::policy::pattern::{Condition, Pattern, Value};
use crate::policy::problem::{Place, Problem};
use crate::policy::set::{Case, Expect, Issuer, Owner, Role};
use crate::refusal::Code;

/// Issuers that no row uses, issuers that cannot be told apart, cases of credentials that do not exist.
pub(super) fn names(parts: &Parts, torn: bool, report: &dyn Fn(Problem)) {
    let used: BTreeSet<&str> = parts.roles.iter().flat_map(|role| &role.rows).map(|row| row.issuer.as_str()).collect();
    for issuer in parts.issuers.iter().filter(|issuer| !torn && !used.contains(issuer.name.as_str())) {
        let message = format!("no row of any role speaks of the issuer `{}`", issuer.name);
        report(Problem::at(&issuer.place, "unused-issuer", message).help("take it out, or let a role use it"));
    }
    for (at, issuer) in parts.issuers.iter().enumerate() {
        if let Some(other) = parts.issuers.iter().take(at).find(|other| other.url == issuer.url && other.name != issuer.name) {
            let message = format!("the issuers `{}` and `{}` have the same url", other.name, issuer.name);
            report(Problem::at(&issuer.place, "duplicate-issuer", message));
        }
    }
    let roles: Vec<&str> = parts.roles.iter().map(|role| role.name.as_str()).collect();
    for invariant in parts.invariants.iter().filter(|_| !torn) {
        for name in invariant.role.values().into_iter().flatten() {
            if let Value::Text(name) = name
                && !roles.contains(&name.as_str())
            {
                let message = format!("the invariant `{}` names the role `{name}`, which does not exist", invariant.name);
                report(Problem::at(&invariant.place, "unknown-role", message).nearest(name, roles.iter().copied()));
            }
        }
    }
    for case in parts.cases.iter().filter(|_| !torn) {
        case_names(case, &parts.roles, report);
    }
}

/// A name that is written wrong denies as well as any rule; only a case that is about unknown names may have one.
fn case_names(case: &Case, roles: &[Role], report: &dyn Fn(Problem)) {
    let Some(name) = case.role.as_deref() else { return };
    let Some(role) = roles.iter().find(|role| role.name == name) else { return };
    if case.expect == Expect::Deny(Some(Code::CredentialUnknown)) {
        return;
    }
    for wanted in case.credentials.iter().filter(|wanted| role.credential(wanted).is_none()) {
        let message = format!("the case `{}` names the credential `{wanted}`, which the role `{name}` does not have", case.name);
        let near = role.credentials.iter().map(|credential| credential.name.as_str());
        report(Problem::at(&case.place, "unknown-credential", message).nearest(wanted, near));
    }
}

/// A row must pin its project for good and tell which code may run, unless it waives that by name and reason.
pub(super) fn refusing(parts: &Parts, report: &dyn Fn(Problem)) {
    for role in &parts.roles {
        for (at, row) in role.rows.iter().enumerate().filter(|(_, row)| row.whole) {
            let Some(issuer) = parts.issuers.iter().find(|issuer| issuer.name == row.issuer) else { continue };
            if !row.waive.contains_key(NO_PROJECT_PIN) && !row.conditions.iter().any(|condition| pins(issuer, condition)) {
                let names = claims(issuer, |claim| claim.pins_project && claim.class == Class::Immutable);
                let message = format!("row {} of role `{}` does not pin the project by an immutable id", at + 1, role.name);
                report(
                    Problem::at(&row.place, NO_PROJECT_PIN, message)
                        .help(format!("{names}waive = {{ {NO_PROJECT_PIN} = \"reason\" }}")),
                );
            }
            if !row.waive.contains_key(NO_CODE_GATE) && !row.conditions.iter().any(|condition| gates(issuer, condition)) {
                let names = claims(issuer, |claim| claim.gates_code);
                let message = format!("row {} of role `{}` does not tell which ref or environment may run", at + 1, role.name);
                report(
                    Problem::at(&row.place, NO_CODE_GATE, message)
                        .help(format!("{names}waive = {{ {NO_CODE_GATE} = \"reason\" }}")),
                );
            }
        }
    }
}

fn claims(issuer: &Issuer, fits: impl Fn(&crate::issuers::issuer::Claim) -> bool) -> String {
    let names: Vec<&str> = issuer.kind.claims().iter().filter(|claim| fits(claim)).map(|claim| &*claim.name).collect();
    if names.is_empty() { "write ".to_owned() } else { format!("add one of {}, or write ", names.join(", ")) }
}

fn pins(issuer: &Issuer, condition: &Condition) -> bool {
    let pin = issuer.kind.claim(&condition.claim).is_some_and(|claim| claim.pins_project && claim.class == Class::Immutable);
    pin && condition.pattern.values().is_some_and(|values| !values.contains(&Value::Text(String::new())))
}

/// Names that nobody gives, so unlike each other that a glob which takes in both takes in any.
const MADE_UP: [&str; 2] = ["zq7", "4-kx"];
/// Where the name of a branch, a tag or an environment stands.
const ANYWHERE: [[&str; 2]; 6] =
    [["refs/heads/", ""], ["refs/heads/zq7/", ""], ["refs/heads/zq7/4-kx/", ""], ["refs/tags/", ""], ["", ""], ["", "/4-kx"]];

/// Being there is no gate, nor is a protection that is off, an empty name, or a glob that takes in every branch.
fn gates(issuer: &Issuer, condition: &Condition) -> bool {
    if !issuer.kind.claim(&condition.claim).is_some_and(|claim| claim.gates_code) {
        return false;
    }
    match &condition.pattern {
        Pattern::OneOf(values) => {
            let open = |value: &Value| {
                matches!(value, Value::Bool(false)) || matches!(value, Value::Text(text) if text.is_empty() || text == "false")
            };
            !values.iter().any(open)
        }
        Pattern::Glob(glob) => {
            let literal = glob.literal();
            let tail = ["refs/heads/", "refs/tags/", "refs/"].iter().find_map(|prefix| literal.strip_prefix(prefix));
            let named = tail.unwrap_or(&literal).chars().any(char::is_alphanumeric);
            let takes =
                |before: &str, after: &str| MADE_UP.iter().all(|name| glob.matches(&[before, name, after].concat(), true));
            named && !ANYWHERE.iter().any(|[before, after]| takes(before, after))
        }
        Pattern::Present | Pattern::Absent => false,
    }
}

/// A file that belongs to an owner says no more than the owner may.
pub(super) fn owners(parts: &Parts, report: &dyn Fn(Problem)) {
    if parts.owners.is_empty() {
        return;
    }
    for (at, owner) in parts.owners.iter().enumerate() {
        if let Some(first) = parts.owners.iter().take(at).find(|first| first.files == owner.files) {
            let message = format!("the files {} have an owner already", owner.files);
            let help = format!("say all that it may in one place, {}:{}", first.place.file, first.place.line);
            report(Problem::at(&owner.place, "duplicate-owner", message).help(help));
        }
    }
    let of = |place: &Place| parts.owners.iter().filter(|owner| owner.files.takes_text(&place.file)).collect::<Vec<_>>();
    let beyond = |place: &Place, what: String| {
        let owner = of(place).into_iter().next();
        let says = owner.map_or_else(String::new, |owner| format!(", see {}:{}", owner.place.file, owner.place.line));
        report(
            Problem::at(place, "owner", format!("this file may not speak of {what}"))
                .help(format!("it belongs to an owner{says}")),
        );
    };
    let owned = |place: &Place| !of(place).is_empty();
    let role_is = |owners: &[&Owner], name: &str| {
        owners.iter().any(|owner| owner.roles.as_ref().is_some_and(|roles| roles.takes_text(name)))
    };
    for issuer in parts.issuers.iter().filter(|issuer| owned(&issuer.place)) {
        beyond(&issuer.place, format!("the issuer `{}`", issuer.name));
    }
    for invariant in parts.invariants.iter().filter(|invariant| owned(&invariant.place)) {
        beyond(&invariant.place, format!("the invariant `{}`", invariant.name));
    }
    for owner in parts.owners.iter().filter(|owner| owned(&owner.place)) {
        beyond(&owner.place, "owners".to_owned());
    }
    for case in parts.cases.iter().filter(|case| owned(&case.place)) {
        if !case.role.as_ref().is_some_and(|role| role_is(&of(&case.place), role)) {
            let role = case.role.as_deref().unwrap_or("any");
            beyond(&case.place, format!("the role `{role}` in the case `{}`", case.name));
        }
    }
    for role in parts.roles.iter().filter(|role| owned(&role.place)) {
        let owners = of(&role.place);
        if !role_is(&owners, &role.name) {
            beyond(&role.place, format!("the role `{}`", role.name));
        }
        for credential in &role.credentials {
            let reach = credential.engine.reach(&credential.params);
            if !owners.iter().any(|owner| may(owner, reach)) {
                beyond(&credential.place, reach.to_string());
            }
        }
    }
}

fn may(owner: &Owner, reach: Reach<'_>) -> bool {
    match reach {
        Reach::Connection(name) => owner.connections.contains(name),
        // A claim stands for some segment, as a star does. Owners speak of the default mount.
        Reach::Secrets { mount: DEFAULT_MOUNT, path } => {
            Glob::new(&starred(path)).is_ok_and(|path| owner.kv.iter().any(|glob| glob.covers(&path)))
        }
        Reach::AwsAccount(account) => owner.aws_accounts.contains(account),
        Reach::Secrets { .. } | Reach::Broker | Reach::Unknown => false,
    }
}

/// A path with a star in place of every template.
fn starred(path: &str) -> String {
    let mut starred = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        starred.push_str(before);
        if !starred.ends_with('*') {
            starred.push('*');
        }
        rest = after.split_once('}').map_or("", |(_, rest)| rest.trim_start_matches('*'));
    }
    starred.push_str(rest);
    starred
}
