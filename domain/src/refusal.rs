//! The public words for no.
//!
//! A refusal is a decision about what the caller did or may do; it is exact, stable and says what to do next. What went
//! wrong on our own side is a fault and never reaches this file.

use std::fmt;

/// What kind of no it is. Each front door maps these to its own dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request itself cannot be read.
    Malformed,
    /// Who is asking could not be established.
    Unauthenticated,
    /// The caller is known and may not.
    Denied,
    /// It collides with something that happened or is happening.
    Conflict,
    /// What was named does not exist, or not for this caller.
    NotFound,
    /// Too much at once.
    TooMany,
    /// A part that is needed does not answer; trying again later can help.
    Unavailable,
}

macro_rules! codes {
    ($($variant:ident $word:literal $class:ident $sentence:literal $remedy:literal;)*) => {
        /// A stable word for a refusal. Words are never renamed or reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $sentence] $variant,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// What it means, in one sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What to do next.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    RequestMalformed "request_malformed" Malformed
        "The request cannot be read."
        "Send the JSON that the API description names; the hint tells which field is wrong.";
    TokenMalformed "token_malformed" Unauthenticated
        "The token is not a compact JWT as CI issuers sign them."
        "Send the token exactly as the CI system gave it, without quotes, spaces or line breaks.";
    TokenInvalid "token_invalid" Unauthenticated
        "The token's signature cannot be accepted."
        "Ask the CI system for a new token; if it goes on, the issuer's keys or the configured issuer URL are wrong.";
    IssuerUnknown "issuer_unknown" Unauthenticated
        "The token's issuer is not one this broker believes."
        "Add the issuer to issuers.toml, spelled exactly as in the token's iss claim.";
    IssuerDisabled "issuer_disabled" Denied
        "The issuer is switched off."
        "Ask the operators of this broker; the issuer has enabled = false, or `daypass issuer list` tells them who switched it off and why.";
    KeysUnavailable "keys_unavailable" Unavailable
        "The issuer's keys are not available at the moment."
        "Try again; the broker keeps fetching the keys and its operators have been alarmed.";
    TokenExpired "token_expired" Unauthenticated
        "The token has expired or is older than this broker accepts."
        "Ask the CI system for a new token right before the exchange.";
    TokenNotYetValid "token_not_yet_valid" Unauthenticated
        "The token is not valid yet."
        "Compare the clock of the CI system with the server time in this answer.";
    AudienceMismatch "audience_mismatch" Unauthenticated
        "The token was made for another audience."
        "Request the token for this broker's audience, and for it alone.";
    ClaimsIncomplete "claims_incomplete" Unauthenticated
        "The token lacks a claim that every CI token of its issuer carries, or the claim has the wrong type."
        "Use the CI system's job token; login tokens and other tokens of the same issuer are not accepted.";
    TokenAlreadyUsed "token_already_used" Conflict
        "The token has been exchanged before."
        "Ask the CI system for a new token; to repeat a request safely, send an Idempotency-Key.";
    InProgress "in_progress" Conflict
        "The same request is being carried out right now."
        "Wait for the time in Retry-After and send it again.";
    RoleNotAllowed "role_not_allowed" Denied
        "The token may not become this role."
        "Ask the owners of the policy with the decision id; they can see every condition that did not hold.";
    NoRoleMatches "no_role_matches" Denied
        "The token may not become any role."
        "Ask the owners of the policy with the decision id; they can see every condition that did not hold.";
    RoleDisabled "role_disabled" Denied
        "The role is switched off."
        "Ask the operators of this broker; `daypass role list` tells them who switched it off and why.";
    RoleAmbiguous "role_ambiguous" Denied
        "The token may become more than one role and none was named."
        "Name the role that is wanted.";
    EventNotAllowed "event_not_allowed" Denied
        "Tokens of this trigger are never accepted by default."
        "Run the job from a push, a tag or a manual start; pull requests and events that outsiders can cause are vetoed.";
    ForkNotAllowed "fork_not_allowed" Denied
        "The job runs code from a fork."
        "Run the job in the project itself after review.";
    RunnerNotAllowed "runner_not_allowed" Denied
        "The job runs on a self-hosted runner."
        "Use a hosted runner, or have the policy waive self-hosted-runner with a reason.";
    JobEnded "job_ended" Denied
        "The CI system has reported the job that this token was made for as over."
        "Exchange a token while its job runs; what is left after a job needs a job of its own.";
    CredentialUnknown "credential_unknown" Denied
        "The role has no such credential."
        "Name credentials of the role, or none to get all of them.";
    CredentialNotAvailable "credential_not_available" Unavailable
        "A credential of the role cannot be made at the moment."
        "Try again later with a new token; the operators of this broker see the reason under the decision id.";
    TargetRefused "target_refused" Unavailable
        "The target system refused to make the credential."
        "The operators of this broker see the target's answer under the decision id; its permissions or the role's parameters are wrong.";
    TemplateUnfilled "template_unfilled" Denied
        "A claim that the role's parameters name is absent or cannot stand in its place."
        "Look at the claim the hint names; it must be present and hold only characters that its place can take.";
    TtlBelowMinimum "ttl_below_minimum" Denied
        "The time to live is below what the target system can do."
        "Ask for a longer time to live, or have the role allow it.";
    LeaseQuotaExceeded "lease_quota_exceeded" TooMany
        "As many leases are live as the role, the session or the connection may have."
        "Wait until leases end, or release those that are not needed any more.";
    SessionUnknown "session_unknown" Unauthenticated
        "The session token is not known, or its session has ended."
        "Exchange a CI token again.";
    SessionMissing "session_missing" Unauthenticated
        "This request needs a session token."
        "Send Authorization: Bearer with the session token of an exchange.";
    HookUnproven "hook_unproven" Unauthenticated
        "The delivery does not prove that it comes from the CI system."
        "Compare the webhook's secret in the CI system with the file that the hook's secret_file names.";
    RightMissing "right_missing" Denied
        "The session does not hold the right that this request needs."
        "Use a role whose operator credential lists the right that the hint names.";
    LeaseUnknown "lease_unknown" NotFound
        "There is no such lease for this session."
        "List the session's leases to see their ids.";
    LeaseNotRenewable "lease_not_renewable" Conflict
        "The lease cannot be made to last longer."
        "Ask for a new credential; AWS credentials, leases that have ended, and leases of ended sessions are never renewed.";
    ExchangeStopped "exchange_stopped" Denied
        "An operator has stopped exchanges like this one."
        "Ask the operators of this broker; `daypass kill --list` shows them what is stopped and why.";
    LockedOut "locked_out" Conflict
        "This would take your own right to undo it away."
        "Change it so that your role keeps its rights, or say that it is meant: --lock-out.";
    PolicyUnsound "policy_unsound" Malformed
        "The policy set is not sound; nothing was changed."
        "Mend what the hints name, each with its file and line; `daypass policy check` tells the same without a broker.";
    PolicyConflict "policy_conflict" Conflict
        "Another policy set is active than the one that this change was made from."
        "Take the active set over into yours, which `daypass policy list` names, and apply it again.";
    PolicyFromFolder "policy_from_folder" Conflict
        "The policy set of this broker comes from a folder."
        "Change the folder, or configure [policy] source = \"database\".";
    PolicyOwnProposal "policy_own_proposal" Denied
        "A policy set is approved by another person than its author."
        "Have a colleague with the right policy.approve look at it.";
    PolicyWithdrawn "policy_withdrawn" Conflict
        "The policy set waits no more: it was withdrawn."
        "`daypass policy show` tells by whom; apply the set again if it is to become active after all.";
    PolicyNobodyKnown "policy_nobody_known" Denied
        "A policy set is approved by a person, and the token names none."
        "Approve with a token of an issuer that tells people or workloads apart; docs/policy-versions.md lists them.";
    SecretUnknown "secret_unknown" NotFound
        "There is no such secret, or the role does not reach it."
        "Compare the path with the role's kv credential.";
    SecretDeleted "secret_deleted" NotFound
        "This version of the secret is deleted or destroyed."
        "Ask for another version, or roll back.";
    SecretConflict "secret_conflict" Conflict
        "The secret is at another version than the one expected."
        "Read the secret again and repeat the write with its current version.";
    NotFound "not_found" NotFound
        "There is nothing at this address."
        "Compare the address with the API description at /openapi.json.";
    MethodNotAllowed "method_not_allowed" Malformed
        "This address does not take this method."
        "Compare the method with the API description at /openapi.json.";
    RequestTooLarge "request_too_large" Malformed
        "The request is larger than this broker accepts."
        "Send at most 32 KiB; a CI token is at most 16 KiB.";
    RateLimited "rate_limited" TooMany
        "This project is asking too often."
        "Wait for the time in Retry-After.";
    Overloaded "overloaded" Unavailable
        "The broker has as much work as it can take."
        "Wait for the time in Retry-After and try again.";
    Unavailable "unavailable" Unavailable
        "The broker cannot answer at the moment; nothing was handed out."
        "Try again; the operators of this broker see the reason under the decision id.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    fn from_str(word: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word).ok_or(UnknownCode)
    }
}

/// The word is no refusal code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refusal code; docs/refusals.md lists them")]
pub struct UnknownCode;

/// A refusal with what the caller may learn about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", code.sentence())]
pub struct Refusal {
    pub code: Code,
    /// What helps the caller. Speaks of the caller's own token or request only.
    pub hints: Vec<String>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
}

impl Refusal {
    pub const fn new(code: Code) -> Self {
        Self { code, hints: Vec::new(), retry_after: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_words_that_read_back() {
        for (at, code) in Code::ALL.iter().enumerate() {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(Code::ALL.iter().skip(at + 1).all(|other| other.as_str() != code.as_str()), "{code} stands twice");
            assert!(code.sentence().ends_with('.') && code.remedy().ends_with('.'), "{code} has no whole sentences");
        }
    }
}
