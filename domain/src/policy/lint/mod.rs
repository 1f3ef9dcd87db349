//! Lints: rules that a loadable set can still break, each a file with its reason, its remedy, a bad and a good example.
//! One file and one line here per lint. Names are never renamed or reused: sets accept findings by them.
//!
//! A lint of severity `error` keeps a set from becoming active, like a problem of the loader, unless the set accepts the
//! finding by name and with a reason. A loader's problem cannot be accepted; it is a lint because a stored set must stay readable
//! when a later version knows more.

mod examples;
mod least;
mod look;
mod page;
mod possible;
mod run;
mod words;

pub use examples::whole;
pub use page::page;
pub use run::UNUSED_ACCEPT;
pub(super) use run::run;
pub(super) use shared_audience::foreign as foreign_audience;

use look::Over;

use super::finding::Severity;

/// A lint.
#[derive(Debug)]
pub struct Lint {
    pub name: &'static str,
    pub severity: Severity,
    /// Rows of the threat list, as docs/lints.md explains them.
    pub threats: &'static [&'static str],
    /// What is wrong, in one sentence.
    pub summary: &'static str,
    /// How it is exploited, or what it breaks.
    pub reason: &'static str,
    pub remedy: &'static str,
    /// Gives exactly this finding, once what is left out is put in by [`whole`].
    pub bad: &'static str,
    /// The same without it.
    pub good: &'static str,
    look: Over,
}

/// What the lints answer to.
pub const THREATS: &[(&str, &str)] = &[
    ("T1", "trust that is too broad: wildcards over repositories and organisations"),
    ("T2", "checks that a missing claim passes; audiences and issuers that are not pinned"),
    ("T3", "rows that rest on what the caller controls"),
    ("T4", "names that can be registered again by others"),
    ("T5", "subjects whose parts run together"),
    ("T6", "subjects whose template an administrator can change"),
    ("T7", "names that are not what they look like"),
    ("T8", "patterns that match more or less than they say"),
    ("T9", "names that differ only by case"),
    ("T10", "values of another type or form than the tokens carry"),
    ("T11", "reusable workflows: who calls and who is called"),
    ("T12", "environments that nobody guards"),
    ("T13", "events that run with rights on input from outsiders"),
    ("T14", "forks that get their target's identity"),
    ("T15", "runners that remember earlier jobs"),
    ("T16", "decisions that rest on the actor"),
    ("T17", "editors of the policy who give themselves more than they have"),
    ("C6", "credentials that can make themselves greater"),
    ("C7", "credentials that outlive their need"),
    ("N7", "tokens that are accepted long after they were made"),
    ("N9", "tokens that can be replayed"),
    ("N11", "audiences that several services share"),
    ("N12", "issuers that sign tokens of people with the same key"),
];

macro_rules! lints {
    ($($module:ident)*) => {
        $(mod $module;)*

        /// Every lint, by name.
        pub static LINTS: &[&Lint] = &[$(&$module::LINT,)*];
    };
}

lints! {
    actor_alone
    administrator
    all_secrets
    ambiguous_ref
    any_protected_ref
    bare_audience
    caller_chooses_tag
    caller_chooses_target
    caller_controlled
    caller_workflow_only
    case_slip
    covered_row
    disabled_issuer
    duplicate_credential
    empty_not_absent
    environment_without_ref
    fork_identity
    invariant_of_nothing
    login_tokens
    long_session
    long_ttl
    mixed_audiences
    name_as_id
    name_drift
    never_matches
    no_immutable_claim
    odd_literal
    old_tokens
    operator_waives
    operator_without_environment
    owner_glob
    owner_of_nothing
    pattern_as_text
    privileged_outsider
    production_pull_request
    production_ref_glob
    run_pin
    self_hosted_outsider
    shared_audience
    sub_condition
    token_reuse
    unguarded_environment
    unguarded_ref_glob
    unknown_event
    unprotected_ref
    unused_connection
    vetoed_value
    waived
    waiver_in_vain
    whole_organisation
    workflow_without_ref
    wrong_ref_form
}

#[cfg(test)]
mod tests;
