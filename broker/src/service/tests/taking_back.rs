use domain::lease::State;

use super::*;
use crate::store::{NewLease, Record};

/// Until `done`, or half a minute has gone by: what was never activated is not tried before its create deadline.
pub(super) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..1_500 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_cannot_be_taken_back_and_was_never_handed_out_is_settled(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let token = house.token("shop");
    let granted = house.exchange(Ask { session_only: true, ..house.ask(&token) }).await.unwrap();
    let (id, now) = (house.id(), house.rooms.system.now());
    // A process died between recording and activating.
    let lease = NewLease {
        id,
        session_id: granted.session,
        role: "shop".to_owned(),
        credential: "cloud".to_owned(),
        engine: "aws",
        connection: None,
        upstream: None,
        state: State::Pending,
        revocable: false,
        handle: Secret::new(Vec::new()),
        issued_at: now,
        expires_at: now + Duration::from_hours(1),
        create_deadline: now - Duration::from_secs(10),
        max_live_of_role: 10,
        max_live_of_session: 10_000,
        max_live_of_connection: None,
    };
    let _written =
        house.rooms.store.write(Record { leases: vec![lease], audit: vec![house.remark()], ..Record::default() }).await.unwrap();
    until("the lease is settled", async || {
        house.rooms.store.lease(id).await.unwrap().is_some_and(|lease| lease.state == State::Revoked)
    })
    .await;
    let records = house.audit("lease.revoked").await;
    assert_eq!(records[0].fields["reason"], "never handed out");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn giving_back_what_is_still_being_made_is_remembered_and_keeps_nobody_waiting(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let granted = house.exchange(Ask { session_only: true, ..house.ask(&house.token("shop")) }).await.unwrap();
    let (id, now) = (house.id(), house.rooms.system.now());
    let lease = NewLease {
        id,
        session_id: granted.session,
        role: "shop".to_owned(),
        credential: "it".to_owned(),
        engine: "postgres",
        connection: Some("shop".to_owned()),
        upstream: None,
        state: State::Pending,
        revocable: true,
        handle: Secret::new(b"undo".to_vec()),
        issued_at: now,
        expires_at: now + Duration::from_hours(1),
        create_deadline: now + Duration::from_secs(10),
        max_live_of_role: 10,
        max_live_of_session: 10_000,
        max_live_of_connection: None,
    };
    let record = Record { leases: vec![lease], audit: vec![house.remark()], ..Record::default() };
    let _written = house.rooms.store.write(record).await.unwrap();
    let asked = std::time::Instant::now();
    let left = house.rooms.leases.release(granted.session, &[id]).await.unwrap();
    assert_eq!(left.iter().map(|lease| lease.state).collect::<Vec<_>>(), [State::Revoking]);
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    house.rooms.leases.release(granted.session, &[id]).await.unwrap();
    let records = house.audit("lease.released").await;
    assert_eq!(records.iter().map(|record| record.fields["lease_id"].clone()).collect::<Vec<_>>(), [id.to_string()]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_session_whose_claims_were_erased_gives_back_what_it_holds_and_gets_nothing(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    // An eraser has been here; of these claims one names a person.
    sqlx::query("delete from daypass.audit_personal").execute(&pool).await.unwrap();
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    assert!(session.erased);
    let further = house.exchange.further(&session, house.further()).await.map(|_| ()).map_err(code);
    assert_eq!(further, Err(Code::SessionUnknown));
    let left = house.sessions.end(&session, house.id()).await.unwrap();
    assert_eq!(left.iter().map(|lease| lease.state).collect::<Vec<_>>(), [State::Revoked]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_target_that_says_no_is_not_taken_for_one_that_is_down(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    house.target.mood(Target::REFUSES);
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
        let ids: Vec<Uuid> = granted.credentials.iter().filter_map(|given| given.lease).collect();
        house.rooms.leases.release(granted.session, &ids).await.unwrap();
        sessions.push(granted.session);
    }
    // Four refusals later the target still gets asked at once: a lease that it does let go is gone within moments.
    house.target.mood(0);
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    let asked = std::time::Instant::now();
    let left = house.sessions.end(&session, house.id()).await.unwrap();
    assert_eq!(left.iter().map(|lease| lease.state).collect::<Vec<_>>(), [State::Revoked]);
    assert!(asked.elapsed() < Duration::from_secs(4));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn leases_of_a_target_that_was_down_are_gone_soon_after_it_is_back(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    house.target.mood(Target::SILENT);
    let mut sessions = Vec::new();
    for _ in 0..6 {
        let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
        let ids: Vec<Uuid> = granted.credentials.iter().filter_map(|given| given.lease).collect();
        house.rooms.leases.release(granted.session, &ids).await.unwrap();
        sessions.push(granted.session);
    }
    house.target.mood(0);
    until("all leases are gone", async || {
        let mut gone = true;
        for session in &sessions {
            gone &= house.states(*session).await == [State::Revoked];
        }
        gone
    })
    .await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn many_that_end_by_themselves_at_once_are_settled(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let token = house.token("shop");
    let granted = house.exchange(Ask { session_only: true, ..house.ask(&token) }).await.unwrap();
    let now = house.rooms.system.now();
    let passive = |_| NewLease {
        id: house.id(),
        session_id: granted.session,
        role: "shop".to_owned(),
        credential: "cloud".to_owned(),
        engine: "aws",
        connection: None,
        upstream: None,
        state: State::Passive,
        revocable: false,
        handle: Secret::new(Vec::new()),
        issued_at: now,
        expires_at: now - Duration::from_secs(1),
        create_deadline: now,
        max_live_of_role: 10_000,
        max_live_of_session: 10_000,
        max_live_of_connection: None,
    };
    let leases: Vec<NewLease> = (0..400).map(passive).collect();
    let _written = house.rooms.store.write(Record { leases, audit: vec![house.remark()], ..Record::default() }).await.unwrap();
    until("all are expired", async || house.states(granted.session).await.iter().all(|state| *state == State::Expired)).await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn nothing_is_taken_back_while_the_clock_is_doubted(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.rooms.leases.pause(Duration::from_millis(600));
    let ids: Vec<Uuid> = granted.credentials.iter().filter_map(|given| given.lease).collect();
    let leases = house.rooms.leases.clone();
    let releasing = tokio::spawn(async move { leases.release(granted.session, &ids).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(house.states(granted.session).await, [State::Revoking]);
    releasing.await.unwrap().unwrap();
    assert_eq!(house.states(granted.session).await, [State::Revoked]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn an_engine_that_panics_does_not_keep_its_targets_places(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let ids = |granted: &Granted| granted.credentials.iter().filter_map(|given| given.lease).collect::<Vec<Uuid>>();
    let release = async |ids: &[Uuid]| {
        let mut tx = house.rooms.store.begin().await.unwrap();
        tx.begin_release(ids, house.rooms.system.now()).await.unwrap();
        tx.remember(&[house.remark()]).await.unwrap();
        tx.commit().await.unwrap();
    };
    house.target.mood(Target::PANICS);
    for _ in 0..4 {
        let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
        release(&ids(&granted)).await;
    }
    let claimed = "select count(*) from daypass.leases where claimed_by is not null";
    until("all are tried", async || sqlx::query_scalar::<_, i64>(claimed).fetch_one(&pool).await.unwrap() == 4).await;
    house.target.mood(0);
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    release(&ids(&granted)).await;
    until("the next one is taken back", async || house.states(granted.session).await == [State::Revoked]).await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_target_that_does_not_answer_delays_no_other(pool: PgPool) {
    let sick = role("sick", "max_leases = 100", "engine = \"postgres\"\nconnection = \"sick\"\nstatements = \"rw\"");
    let house = House::build(&pool, &(sick + &database("shop", "max_leases = 100"))).await;
    let mut granted = Vec::new();
    for at in 0..24 {
        let name = if at < 16 { "sick" } else { "shop" };
        granted.push(house.exchange(house.ask(&house.token(name))).await.unwrap());
    }
    let ids: Vec<Uuid> = granted.iter().flat_map(|granted| granted.credentials.iter().filter_map(|given| given.lease)).collect();
    let begun = std::time::Instant::now();
    let mut tx = house.rooms.store.begin().await.unwrap();
    tx.begin_release(&ids, house.rooms.system.now()).await.unwrap();
    tx.commit().await.unwrap();
    for granted in granted.iter().skip(16) {
        until("it is taken back", async || house.states(granted.session).await == [State::Revoked]).await;
    }
    // One try at the sick target takes two seconds.
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    assert_eq!(house.states(granted[0].session).await, [State::Revoking]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_wide_connection_that_hangs_leaves_room_for_the_others(pool: PgPool) {
    let sick = role("sick", "max_leases = 100", "engine = \"postgres\"\nconnection = \"sick\"\nstatements = \"rw\"");
    let house = House::build(&pool, &(sick + &database("shop", "max_leases = 100"))).await;
    house.rooms.store.connections().replace(vec![crate::store::Connection {
        name: "sick".to_owned(),
        engine: "postgres".to_owned(),
        version: 1,
        url: String::new(),
        password: None,
        settings: serde_json::Map::new(),
        allowed_roles: vec!["*".to_owned()],
        concurrency: 1_000,
        max_leases: 1_000,
    }]);
    let mut granted = Vec::new();
    for at in 0..72 {
        let name = if at < 70 { "sick" } else { "shop" };
        granted.push(house.exchange(house.ask(&house.token(name))).await.unwrap());
    }
    let ids = |of: &[Granted]| of.iter().flat_map(|granted| granted.credentials.iter().filter_map(|given| given.lease)).collect();
    let release = async |ids: Vec<Uuid>| {
        let mut tx = house.rooms.store.begin().await.unwrap();
        tx.begin_release(&ids, house.rooms.system.now()).await.unwrap();
        tx.commit().await.unwrap();
    };
    release(ids(&granted[..70])).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = std::time::Instant::now();
    release(ids(&granted[70..])).await;
    for granted in &granted[70..] {
        until("it is taken back", async || house.states(granted.session).await == [State::Revoked]).await;
    }
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    house.close().await;
}
