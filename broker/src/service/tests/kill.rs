use domain::lease::State;
use domain::wire::{GivenSearch, KillRequest, StopFilter};

use super::inventory::RIGHTS;
use super::*;

fn roles() -> String {
    [role("ops", "", RIGHTS), database("shop", ""), database("other", "")].concat()
}

fn kill(change: impl FnOnce(&mut StopFilter)) -> KillRequest {
    let mut filter = StopFilter::default();
    change(&mut filter);
    KillRequest { filter, reason: "a token leaked".to_owned() }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_kill_stops_new_exchanges_ends_old_ones_and_tells_what_was_given(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let hit = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let spared = house.exchange(house.ask(&house.token("other"))).await.unwrap();
    let inventory = house.inventory();
    let request = kill(|filter| filter.role = Some("shop".to_owned()));
    let killed = inventory.kill(&holder, &request, house.id()).await.unwrap();
    assert_eq!((killed.sessions, killed.leases), (1, 1));
    house.all_gone(hit.session).await;
    let (shares, _) = inventory.revocation(&holder, &killed.stop.id.to_string(), house.id()).await.unwrap();
    assert_eq!(shares.iter().map(|share| share.leases).sum::<u64>(), 1);
    assert_eq!(house.exchange(house.ask(&house.token("shop"))).await.map(|_| ()), Err(Code::ExchangeStopped));
    assert_eq!(house.audit("exchange.denied").await[0].fields["code"], "exchange_stopped");
    let further = house.sessions.authenticate(token_of(&hit)).await.map(|_| ()).map_err(code);
    assert_eq!(further, Err(Code::SessionUnknown));
    assert_eq!(house.states(spared.session).await, [State::Active]);
    house.exchange(house.ask(&house.token("other"))).await.unwrap();

    let search = GivenSearch { filter: request.filter.clone(), after: None };
    let given = inventory.given(&holder, &search, house.id()).await.unwrap();
    let lease = hit.credentials[0].lease.unwrap();
    let entries: Vec<_> = given.entries.iter().map(|entry| (entry.lease_id.clone(), entry.what.clone())).collect();
    assert_eq!(entries, [(Some(lease.to_string()), house.login_of(lease))]);

    let left = inventory.lift(&holder, &killed.stop.id.to_string(), house.id()).await.unwrap();
    assert!(left.is_empty());
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let again = inventory.lift(&holder, &killed.stop.id.to_string(), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(again, Err(Code::NotFound));
    for kind in ["exchange.stopped", "exchange.allowed_again"] {
        assert_eq!(house.audit(kind).await.len(), 1, "{kind}");
    }
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_cannot_be_taken_back_is_told_also_of_sessions_that_are_over(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    house.target.mood(Target::FLEETING);
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    house.sessions.end(&session, house.id()).await.unwrap();
    let killed =
        house.inventory().kill(&holder, &kill(|filter| filter.repository = Some("s1".to_owned())), house.id()).await.unwrap();
    let (_, living) = house.inventory().revocation(&holder, &killed.stop.id.to_string(), house.id()).await.unwrap();
    assert_eq!(living.iter().map(|found| found.lease.session_id).collect::<Vec<_>>(), [granted.session]);
    // The operator is of the same repository, and sees it through.
    assert!(house.inventory().stops(&holder, house.id()).await.is_ok());
    assert!(house.sessions.authenticate(token_of(&granted)).await.is_err());
    house.rooms.stops.sweep_all().await.unwrap();
    assert!(house.rooms.store.session(holder.session.id).await.unwrap().unwrap().ended_at.is_none());
    assert_eq!(house.exchange(house.ask(&house.token("ops"))).await.map(|_| ()), Err(Code::ExchangeStopped));
    house.close().await;
}

/// A replica that had not read the stop when it decided.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_session_that_slipped_past_a_stop_is_ended(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let token = house.token("shop");
    let before = house.rooms.system.now() + Duration::from_hours(1);
    let killed = house.inventory().kill(&holder, &kill(|filter| filter.before = Some(before)), house.id()).await.unwrap();
    assert!(killed.stop.issued_before.unwrap() < before, "what is made from now on is not meant");
    house.rooms.store.lift_stop(killed.stop.id, house.rooms.system.now(), &house.remark()).await.unwrap();
    house.rooms.stops.follow().await.unwrap();
    let slipped = house.exchange(house.ask(&token)).await.unwrap();
    sqlx::query("update daypass.stops set lifted_at = null").execute(&pool).await.unwrap();
    house.rooms.stops.follow().await.unwrap();
    house.rooms.stops.sweep_all().await.unwrap();
    house.all_gone(slipped.session).await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_stop_of_old_tokens_lets_new_ones_through(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let old = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let token = house.token("shop");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let now = house.rooms.system.now();
    house.inventory().kill(&holder, &kill(|filter| filter.before = Some(now)), house.id()).await.unwrap();
    house.all_gone(old.session).await;
    assert_eq!(house.exchange(house.ask(&token)).await.map(|_| ()), Err(Code::ExchangeStopped));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let new = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.rooms.stops.sweep_all().await.unwrap();
    assert_eq!(house.states(new.session).await, [State::Active]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_kill_says_of_whom_and_why(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let inventory = house.inventory();
    let nobody = inventory.kill(&holder, &kill(|_| {}), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(nobody, Err(Code::RequestMalformed));
    let unsaid = KillRequest { reason: String::new(), ..kill(|filter| filter.role = Some("shop".to_owned())) };
    assert_eq!(inventory.kill(&holder, &unsaid, house.id()).await.map(|_| ()).map_err(code), Err(Code::RequestMalformed));
    let all = inventory.given(&holder, &GivenSearch::default(), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(all, Err(Code::RequestMalformed));
    assert!(inventory.stops(&holder, house.id()).await.unwrap().is_empty());
    house.close().await;
}

/// The session is younger than the moment, its token is not.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_session_of_an_old_token_is_ended_however_late_it_was_opened(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let token = house.token("shop");
    let before = house.rooms.system.now();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let late = house.exchange(house.ask(&token)).await.unwrap();
    let killed = house.inventory().kill(&holder, &kill(|filter| filter.before = Some(before)), house.id()).await.unwrap();
    assert_eq!(killed.sessions, 1);
    house.all_gone(late.session).await;
    house.close().await;
}

/// Of a session whose lease was taken back faster than it was looked for.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_stop_of_an_engine_ends_the_session_whose_lease_it_took_back(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let request = kill(|filter| filter.engine = Some("postgres".to_owned()));
    let killed = house.inventory().kill(&holder, &request, house.id()).await.unwrap();
    house.all_gone(granted.session).await;
    sqlx::query("update daypass.sessions set ended_at = null where id = $1").bind(granted.session).execute(&pool).await.unwrap();
    house.rooms.stops.sweep_all().await.unwrap();
    assert!(house.rooms.store.session(granted.session).await.unwrap().unwrap().ended_at.is_some(), "{killed:?}");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_stop_is_swept_until_every_replica_has_read_it_and_no_longer(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    house.inventory().kill(&holder, &kill(|filter| filter.role = Some("shop".to_owned())), house.id()).await.unwrap();
    let left = async || house.rooms.store.unswept_stops().await.unwrap().len();
    house.rooms.stops.sweep_all().await.unwrap();
    assert_eq!(left().await, 1, "a replica may not have read it yet");
    sqlx::query("update daypass.stops set created_at = created_at - interval '31 s'").execute(&pool).await.unwrap();
    house.rooms.stops.sweep_all().await.unwrap();
    assert_eq!(left().await, 0);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_stop_that_cannot_be_swept_keeps_no_other_from_being_swept(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let stop = async |role: &str| {
        house.inventory().kill(&holder, &kill(|filter| filter.role = Some(role.to_owned())), house.id()).await.unwrap().stop.id
    };
    let (first, second) = (stop("shop").await, stop("other").await);
    let broken = format!(
        "update daypass.stops set created_at = created_at - interval '31 s';
         create function fail() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$;
         create trigger fail before update on daypass.stops for each row when (old.id = '{first}') execute function fail()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(broken)).execute(&pool).await.unwrap();
    assert!(house.rooms.stops.sweep_all().await.is_err(), "it is told of");
    let left: Vec<_> = house.rooms.store.unswept_stops().await.unwrap().into_iter().map(|stop| stop.id).collect();
    assert_eq!(left, [first], "and not {second}");
    house.close().await;
}

/// Its watch hangs, or has not begun.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_replica_that_has_not_read_the_stops_for_long_reads_them_before_it_gives_anything(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    sqlx::raw_sql("alter table daypass.stops rename to away").execute(&pool).await.unwrap();
    let blind = house.exchange.exchange(house.ask(&house.token("shop"))).await.unwrap_err();
    assert!(matches!(&blind, Error::Fault(_)) && blind.public().code == Code::Unavailable, "{blind:?}");
    assert_eq!(house.target.made.load(Ordering::Relaxed), 0);
    assert_eq!(house.exchange(house.ask(&house.token("nobody"))).await.map(|_| ()), Err(Code::NoRoleMatches));

    sqlx::raw_sql("alter table daypass.away rename to stops").execute(&pool).await.unwrap();
    let stop = crate::store::stops::Stop {
        id: house.id(),
        repository: None,
        run: None,
        role: Some("shop".to_owned()),
        issuer: None,
        engine: None,
        issued_before: None,
        reason: "another replica did it".to_owned(),
        spared: None,
        switch: false,
        created_at: house.rooms.system.now(),
    };
    assert!(house.rooms.store.stop(&stop, &house.remark()).await.unwrap());
    assert_eq!(house.exchange(house.ask(&house.token("shop"))).await.map(|_| ()), Err(Code::ExchangeStopped));
    house.close().await;
}
