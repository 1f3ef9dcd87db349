//! Requests and answers of the native API, shared by the broker and the command line. Times are RFC 3339 in UTC;
//! durations are whole seconds unless a field says otherwise.

mod decisions;
mod exchange;
mod inventory;
mod leases;
mod operators;
mod policies;
mod problem;
mod reconcile;
mod secrets;
mod stops;
mod switches;

pub use decisions::{Asked, Decision, DecisionPage, DecisionQuery};
pub use exchange::{BootstrapRequest, CredentialAnswer, ExchangeAnswer, ExchangeRequest, SessionAnswer, SessionAsk};
pub use inventory::{
    Failing, FindAnswer, FindRequest, FoundOwner, LeaseDetail, LeaseFilter, LeasePage, LeaseSearch, RenewAnswer, RenewRequest,
    RevocationProgress, RevokeAnswer, RevokeRequest, SessionView,
};
pub use leases::{LeaseAnswer, LeaseList, ReleaseAnswer};
pub use operators::{AuditEntry, AuditList, AuditQuery, RecordedDecision, WhoAmI};
pub use policies::{
    PolicyActivation, PolicyAuthor, PolicyDetail, PolicyFile, PolicyList, PolicyOutcome, PolicyProposal, PolicyPush,
    PolicyPushed, PolicyShadow, PolicyTerms, PolicyWithdrawal,
};
pub use problem::Problem;
pub use reconcile::{
    HoldAnswer, LostAnswer, ReconcileAnswer, ReconcileRequest, ResumeAnswer, StrayAnswer, StrayStep, TargetAnswer,
};
pub use secrets::{SecretAnswer, SecretHistory, SecretList, SecretVersion, SecretWrite, SecretWritten};
pub use stops::{GivenEntry, GivenPage, GivenSearch, KillAnswer, KillRequest, StopAnswer, StopFilter, StopList};
pub use switches::{Disabled, IssuerState, RoleState, SwitchList, SwitchRequest};
