//! Jobs that are over: their sessions end, whoever was faster.

use domain::lease::State;

use super::taking_back::until;
use super::*;
use crate::service::job_ends::JobEnds;
use crate::store::job_ends::{Ended, JobEnd, Noted};

/// Lets a session belong to a job, as those of issuers that name one do.
async fn belongs(pool: &PgPool, session: Uuid, run: &str, job: &str) {
    sqlx::query("update daypass.sessions set run = $2, job = $3 where id = $1")
        .bind(session)
        .bind(run)
        .bind(job)
        .execute(pool)
        .await
        .unwrap();
}

async fn note(house: &House, ends: &JobEnds, job: &str) -> u64 {
    let now = house.rooms.system.now();
    let end = JobEnd { project: "s1".to_owned(), run: "7".to_owned(), ended: Ended::Job(job.to_owned()) };
    let noted = Noted { issuer: "ci", delivery: "d-1", ends: &[end], now, keep_until: now + Duration::from_mins(10) };
    ends.note(&noted).await.unwrap()
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_end_of_a_job_takes_back_what_it_held_once(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let ends = JobEnds::new(house.rooms.clone());
    let ours = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let other = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    belongs(&pool, ours.session, "7", "31").await;
    belongs(&pool, other.session, "7", "32").await;
    assert_eq!(note(&house, &ends, "31").await, 1);
    ends.end_due().await.unwrap();
    until("the lease is gone", async || house.states(ours.session).await == [State::Revoked]).await;
    let refused = house.exchange.further(&house.rooms.store.session(ours.session).await.unwrap().unwrap(), house.further()).await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::SessionUnknown);
    assert!(house.sessions.authenticate(token_of(&ours)).await.is_err());
    assert!(house.sessions.authenticate(token_of(&other)).await.is_ok());
    assert_eq!(house.states(other.session).await, [State::Active]);

    assert_eq!(note(&house, &ends, "31").await, 0, "it comes again");
    ends.end_due().await.unwrap();
    let told = house.audit("session.ended").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].fields["reason"].as_str(), told[0].fields["delivery"].as_str()), ("job ended", "d-1"));
    assert_eq!(told[0].fields["session_id"], ours.session.to_string());
    house.close().await;
}

/// An exchange that was being written when its job's end was noted shows up after the first look.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_was_being_written_during_the_first_look_is_found_by_the_second(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let ends = JobEnds::new(house.rooms.clone());
    note(&house, &ends, "31").await;
    ends.end_due().await.unwrap();
    let late = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    belongs(&pool, late.session, "7", "31").await;
    ends.end_due().await.unwrap();
    assert!(house.sessions.authenticate(token_of(&late)).await.is_ok(), "it is not looked at all the time");
    let earlier = "update daypass.job_ends set noted_at = noted_at - interval '31 s', look_at = look_at - interval '31 s'";
    sqlx::query(earlier).execute(&pool).await.unwrap();
    ends.end_due().await.unwrap();
    assert!(house.sessions.authenticate(token_of(&late)).await.is_err());
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from daypass.job_ends where look_at is not null").fetch_one(&pool).await.unwrap();
    assert_eq!(waiting, 0, "a third look finds nothing");
    house.close().await;
}
