//! What was decided lately, for those who change the policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::audit::{CLAIM, Kind};
use domain::credentials::operator;
use domain::refusal::{Code, Refusal};
use domain::wire::{Asked, Decision, DecisionPage, DecisionQuery};
use uuid::Uuid;

use super::error::Error;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::asked::Recalled;
use crate::audit::log;
use crate::store::audit::Stored;

/// Days unless told, and at most.
const DAYS: (u32, u32) = (30, 400);
/// Decisions in one answer unless told, and at most.
const LIMIT: (u32, u32) = (500, 1_000);

/// Gives recorded decisions to operators.
#[derive(Clone, Debug)]
pub struct Decisions {
    rooms: Arc<Rooms>,
}

impl Decisions {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// The decisions of the last days, newest first. Needs the right `policy.read`; claims that name a person come along only
    /// for those who may read them in the audit trail. That they were read is a record too.
    pub async fn list(&self, holder: &Holder, query: &DecisionQuery, asking: Uuid) -> Result<DecisionPage, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "policy.read", None, asking).await?;
        let days = query.days.unwrap_or(DAYS.0).clamp(1, DAYS.1);
        let since = rooms.system.now() - Duration::from_hours(24 * u64::from(days));
        let before = query.before.as_deref().map(Uuid::parse_str).transpose();
        let before = before.map_err(|_| Refusal::new(Code::RequestMalformed).hint("before: the `next` of an earlier answer"))?;
        let limit = i64::from(query.limit.unwrap_or(LIMIT.0).clamp(1, LIMIT.1));
        let about = holder.about(asking, rooms.policies.active().hash());
        let remark = log::act(&rooms.system, Kind::AuditRead, &about, "decisions")?.field("query.days", i64::from(days));
        let found = rooms.store.decisions(since, before, limit).await?;
        let only_counted = match before {
            None => rooms.store.only_counted(since).await?,
            Some(_) => BTreeMap::new(),
        };
        rooms.store.remember(remark).await.map_err(Error::from_write)?;
        let full = i64::try_from(found.len()).is_ok_and(|found| found >= limit);
        let next = found.last().filter(|_| full).map(|last| last.record.id.to_string());
        let persons = operator::allows(&holder.rights, "audit.read", None);
        let decisions = found.iter().map(|stored| decision(stored, persons)).collect();
        Ok(DecisionPage { decisions, next, since, only_counted })
    }
}

fn decision(Stored { record, personal, .. }: &Stored, persons: bool) -> Decision {
    let nobody = BTreeMap::new();
    let told = if persons { personal } else { &nobody };
    let Recalled { any_role, credentials, ttl, session_only, session_ends } = Recalled::of(record);
    let ttl = ttl.map(|ttl| ttl.as_secs());
    let withheld = record.personal.keys().filter(|name| !told.contains_key(*name));
    Decision {
        decision_id: record.decision_id.to_string(),
        at: record.at,
        kind: record.kind.as_str().to_owned(),
        issuer: record.issuer.clone().unwrap_or_default(),
        code: record.code.clone(),
        role: record.role.clone(),
        row: record.row,
        asked: Asked { any_role, credentials, ttl, session_only, session_ends },
        claims: record.claims(told),
        withheld: withheld.filter_map(|name| Some(name.strip_prefix(CLAIM)?.to_owned())).collect(),
        project: record.project.clone(),
        project_name: record.project_name.clone(),
        run_url: record.fields.get("run_url").and_then(|url| url.as_str().map(str::to_owned)),
    }
}
