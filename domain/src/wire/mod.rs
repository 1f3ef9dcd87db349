//! Requests and answers of the native API, shared by the broker and the command line. Times are RFC 3339 in UTC;
//! durations are whole seconds unless a field says otherwise.

mod exchange;
mod leases;
mod operators;
mod problem;
mod reconcile;
mod secrets;

pub use exchange::{BootstrapRequest, CredentialAnswer, ExchangeAnswer, ExchangeRequest, SessionAnswer, SessionAsk};
pub use leases::{LeaseAnswer, LeaseList, ReleaseAnswer};
pub use operators::{AuditEntry, AuditList, AuditQuery, RecordedDecision, WhoAmI};
pub use problem::Problem;
pub use reconcile::{
    HoldAnswer, LostAnswer, ReconcileAnswer, ReconcileRequest, ResumeAnswer, StrayAnswer, StrayStep, TargetAnswer,
};
pub use secrets::{SecretAnswer, SecretHistory, SecretList, SecretVersion, SecretWrite, SecretWritten};
