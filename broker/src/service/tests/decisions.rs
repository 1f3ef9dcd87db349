use domain::policy::simulate::{Now, Then, now, then};
use domain::wire::{DecisionPage, DecisionQuery};

use super::*;
use crate::service::decisions::Decisions;
use crate::service::sessions::Holder;

fn operator(rights: &str) -> String {
    role("ops", "", &format!("engine = \"operator\"\nrights = [{rights}]"))
}

impl House {
    async fn reader(&self) -> Holder {
        let granted = self.exchange(self.ask(&self.token("ops"))).await.unwrap();
        self.sessions.holder(token_of(&granted), self.id()).await.unwrap()
    }

    async fn decided(&self, holder: &Holder, query: DecisionQuery) -> DecisionPage {
        Decisions::new(self.rooms.clone()).list(holder, &query, self.id()).await.unwrap()
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn every_recorded_decision_comes_out_the_same_under_the_set_that_made_it(pool: PgPool) {
    let house =
        House::build(&pool, &[operator("\"policy.read\""), database("shop", ""), database("quiet", "shadow = true")].concat())
            .await;
    let token = house.token("shop");
    let granted = house.exchange(Ask { ttl: Some(Duration::from_mins(2)), ..house.ask(&token) }).await.unwrap();
    assert_eq!(house.exchange(house.ask(&token)).await.unwrap_err(), Code::TokenAlreadyUsed);
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    house.exchange.further(&session, house.further()).await.unwrap();
    assert_eq!(house.exchange(house.ask(&house.token("nobody"))).await.unwrap_err(), Code::NoRoleMatches);
    assert_eq!(house.exchange(house.ask(&house.token("quiet"))).await.unwrap_err(), Code::RoleNotAllowed);
    let named = |role: &str, credential: &str| {
        let credentials = vec![credential.to_owned()];
        Ask { role: Some(role.to_owned()), credentials, ..house.ask(&house.token("shop")) }
    };
    assert_eq!(house.exchange(named("shop", "nope")).await.unwrap_err(), Code::CredentialUnknown);
    assert_eq!(house.exchange(named("quiet", "it")).await.unwrap_err(), Code::RoleNotAllowed);
    house.target.mood(Target::FAILS);
    assert!(house.exchange(house.ask(&house.token("shop"))).await.is_err());
    house.exchange(Ask { session_only: true, ..house.ask(&house.token("shop")) }).await.unwrap();

    let holder = house.reader().await;
    let page = house.decided(&holder, DecisionQuery::default()).await;
    let set = house.rooms.policies.active();
    let mut told = BTreeMap::new();
    for decision in &page.decisions {
        let same = match (then(decision), now(&set, decision)) {
            (Then::Allowed(before), Now::Allowed { role, .. }) => before == role,
            (Then::Denied(before), Now::Denied(code)) => before == code,
            (Then::NotAsked, _) => decision.code.as_deref() == Some("token_already_used"),
            _ => false,
        };
        assert!(same, "{decision:#?}");
        assert!(decision.claims.get("by").is_none() && decision.withheld == ["by"], "{decision:#?}");
        *told.entry(decision.kind.as_str()).or_insert(0) += 1;
    }
    let expected = [("exchange.denied", 5), ("exchange.failed", 1), ("exchange.granted", 3), ("session.granted", 1)];
    assert_eq!(told, expected.into_iter().collect(), "each decision stands there once");
    let first = page.decisions.iter().find(|decision| decision.decision_id == granted.decision.to_string()).unwrap();
    assert!(first.asked.any_role && first.asked.ttl == Some(120) && first.row == Some(0), "{first:#?}");
    assert_eq!(house.audit("audit.read").await[0].fields["object"], "decisions");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn decisions_come_in_pages_and_only_those_of_the_days_asked_for(pool: PgPool) {
    let house = House::build(&pool, &operator("\"policy.read\", \"audit.read\"")).await;
    let holder = house.reader().await;
    for _ in 0..4 {
        assert!(house.exchange(house.ask(&house.token("nobody"))).await.is_err());
    }
    let (mut query, mut ids) = (DecisionQuery { limit: Some(2), ..DecisionQuery::default() }, Vec::new());
    loop {
        let page = house.decided(&holder, query.clone()).await;
        assert!(page.decisions.iter().all(|decision| decision.withheld.is_empty()), "who reads the audit trail sees persons");
        ids.extend(page.decisions.into_iter().map(|decision| decision.decision_id));
        let Some(next) = page.next else { break };
        query.before = Some(next);
    }
    let whole = house.decided(&holder, DecisionQuery::default()).await;
    assert_eq!(ids, whole.decisions.iter().map(|decision| decision.decision_id.clone()).collect::<Vec<_>>());
    assert_eq!(ids.len(), 5);
    sqlx::query("update daypass.audit_records set at = at - interval '3 days'").execute(&pool).await.unwrap();
    let none = house.decided(&holder, DecisionQuery { days: Some(1), ..DecisionQuery::default() }).await;
    assert!(none.decisions.is_empty());
    let bad = DecisionQuery { before: Some("yesterday".to_owned()), ..DecisionQuery::default() };
    let refused = Decisions::new(house.rooms.clone()).list(&holder, &bad, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::RequestMalformed));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn refusals_that_were_only_counted_are_told_by_their_number(pool: PgPool) {
    let house = House::build(&pool, &operator("\"policy.read\"")).await;
    let holder = house.reader().await;
    for _ in 0..25 {
        assert!(house.exchange(house.ask(&house.token("nobody"))).await.is_err());
    }
    house.rooms.denials.flush().await.unwrap();
    let page = house.decided(&holder, DecisionQuery { limit: Some(30), ..DecisionQuery::default() }).await;
    let recorded = page.decisions.iter().filter(|decision| decision.kind == "exchange.denied").count();
    let counted = page.only_counted.get("no_role_matches").copied().unwrap_or(0);
    assert_eq!(u64::try_from(recorded).unwrap() + counted, 25, "none is lost");
    let before = Some(house.id().to_string());
    assert!(house.decided(&holder, DecisionQuery { before, ..DecisionQuery::default() }).await.only_counted.is_empty());
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn who_may_not_read_the_policy_sees_no_decision(pool: PgPool) {
    let house = House::build(&pool, &operator("\"audit.read\", \"policy.explain\"")).await;
    let holder = house.reader().await;
    let listed = Decisions::new(house.rooms.clone()).list(&holder, &DecisionQuery::default(), house.id()).await;
    assert_eq!(listed.map(|_| ()).map_err(code), Err(Code::RightMissing));
    house.close().await;
}
