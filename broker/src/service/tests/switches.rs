use domain::wire::SwitchRequest;

use super::*;
use crate::service::sessions::Holder;
use crate::service::switches::Switches;

const RIGHTS: &str = r#"engine = "operator"
rights = ["policy.read", "exchanges.stop"]"#;

fn roles() -> String {
    [role("ops", "", RIGHTS), role("boss", "", RIGHTS), database("shop", ""), database("other", "")].concat()
}

fn off(role: &str) -> SwitchRequest {
    SwitchRequest { role: Some(role.to_owned()), disabled: true, reason: "a test".to_owned(), ..SwitchRequest::default() }
}

fn issuer_off() -> SwitchRequest {
    SwitchRequest { issuer: Some("ci".to_owned()), role: None, ..off("") }
}

impl House {
    async fn switch(&self, holder: &Holder, request: SwitchRequest) -> Result<Vec<String>, Code> {
        let set = Switches::new(self.rooms.clone()).set(holder, &request, self.id()).await.map_err(code)?;
        let issuers = set.issuers.into_iter().filter(|issuer| issuer.disabled.is_some()).map(|issuer| issuer.name);
        let roles = set.roles.into_iter().filter(|role| role.disabled.is_some()).map(|role| role.name);
        Ok(issuers.chain(roles).collect())
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_role_that_is_off_gives_nothing_new_and_takes_nothing_back(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let open = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let session = house.sessions.authenticate(token_of(&open)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(house.switch(&holder, off("shop")).await, Ok(vec!["shop".to_owned()]));
    }
    assert_eq!(house.exchange(house.ask(&house.token("shop"))).await.map(|_| ()), Err(Code::RoleDisabled));
    let further = house.exchange.further(&session, house.further()).await.map(|_| ()).map_err(code);
    assert_eq!(further, Err(Code::RoleDisabled), "a session that is open asks in vain");
    assert_eq!(house.sessions.holder(token_of(&open), house.id()).await.map(|_| ()).map_err(code), Err(Code::RoleDisabled));
    house.rooms.stops.sweep_all().await.unwrap();
    assert_eq!(house.states(open.session).await, [domain::lease::State::Active], "what is out stays");
    house.exchange(house.ask(&house.token("other"))).await.unwrap();

    // It is no kill, and no kill's end lifts it.
    assert!(house.inventory().stops(&holder, house.id()).await.unwrap().is_empty());
    let id = house.rooms.store.stops().await.unwrap()[0].id.to_string();
    assert_eq!(house.inventory().lift(&holder, &id, house.id()).await.map(|_| ()).map_err(code), Err(Code::NotFound));
    let on = || SwitchRequest { disabled: false, reason: String::new(), ..off("shop") };
    for _ in 0..2 {
        assert_eq!(house.switch(&holder, on()).await, Ok(vec![]));
    }
    house.exchange.further(&session, house.further()).await.unwrap();
    for kind in ["role.disabled", "role.enabled"] {
        assert_eq!(house.audit(kind).await.len(), 1, "{kind}");
    }
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn an_issuer_that_is_off_lets_nobody_in_but_the_operator_who_did_it(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let (holder, boss) = (house.keeper("ops").await, house.exchange(house.ask(&house.token("boss"))).await.unwrap());
    assert_eq!(house.switch(&holder, issuer_off()).await, Err(Code::LockedOut));
    assert_eq!(house.switch(&holder, off("ops")).await, Err(Code::LockedOut));
    let meant = SwitchRequest { lock_out: true, ..issuer_off() };
    assert_eq!(house.switch(&holder, meant).await, Ok(vec!["ci".to_owned()]));
    for role in ["shop", "nobody"] {
        assert_eq!(house.exchange(house.ask(&house.token(role))).await.map(|_| ()), Err(Code::IssuerDisabled), "{role}");
    }
    assert_eq!(house.sessions.holder(token_of(&boss), house.id()).await.map(|_| ()).map_err(code), Err(Code::IssuerDisabled));
    let rooms = &house.rooms;
    rooms.stops.session(holder.session.id, "ci", "ops").unwrap();
    house.switch(&holder, SwitchRequest { disabled: false, ..issuer_off() }).await.unwrap();
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_switch_says_what_and_why_and_needs_the_right(pool: PgPool) {
    let weak = role("weak", "", "engine = \"operator\"\nrights = [\"policy.read\"]");
    let house = House::build(&pool, &[roles(), weak].concat()).await;
    let (holder, weak) = (house.keeper("ops").await, house.keeper("weak").await);
    assert_eq!(house.switch(&weak, off("shop")).await, Err(Code::RightMissing));
    let wrong = [
        (SwitchRequest { reason: " ".to_owned(), ..off("shop") }, Code::RequestMalformed),
        (SwitchRequest { issuer: Some("ci".to_owned()), ..off("shop") }, Code::RequestMalformed),
        (SwitchRequest { role: None, ..off("shop") }, Code::RequestMalformed),
        (off("shopp"), Code::NotFound),
    ];
    for (request, expected) in wrong {
        assert_eq!(house.switch(&holder, request).await, Err(expected));
    }
    house.switch(&holder, off("shop")).await.unwrap();
    // The set loses the role, and gets it back later: it is still off.
    house.rooms.policies.activate(policy("ci", URL, &[role("ops", "", RIGHTS)].concat()), "test").await.unwrap();
    let list = Switches::new(house.rooms.clone()).list(&holder, house.id()).await.unwrap();
    assert_eq!(list.roles.iter().find(|role| role.name == "shop").unwrap().disabled.as_ref().unwrap().reason, "a test");
    house.close().await;
}
