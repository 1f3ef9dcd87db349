//! Jobs that are over, as their CI system reports: what ends their sessions, and keeps new ones from being opened.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, There};

/// What has ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// One job, by the id that its tokens carry.
    Job(String),
    /// An attempt of a run: all of its jobs whose tokens name none.
    Attempt(String),
}

/// The end of a job, of which project and of which run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobEnd {
    pub project: String,
    pub run: String,
    pub ended: Ended,
}

/// One delivery of an issuer's CI system.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// The issuer's name in the policy set.
    pub issuer: &'a str,
    pub delivery: &'a str,
    pub ends: &'a [JobEnd],
    pub now: OffsetDateTime,
    /// Until when no session of these jobs may be opened.
    pub keep_until: OffsetDateTime,
}

/// The end of a job whose sessions are to be looked for now, by whoever claimed it.
#[derive(Clone, Debug)]
pub struct Due {
    issuer: String,
    project: String,
    run: String,
    job: String,
    attempt: String,
    pub delivery: String,
    pub noted_at: OffsetDateTime,
}

/// A session of a job that is over.
#[derive(Clone, Debug)]
pub struct Outlived {
    pub id: Uuid,
    pub role: String,
    /// Which of the ends that were asked about is its own.
    pub end: usize,
}

impl JobEnd {
    fn job(&self) -> &str {
        if let Ended::Job(job) = &self.ended { job } else { "" }
    }

    fn attempt(&self) -> &str {
        if let Ended::Attempt(attempt) = &self.ended { attempt } else { "" }
    }
}

impl Store {
    /// Notes what has ended, to be looked at from now on. What was noted before is left as it is. How many were new.
    pub async fn note_job_ends(&self, noted: &Noted<'_>) -> Result<u64, StoreError> {
        let ends = noted.ends;
        let projects: Vec<_> = ends.iter().map(|end| end.project.as_str()).collect();
        let runs: Vec<_> = ends.iter().map(|end| end.run.as_str()).collect();
        let jobs: Vec<_> = ends.iter().map(JobEnd::job).collect();
        let attempts: Vec<_> = ends.iter().map(JobEnd::attempt).collect();
        // One order for all replicas, so that none waits in a circle.
        let result = sqlx::query!(
            "insert into daypass.job_ends (issuer, project, run, job, attempt, delivery, noted_at, look_at, keep_until)
             select $1, e.project, e.run, e.job, e.attempt, $2, $3, $3, $4
             from unnest($5::text[], $6::text[], $7::text[], $8::text[]) as e (project, run, job, attempt)
             order by e.run, e.project, e.job, e.attempt
             on conflict do nothing",
            noted.issuer,
            noted.delivery,
            noted.now,
            noted.keep_until,
            &projects as _,
            &runs as _,
            &jobs as _,
            &attempts as _
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(result.rows_affected())
    }

    /// Claims ends whose sessions are to be looked for. They come again at `again` if nothing is heard of them.
    pub async fn claim_job_ends(&self, now: OffsetDateTime, again: OffsetDateTime, limit: i64) -> Result<Vec<Due>, StoreError> {
        sqlx::query_as!(
            Due,
            "with due as materialized (
                 select run, project, issuer, job, attempt from daypass.job_ends where look_at <= $1
                 order by look_at limit $3 for no key update skip locked
             )
             update daypass.job_ends e set look_at = $2 from due
             where (e.run, e.project, e.issuer, e.job, e.attempt) = (due.run, due.project, due.issuer, due.job, due.attempt)
             returning e.issuer, e.project, e.run, e.job, e.attempt, e.delivery, e.noted_at",
            now,
            again,
            limit
        )
        .fetch_all(self.pool())
        .there(self)
        .await
    }

    /// The open sessions of jobs that are over: of the same issuer, project and run, and of the very job, or, for a whole
    /// attempt, of that attempt and of no job that is known.
    pub async fn sessions_of_ended_jobs(&self, ends: &[Due]) -> Result<Vec<Outlived>, StoreError> {
        let column = |of: fn(&Due) -> &str| ends.iter().map(of).collect::<Vec<_>>();
        let rows = sqlx::query!(
            r#"select s.id, s.role, e.n as "n!"
               from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
                   as e (issuer, project, run, job, attempt, n)
               join daypass.sessions s on s.run = e.run and s.project = e.project and s.issuer = e.issuer
               where s.ended_at is null
                 and case when e.job <> '' then s.job = e.job else s.job is null and s.attempt = e.attempt end"#,
            &column(|end| &end.issuer) as _,
            &column(|end| &end.project) as _,
            &column(|end| &end.run) as _,
            &column(|end| &end.job) as _,
            &column(|end| &end.attempt) as _
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        let outlived = rows.into_iter().map(|row| {
            let end = usize::try_from(row.n - 1).map_err(|_| StoreError::Corrupt("job_ends"))?;
            Ok(Outlived { id: row.id, role: row.role, end })
        });
        outlived.collect()
    }

    /// Says when the sessions of each end are to be looked for again; `None` is never.
    pub async fn looked_for_sessions(&self, ends: &[(&Due, Option<OffsetDateTime>)]) -> Result<(), StoreError> {
        let column = |of: fn(&Due) -> &str| ends.iter().map(|(end, _)| of(end)).collect::<Vec<_>>();
        let next: Vec<_> = ends.iter().map(|(_, next)| *next).collect();
        sqlx::query!(
            "with looked as materialized (
                 select e.run, e.project, e.issuer, e.job, e.attempt, l.next from daypass.job_ends e
                 join unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
                     as l (issuer, project, run, job, attempt, next)
                     on (e.run, e.project, e.issuer, e.job, e.attempt) = (l.run, l.project, l.issuer, l.job, l.attempt)
                 order by e.run, e.project, e.issuer, e.job, e.attempt for no key update of e
             )
             update daypass.job_ends e set look_at = l.next from looked l
             where (e.run, e.project, e.issuer, e.job, e.attempt) = (l.run, l.project, l.issuer, l.job, l.attempt)",
            &column(|end| &end.issuer) as _,
            &column(|end| &end.project) as _,
            &column(|end| &end.run) as _,
            &column(|end| &end.job) as _,
            &column(|end| &end.attempt) as _,
            &next as _
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(())
    }

    /// Forgets up to `limit` ends of jobs whose tokens no verifier accepts any more.
    pub async fn forget_job_ends(&self, now: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
        let result = sqlx::query!(
            "delete from daypass.job_ends where (run, project, issuer, job, attempt) in (
                 select run, project, issuer, job, attempt from daypass.job_ends where keep_until < $1 and look_at is null
                 limit $2 for update skip locked)",
            now,
            limit
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(result.rows_affected())
    }
}
