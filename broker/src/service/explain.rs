//! Why a recorded decision came out as it did.

use std::sync::Arc;

use domain::audit::{CLAIM, Kind};
use domain::policy::{self, Explanation, PolicySet, SourceFile, Wanted};
use domain::refusal::Code;
use domain::wire::{AuditQuery, RecordedDecision};
use serde::Serialize;
use uuid::Uuid;

use super::error::{Error, Fault};
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::asked::Recalled;
use crate::audit::log;
use crate::store::audit::Stored;

/// What came of a decision, and what the policy alone says to the same ask.
#[derive(Debug, Serialize)]
pub struct Explained {
    pub recorded: RecordedDecision,
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// Explains recorded decisions to operators.
#[derive(Clone, Debug)]
pub struct Explain {
    rooms: Arc<Rooms>,
}

impl Explain {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// The decision once more, from its recorded claims and ask, under the policy set that decided it. Claims that name a person
    /// take part as long as they have not been erased.
    ///
    /// Needs the right `policy.explain`; that it was asked for is a record too.
    pub async fn decision(&self, holder: &Holder, decision: Uuid, asking: Uuid) -> Result<Explained, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "policy.explain", None, asking).await?;
        let about = holder.about(asking, rooms.policies.active().hash());
        let remark = log::act(&rooms.system, Kind::DecisionExplained, &about, &decision.to_string())?;
        rooms.store.remember(remark).await.map_err(Error::from_write)?;
        let store = &rooms.store;
        let query = AuditQuery { about: Some(decision.to_string()), ..AuditQuery::default() };
        let decided = |stored: &Stored| stored.record.decision_id == decision && stored.record.policy_hash.is_some();
        let Stored { record, personal, .. } = store.audit(&query).await?.into_iter().find(decided).ok_or(Code::NotFound)?;
        let (Some(issuer), Some(hash)) = (&record.issuer, &record.policy_hash) else { return Err(Code::NotFound.into()) };
        let files = store.policy_files(hash).await?.ok_or(Code::NotFound)?;
        let files = files.into_iter().map(|(path, text)| SourceFile { path, text }).collect();
        let set = PolicySet::load(files)
            .map_err(|problems| Fault::new(format!("a stored policy set has {} problems", problems.len())))?;
        let (claims, asked) = (record.claims(&personal), Recalled::of(&record));
        let ask = policy::Ask {
            issuer,
            claims: &claims,
            role: record.role.as_deref().filter(|_| !asked.any_role),
            credentials: &asked.credentials,
            ttl: asked.ttl,
            now: record.at.unix_timestamp(),
        };
        let session_ends_at = asked.session_ends;
        let wanted = if asked.session_only { Wanted::RoleAlone } else { Wanted::Credentials { session_ends_at } };
        let recorded = RecordedDecision { kind: record.kind.as_str().to_owned(), at: record.at, code: record.code.clone() };
        let mut explanation = policy::explain_wanted(&set, &ask, wanted);
        let erased: Vec<&str> = record
            .personal
            .keys()
            .filter(|name| !personal.contains_key(*name))
            .filter_map(|name| name.strip_prefix(CLAIM))
            .collect();
        if !erased.is_empty() {
            let erased = erased.join(", ");
            explanation.notes.push(format!("{erased}: erased since; conditions on them are decided as if the token lacked them"));
        }
        Ok(Explained { recorded, explanation })
    }
}
