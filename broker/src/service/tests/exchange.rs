use std::num::NonZeroU32;

use domain::lease::State;

use super::*;

fn with_key(ask: Ask, key: &str) -> Ask {
    Ask { idempotency: Some(key.to_owned()), ..ask }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_repeat_leaves_nothing_to_the_holder_of_the_first_answer(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let token = house.token("shop");
    let first = house.exchange(with_key(house.ask(&token), "k1")).await.unwrap();
    let session = house.sessions.authenticate(token_of(&first)).await.unwrap();
    let second = house.exchange(with_key(house.ask(&token), "k1")).await.unwrap();
    assert_eq!(house.states(first.session).await, [State::Revoked]);
    assert_eq!(house.states(second.session).await, [State::Active]);
    assert_eq!(house.sessions.authenticate(token_of(&first)).await.map(|_| ()).map_err(code), Err(Code::SessionUnknown));
    // Also one who was let in before the repeat gets nothing more.
    let late = house.exchange.further(&session, house.further()).await.map(|_| ()).map_err(code);
    assert_eq!(late, Err(Code::SessionUnknown));
    assert_eq!(house.exchange(with_key(house.ask(&token), "k2")).await.unwrap_err(), Code::TokenAlreadyUsed);
    assert_eq!(house.exchange(house.ask(&token)).await.unwrap_err(), Code::TokenAlreadyUsed);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_repeat_spends_no_further_use_of_a_token_that_has_several(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "token_uses = 2")).await;
    let token = house.token("shop");
    let first = house.exchange(with_key(house.ask(&token), "k1")).await.unwrap();
    let again = house.exchange(with_key(house.ask(&token), "k1")).await.unwrap();
    assert_eq!(house.states(first.session).await, [State::Revoked], "never two live credentials of one key");
    let other = house.exchange(with_key(house.ask(&token), "k2")).await.unwrap();
    // The earlier of two uses is found by its key too.
    let third = house.exchange(with_key(house.ask(&token), "k1")).await.unwrap();
    assert_eq!(house.states(again.session).await, [State::Revoked]);
    assert_eq!(
        (house.states(other.session).await, house.states(third.session).await),
        (vec![State::Active], vec![State::Active])
    );
    assert_eq!(house.exchange(house.ask(&token)).await.unwrap_err(), Code::TokenAlreadyUsed);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn of_many_that_repeat_at_once_one_credential_is_live(pool: PgPool) {
    let house = Arc::new(House::build(&pool, &database("shop", "")).await);
    let token = house.token("shop");
    let asks: Vec<_> = (0..8).map(|_| with_key(house.ask(&token), "k")).collect();
    let asked = asks.into_iter().map(|ask| {
        let house = house.clone();
        tokio::spawn(async move { house.exchange(ask).await.map(|granted| granted.session) })
    });
    let mut granted = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        match asked.await.unwrap() {
            Ok(session) => granted.push(session),
            Err(code) => assert!(matches!(code, Code::InProgress | Code::CredentialNotAvailable), "{code}"),
        }
    }
    let mut live = 0;
    for session in &granted {
        live += house.states(*session).await.iter().filter(|state| **state == State::Active).count();
    }
    assert!(!granted.is_empty() && live <= 1, "{live} of {}", granted.len());
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_session_alone_makes_nothing_and_can_ask_later(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let token = house.token("shop");
    let granted = house.exchange(Ask { session_only: true, ..house.ask(&token) }).await.unwrap();
    assert!(granted.credentials.is_empty());
    assert_eq!(house.target.made.load(Ordering::Relaxed), 0);
    let record = house.audit("exchange.granted").await;
    assert_eq!(record[0].fields["decision_id"], granted.decision.to_string());
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    let later = house.exchange.further(&session, house.further()).await.unwrap();
    assert_eq!(later.credentials.len(), 1);
    assert_eq!(house.exchange(house.ask(&token)).await.unwrap_err(), Code::TokenAlreadyUsed);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn names_that_could_spoil_the_record_are_malformed(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let token = house.token("shop");
    for name in ["a\0b", "", &"x".repeat(129), "line\nbreak"] {
        let ask = Ask { role: Some(name.to_owned()), ..house.ask(&token) };
        assert_eq!(house.exchange(ask).await.unwrap_err(), Code::RequestMalformed, "{name:?}");
        let ask = Ask { credentials: vec![name.to_owned()], ..house.ask(&token) };
        assert_eq!(house.exchange(ask).await.unwrap_err(), Code::RequestMalformed, "{name:?}");
    }
    let many = Ask { credentials: vec!["it".to_owned(); 65], ..house.ask(&token) };
    assert_eq!(house.exchange(many).await.unwrap_err(), Code::RequestMalformed);
    let unknown = Ask { role: Some("nobody's".to_owned()), ..house.ask(&token) };
    assert_eq!(house.exchange(unknown).await.unwrap_err(), Code::RoleNotAllowed);
    assert_eq!(house.audit("exchange.denied").await[0].fields["role"], "nobody's");
    house.exchange(house.ask(&token)).await.unwrap();
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn refusals_by_rate_are_remembered(pool: PgPool) {
    let one = NonZeroU32::MIN;
    let rate = limiter::Config { per_project_minute: one, per_project_burst: one };
    let house = House::limited(&pool, &database("shop", ""), rate).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    assert_eq!(house.exchange(house.ask(&house.token("shop"))).await.unwrap_err(), Code::RateLimited);
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    assert_eq!(house.exchange.further(&session, house.further()).await.map(|_| ()).map_err(code), Err(Code::RateLimited));
    assert_eq!(house.audit("exchange.denied").await[0].fields["code"], "rate_limited");
    assert_eq!(house.audit("session.denied").await[0].fields["code"], "rate_limited");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_session_does_not_follow_its_issuers_name(pool: PgPool) {
    let roles = database("shop", "");
    let house = House::build(&pool, &roles).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    let other = policy("ci", "https://another.example.test", &roles);
    house.rooms.policies.activate(other, "test").await.unwrap();
    assert_eq!(house.exchange.further(&session, house.further()).await.map(|_| ()).map_err(code), Err(Code::IssuerUnknown));
    let denied = house.audit("session.denied").await;
    assert_eq!(denied[0].fields["session_id"], session.id.to_string());
    assert_eq!(house.sessions.holder(token_of(&granted), house.id()).await.map(|_| ()).map_err(code), Err(Code::IssuerUnknown));
    // Giving back what it has is always allowed.
    house.sessions.end(&session, house.id()).await.unwrap();
    assert_eq!(house.states(session.id).await, [State::Revoked]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_rehearsed_role_hands_nothing_out_and_disturbs_no_other(pool: PgPool) {
    let shadow =
        database("shop", "").replace("role.shop", "role.shop-next").replace("ttl = \"10m\"", "ttl = \"10m\"\nshadow = true");
    let house = House::build(&pool, &(database("shop", "") + &shadow)).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    assert_eq!(granted.role, "shop");
    let named = Ask { role: Some("shop-next".to_owned()), ..house.ask(&house.token("shop")) };
    assert_eq!(house.exchange(named).await.unwrap_err(), Code::RoleNotAllowed);
    assert_eq!(house.target.made.load(Ordering::Relaxed), 1);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn keys_that_are_fetched_again_change_nothing(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    house.keys.refresh_all().await;
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_repeat_after_an_ask_that_came_to_nothing_is_never_told_that_its_token_is_used(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let token = house.token("shop");
    house.target.mood(Target::FAILS);
    let failed = house.exchange(with_key(house.ask(&token), "k")).await;
    assert_eq!(failed.map(|_| ()), Err(Code::CredentialNotAvailable));
    house.target.mood(0);
    let granted = loop {
        match house.exchange(with_key(house.ask(&token), "k")).await {
            Ok(granted) => break granted,
            Err(code) => assert_eq!(code, Code::InProgress),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(house.states(granted.session).await, [State::Active]);
    assert_eq!(house.exchange(house.ask(&token)).await.map(|_| ()), Err(Code::TokenAlreadyUsed));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_credential_lasts_as_long_as_its_role_says_and_no_second_less(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "session_ttl = \"10m\"")).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let given = &granted.credentials[0];
    assert_eq!((given.ttl, given.ttl_limited_by), (Some(Duration::from_mins(10)), Some("role")));
    assert_eq!(given.expires_at, Some(granted.session_ends));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_the_target_ends_earlier_is_told_with_the_targets_end(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    house.target.mood(Target::FLEETING);
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let given = &granted.credentials[0];
    assert_eq!((given.ttl.map(|ttl| ttl.as_secs().div_ceil(10)), given.ttl_limited_by), (Some(6), Some("target")));
    assert!(given.expires_at.unwrap() < house.rooms.system.now() + Duration::from_secs(61));
    let fields = &house.audit("exchange.granted").await[0].fields;
    assert_eq!(fields["credential.it.ttl_limited_by"], "target");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn leases_of_which_nobody_knows_are_given_back(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.rooms.leases.give_up(vec![granted.credentials[0].lease.unwrap()]);
    while house.states(granted.session).await != [State::Revoked] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.close().await;
}
