//! What changes while a credential is being made.

use domain::lease::State;
use domain::wire::SwitchRequest;
use sqlx::AssertSqlSafe;

use super::*;
use crate::service::switches::Switches;
use crate::store::stops::Stop;

const OPS: &str = r#"engine = "operator"
rights = ["exchanges.stop"]"#;

fn roles() -> String {
    role("ops", "", OPS) + &database("shop", "")
}

async fn leases(pool: &PgPool, which: &str) -> i64 {
    let count = AssertSqlSafe(format!("select count(*) from daypass.leases where {which}"));
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

impl House {
    /// What becomes of an exchange during which `meanwhile` happens, and its token.
    async fn while_making(&self, pool: &PgPool, meanwhile: impl AsyncFnOnce(&Self)) -> (Result<Granted, Code>, Secret<String>) {
        self.target.mood(Target::SLOW);
        let (made, token) = (self.target.made.load(Ordering::Relaxed), self.token("shop"));
        let asked = self.exchange(self.ask(&token));
        let change = async {
            super::taking_back::until("it is being made", async || leases(pool, "state = 'pending'").await > 0).await;
            meanwhile(self).await;
            assert_eq!(self.target.made.load(Ordering::Relaxed), made, "it was still being made");
            self.target.mood(0);
        };
        let (answer, ()) = tokio::join!(asked, change);
        (answer, token)
    }

    async fn put(&self, set: PolicySet) {
        assert!(self.rooms.policies.activate(set, "test").await.unwrap());
    }

    async fn nothing_is_left_and_the_token_is_free(&self, pool: &PgPool, token: &Secret<String>, code: &str) {
        super::taking_back::until("it is taken back", async || leases(pool, "due_at is not null").await == 0).await;
        let failed = self.audit("exchange.failed").await;
        assert_eq!(failed.last().and_then(|entry| entry.fields.get("code")).map(String::as_str), Some(code));
        assert!(
            self.audit("exchange.granted").await.iter().all(|entry| entry.fields.get("role").map(String::as_str) != Some("shop"))
        );
        assert_eq!(self.exchange(self.ask(token)).await.map(|_| ()), Ok(()), "nothing came of the token");
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_role_that_is_switched_off_while_its_credential_is_made_hands_nothing_out(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let switches = Switches::new(house.rooms.clone());
    let off = |disabled| SwitchRequest {
        role: Some("shop".to_owned()),
        disabled,
        reason: "a test".to_owned(),
        ..SwitchRequest::default()
    };
    let (answer, token) = house
        .while_making(&pool, async |house| {
            switches.set(&holder, &off(true), house.id()).await.unwrap();
        })
        .await;
    assert_eq!(answer.map(|_| ()), Err(Code::RoleDisabled));
    switches.set(&holder, &off(false), house.id()).await.unwrap();
    house.nothing_is_left_and_the_token_is_free(&pool, &token, "role_disabled").await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_stop_while_a_credential_is_made_holds(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let stop = Stop {
        id: house.id(),
        repository: Some("s1".to_owned()),
        run: None,
        role: None,
        issuer: None,
        engine: None,
        issued_before: None,
        reason: "a test".to_owned(),
        spared: None,
        switch: false,
        created_at: house.rooms.system.now(),
    };
    let (answer, token) = house
        .while_making(&pool, async |house| {
            house.rooms.store.stop(&stop, &house.remark()).await.unwrap();
            house.rooms.stops.follow().await.unwrap();
        })
        .await;
    assert_eq!(answer.map(|_| ()), Err(Code::ExchangeStopped));
    house.rooms.store.lift_stop(stop.id, house.rooms.system.now(), &house.remark()).await.unwrap();
    house.rooms.stops.follow().await.unwrap();
    house.nothing_is_left_and_the_token_is_free(&pool, &token, "exchange_stopped").await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_set_that_no_longer_allows_it_is_heard_before_the_answer(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let narrowed = roles().replace("sub = \"shop\"", "sub = \"another\"");
    let (answer, token) = house.while_making(&pool, async |house| house.put(policy("ci", URL, &narrowed)).await).await;
    assert_eq!(answer.map(|_| ()), Err(Code::RoleNotAllowed));
    house.put(policy("ci", URL, &roles())).await;
    house.nothing_is_left_and_the_token_is_free(&pool, &token, "role_not_allowed").await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_set_that_gives_another_credential_has_it_made_anew(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let other = roles().replace("statements = \"rw\"", "statements = \"ro\"");
    let (answer, token) = house.while_making(&pool, async |house| house.put(policy("ci", URL, &other)).await).await;
    assert_eq!(answer.map(|_| ()), Err(Code::CredentialNotAvailable));
    house.nothing_is_left_and_the_token_is_free(&pool, &token, "credential_not_available").await;
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_set_that_changes_something_else_disturbs_nobody(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let more = roles() + &database("other", "");
    let (answer, _) = house.while_making(&pool, async |house| house.put(policy("ci", URL, &more)).await).await;
    assert_eq!(house.states(answer.unwrap().session).await, [State::Active]);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_key_that_is_withdrawn_while_a_credential_is_made_stays_the_one_of_the_record(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let (answer, _) = house
        .while_making(&pool, async |house| {
            std::fs::write(house.folder.path().join("keys.json"), jwks(&[Signer::new("another").jwk()])).unwrap();
            house.keys.refresh_all().await;
        })
        .await;
    assert_eq!(house.states(answer.unwrap().session).await, [State::Active], "it was decided with the key of its time");
    let granted = &house.audit("exchange.granted").await[0];
    assert_eq!(granted.fields["key_id"], "k");
    assert!(granted.fields["keys_age"].parse::<i64>().is_ok(), "{granted:?}");
    let late = house.exchange(house.ask(&house.token("shop"))).await.map(|_| ());
    assert_eq!(late, Err(Code::TokenInvalid), "the next one of that key is refused");
    house.close().await;
}
