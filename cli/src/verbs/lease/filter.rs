//! Which leases are meant, on the command line.

use std::time::Duration;

use clap::Args;
use domain::lease::State;
use domain::policy::duration;
use domain::wire::LeaseFilter;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::session::now;

#[derive(Args, Debug)]
#[command(next_help_heading = "Which leases; every condition must hold")]
pub(super) struct Filter {
    /// The lease with this id
    #[arg(long, value_name = "ID")]
    lease: Option<String>,
    /// Those of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Those of this job, by its id at the issuer
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// Those of this run or pipeline, by its id at the issuer
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Those of this repository, by its immutable id or its name
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Those of this role
    #[arg(long)]
    role: Option<String>,
    /// Those of this issuer, by its name in the policy set
    #[arg(long)]
    issuer: Option<String>,
    /// Those of this engine
    #[arg(long)]
    engine: Option<String>,
    /// Those of this connection
    #[arg(long)]
    connection: Option<String>,
    /// Those that are pending, active, passive, revoking, fenced, revoked or expired
    #[arg(long)]
    state: Option<State>,
    /// Those issued before this moment: `now`, how long ago (2h), or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    issued_before: Option<OffsetDateTime>,
}

impl From<Filter> for LeaseFilter {
    fn from(filter: Filter) -> Self {
        let Filter { lease, session, job, run, repository, role, issuer, engine, connection, state, issued_before } = filter;
        Self { lease, session, job, run, repository, role, issuer, engine, connection, state, issued_before }
    }
}

/// How far this machine's clock may be behind the broker's.
const AHEAD: Duration = Duration::from_hours(1);

/// `now`, a duration ago, or an RFC 3339 time.
pub(crate) fn point_in_time(text: &str) -> Result<OffsetDateTime, String> {
    let now = now();
    if text == "now" {
        // The broker's clock decides what now is; to its clock nothing there comes from the time after.
        return Ok(now + AHEAD);
    }
    if let Ok(ago) = duration::parse(text) {
        return Ok(now - ago);
    }
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "write `now`, how long ago (2h), or 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_moments_as_people_write_them() {
        let (now, ago) = (point_in_time("now").expect("now"), point_in_time("2h").expect("a moment"));
        assert!((10_790..=10_800).contains(&(now - ago).whole_seconds()));
        assert_eq!(point_in_time("1970-01-01T01:00:00+01:00"), Ok(OffsetDateTime::UNIX_EPOCH));
        for bad in ["", "yesterday", "2026-01-31", "-2h"] {
            assert!(point_in_time(bad).is_err(), "{bad}");
        }
    }
}
