//! One stray on its way out: spared while somebody may be using it, shut, dropped.

use std::time::Duration;

use domain::audit::Kind;
use domain::wire::{StrayAnswer, StrayStep};
use time::OffsetDateTime;

use super::Reconcile;
use crate::audit::log;
use crate::engines::engine::{Found, Revoked};
use crate::service::error::Error;
use crate::store::Connection;
use crate::store::strays::Stray;

/// Leases of this age and younger have a row, ended or not: longer are they kept after their end.
const HAS_ROW: Duration = Duration::from_hours(6 * 24);
/// An id from further ahead than this was not made by a broker.
const AHEAD: Duration = Duration::from_mins(5);
/// The longest that a stray is spared, whatever end its login has.
const SPARED: Duration = Duration::from_hours(24);

/// Why a login has no open lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its lease is over: the target was brought back from a backup, or somebody made the login anew.
    Ended,
    /// The database knows no such lease.
    Unknown,
    /// The database does not know for how long its lease was renewed.
    Renewed,
}

/// A stray that was seen just now.
#[derive(Debug)]
pub(super) struct Seen {
    found: Found,
    why: Why,
    pub(super) stray: Stray,
    /// Whether it was not known before.
    pub(super) is_new: bool,
}

impl Seen {
    pub(super) fn new(found: &Found, why: Why, known: Option<Stray>, now: OffsetDateTime) -> Self {
        let is_new = known.is_none();
        let reason = match why {
            Why::Ended => "its lease is over",
            Why::Unknown => "no lease knows of it",
            Why::Renewed => "its lease knows of an earlier end",
        };
        let fresh = || Stray {
            name: found.name.clone(),
            reason: reason.to_owned(),
            first_seen: now,
            spared_until: None,
            quarantined_at: None,
        };
        Self { found: found.clone(), why, stray: known.unwrap_or_else(fresh), is_new }
    }

    /// Whether the database must have known its lease, or its end: the name was made by a broker, not long ago.
    pub(super) fn is_forgotten(&self, now: OffsetDateTime) -> bool {
        let made_at = self.found.lease.and_then(|lease| lease.get_timestamp()).and_then(|stamp| {
            let (seconds, _) = stamp.to_unix();
            OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
        });
        let recent = made_at.is_some_and(|made_at| made_at > now - HAS_ROW && made_at < now + AHEAD);
        self.why == Why::Renewed || (self.why == Why::Unknown && recent)
    }

    /// As it is noted when it is new. Where the database has forgotten, somebody may hold it rightly: it is left alone
    /// until it ends by itself.
    pub(super) fn noted(&self, forgetful: bool, now: OffsetDateTime) -> Stray {
        let spared = forgetful && self.found.open && self.is_forgotten(now);
        let until = self.found.ends_at.filter(|ends_at| spared && *ends_at > now).map(|ends_at| ends_at.min(now + SPARED));
        Stray { spared_until: until, ..self.stray.clone() }
    }
}

impl Reconcile {
    /// Takes the next step that is due, if it may, and tells how far the stray is and whether the target was asked for anything.
    pub(super) async fn step(&self, connection: &Connection, seen: &Seen, may: bool) -> Result<(StrayAnswer, bool), Error> {
        let (rooms, now) = (&self.rooms, self.rooms.system.now());
        let Seen { found, stray, .. } = seen;
        let (engine, name) = (connection.engine.as_str(), connection.name.as_str());
        let spared_until = stray.spared_until.or_else(|| seen.noted(seen.is_new, now).spared_until).filter(|until| *until > now);
        let mut answer = StrayAnswer {
            name: stray.name.clone(),
            lease_id: found.lease.map(|lease| lease.to_string()),
            reason: stray.reason.clone(),
            step: StrayStep::Seen,
            first_seen: stray.first_seen,
            next_at: None,
            failure: None,
        };
        let record = |kind| {
            let record = log::own(&rooms.system, kind)?.field("connection", name).field("upstream", stray.name.as_str());
            Ok::<_, Error>(record.field("reason", stray.reason.as_str()))
        };
        if let Some(until) = spared_until {
            (answer.step, answer.next_at) = (StrayStep::Spared, Some(until));
            return Ok((answer, false));
        }
        if let Some(since) = stray.quarantined_at.filter(|_| !found.open) {
            (answer.step, answer.next_at) = (StrayStep::Quarantined, Some(since + self.grace));
            if !may || since + self.grace > now {
                return Ok((answer, false));
            }
            match rooms.engines.revoke(engine, &rooms.bench, &found.handle).await {
                Ok(Revoked::Gone) => {
                    let mut tx = rooms.store.begin().await?;
                    tx.forget_stray(name, &stray.name).await?;
                    tx.remember(&[record(Kind::StrayDropped)?]).await?;
                    tx.commit().await?;
                    (answer.step, answer.next_at) = (StrayStep::Dropped, None);
                }
                Ok(Revoked::Fenced(reason)) => answer.failure = Some(reason),
                Ok(Revoked::Held(_)) => answer.failure = Some("its name is still held".to_owned()),
                Err(error) => answer.failure = Some(error.to_string()),
            }
            return Ok((answer, true));
        }
        if !may {
            return Ok((answer, false));
        }
        match rooms.engines.shut(engine, &rooms.bench, &found.handle).await {
            Ok(true) => {
                let mut tx = rooms.store.begin().await?;
                tx.quarantine_stray(name, &stray.name, now).await?;
                tx.remember(&[record(Kind::StrayQuarantined)?]).await?;
                tx.commit().await?;
                rooms.metrics.alarm("stray_login");
                tracing::error!(connection = name, login = stray.name, reason = stray.reason, "a login without a lease is shut");
                let since = stray.quarantined_at.unwrap_or(now);
                (answer.step, answer.next_at) = (StrayStep::Quarantined, Some(since + self.grace));
            }
            Ok(false) => {
                // A worker was there in between.
                let mut tx = rooms.store.begin().await?;
                tx.forget_stray(name, &stray.name).await?;
                tx.commit().await?;
                answer.step = StrayStep::Dropped;
            }
            Err(error) => answer.failure = Some(error.to_string()),
        }
        Ok((answer, true))
    }
}
