//! The clock, its leaps, and what they must not do.

use std::time::Instant;

use time::OffsetDateTime;

use super::*;
use crate::service::readiness::{Readiness, Reason};
use crate::service::upkeep::Upkeep;
use crate::system::{FollowingClock, Look};

fn upkeep(house: &House, clock: Arc<FollowingClock>) -> (Upkeep, Readiness) {
    let readiness = Readiness::default();
    (Upkeep::new(house.rooms.clone(), clock, house.keys.clone(), readiness.clone()), readiness)
}

fn follow(clock: &FollowingClock, database: OffsetDateTime) {
    clock.follow(&Look { database, asked: Instant::now(), round_trip: Duration::ZERO });
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_leap_of_the_databases_clock_pauses_expiry_however_doubtful_this_replica_is(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let clock = Arc::new(FollowingClock::default());
    let (upkeep, readiness) = upkeep(&house, clock.clone());
    upkeep.follow_clock().await.unwrap();
    assert!(!house.rooms.leases.is_paused(), "the first look is no leap");

    follow(&clock, house.rooms.system.now() - time::Duration::hours(1));
    for reason in [Reason::DatabaseUnreachable, Reason::ClockOff] {
        readiness.set(reason, true);
    }
    upkeep.follow_clock().await.unwrap();
    assert!(house.rooms.leases.is_paused());
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_process_that_starts_under_a_clock_that_leapt_takes_nothing_back_at_first(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let (upkeep, _) = upkeep(&house, Arc::default());
    let look = |ahead| Look { database: FollowingClock::machine() + ahead, asked: Instant::now(), round_trip: Duration::ZERO };
    for harmless in [time::Duration::ZERO, time::Duration::hours(-1)] {
        upkeep.begin_clock(&look(harmless));
        assert!(!house.rooms.leases.is_paused(), "{harmless}");
    }
    upkeep.begin_clock(&look(time::Duration::hours(1)));
    assert!(house.rooms.leases.is_paused());
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn no_use_of_a_token_is_forgotten_while_the_clock_is_doubted(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let (upkeep, _) = upkeep(&house, Arc::default());
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    sqlx::query("update daypass.token_uses set keep_until = keep_until - interval '1 day'").execute(&pool).await.unwrap();
    let uses = async || sqlx::query_scalar::<_, i64>("select count(*) from daypass.token_uses").fetch_one(&pool).await.unwrap();

    house.rooms.leases.pause(Duration::from_millis(300));
    upkeep.sweep().await.unwrap();
    assert_eq!(uses().await, 1);
    tokio::time::sleep(Duration::from_millis(310)).await;
    upkeep.sweep().await.unwrap();
    assert_eq!(uses().await, 0);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_replica_without_any_keys_is_not_ready_until_it_has_some(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let (upkeep, readiness) = upkeep(&house, Arc::default());
    readiness.set(Reason::Starting, false);
    upkeep.refresh_keys();
    assert_eq!(readiness.check(), Ok(()));

    let mut elsewhere = trust::sources(&house.rooms.policies.active()).unwrap();
    for source in &mut elsewhere {
        source.place = crate::oidc::keys::Place::File("/nowhere/keys.json".into());
    }
    let held = house.keys.clone();
    held.configure(elsewhere);
    upkeep.refresh_keys();
    assert_eq!(readiness.check(), Err("no issuer has given its keys yet"));
    held.configure(Vec::new());
    upkeep.refresh_keys();
    assert_eq!(readiness.check(), Ok(()), "nobody is believed, so nobody's keys are missing");
    house.close().await;
}
