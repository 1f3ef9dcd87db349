use domain::secret::Secret;

use super::*;
use crate::service::audit::Audit;
use crate::service::bearer;
use crate::service::explain::Explain;
use crate::service::operators::Operators;
use crate::service::secrets::{At, Secrets};
use crate::service::sessions::Holder;
use crate::store::bootstrap::Bootstrap;

const RIGHTS: &str = r#"engine = "operator"
rights = ["audit.read", "policy.explain", "secrets.list", "secrets.read:shop/*", "secrets.write:shop/*"]"#;

impl House {
    async fn operator(&self) -> Holder {
        let granted = self.exchange(self.ask(&self.token("ops"))).await.unwrap();
        self.sessions.holder(token_of(&granted), self.id()).await.unwrap()
    }

    async fn first_token(&self, role: &str) -> Secret<String> {
        let (token, now) = (bearer::new_token(&self.rooms.system, Uuid::nil()).unwrap(), self.rooms.system.now());
        let token_hash = bearer::sha256(token.expose().as_bytes());
        let mut tx = self.rooms.store.begin().await.unwrap();
        let expires_at = now + Duration::from_mins(10);
        tx.make_bootstrap(&Bootstrap { token_hash, role: role.to_owned(), created_at: now, expires_at }).await.unwrap();
        tx.commit().await.unwrap();
        token
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn every_act_is_remembered_reading_too(pool: PgPool) {
    let house = House::build(&pool, &role("ops", "", RIGHTS)).await;
    let holder = house.operator().await;
    let (secrets, at) = (Secrets::new(house.rooms.clone()), At::new("secret", "shop/db").unwrap());
    let acts: [Uuid; 6] = std::array::from_fn(|_| house.id());
    secrets.write(&holder, &at, stored(json!({"password": "x"})), acts[0]).await.unwrap();
    secrets.read(&holder, &at, None, acts[1]).await.unwrap();
    secrets.list(&holder, &At::mount("secret").unwrap(), acts[2]).await.unwrap();
    secrets.history(&holder, &at, acts[3]).await.unwrap();
    let query = AuditQuery { role: Some("ops".to_owned()), ..AuditQuery::default() };
    let records = Audit::new(house.rooms.clone()).list(&holder, &query, acts[4]).await.unwrap();
    let decided: Uuid =
        records.iter().find(|entry| entry.kind == "exchange.granted").unwrap().fields["decision_id"].parse().unwrap();
    let explained = Explain::new(house.rooms.clone()).decision(&holder, decided, acts[5]).await.unwrap();
    assert_eq!((explained.explanation.outcome, explained.recorded.kind.as_str()), ("allow", "exchange.granted"));
    for (kind, decision) in [
        ("secret.written", acts[0]),
        ("secret.read", acts[1]),
        ("secret.listed", acts[3]),
        ("audit.read", acts[4]),
        ("decision.explained", acts[5]),
    ] {
        let found = house.audit(kind).await;
        assert_eq!(found[0].fields["decision_id"], decision.to_string(), "{kind}");
        assert_eq!(found[0].fields["session_id"], holder.session.id.to_string(), "{kind}");
    }
    assert_eq!(house.audit("secret.listed").await.len(), 2);
    assert_eq!(house.audit("decision.explained").await[0].fields["object"], decided.to_string());
    assert_eq!(house.audit("audit.read").await[0].fields["query.role"], "ops");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_an_operator_may_not_is_remembered(pool: PgPool) {
    let house = House::build(&pool, &role("ops", "", RIGHTS)).await;
    let holder = house.operator().await;
    let (secrets, elsewhere) = (Secrets::new(house.rooms.clone()), At::new("secret", "other/db").unwrap());
    let denied = secrets.read(&holder, &elsewhere, None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(denied, Err(Code::RightMissing));
    let records = house.audit("operator.denied").await;
    assert_eq!(records[0].fields["code"], "right_missing");
    assert!(records[0].fields["hint.0"].contains("secrets.read:other/db"));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_the_database_cannot_hold_is_the_callers_mistake(pool: PgPool) {
    let house = House::build(&pool, &role("ops", "", RIGHTS)).await;
    let holder = house.operator().await;
    let query = AuditQuery { project: Some("a\0b".to_owned()), ..AuditQuery::default() };
    let listed = Audit::new(house.rooms.clone()).list(&holder, &query, house.id()).await;
    assert_eq!(listed.map(|_| ()).map_err(code), Err(Code::RequestMalformed));
    let mut write = stored(json!({}));
    write.metadata = Some(BTreeMap::from([("note".to_owned(), "a\0b".to_owned())]));
    let at = At::new("secret", "shop/db").unwrap();
    let written = Secrets::new(house.rooms.clone()).write(&holder, &at, write, house.id()).await;
    assert_eq!(written.map(|_| ()).map_err(code), Err(Code::RequestMalformed));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_rehearsed_role_gives_no_rights(pool: PgPool) {
    let house = House::build(&pool, &role("ops", "", RIGHTS)).await;
    let granted = house.exchange(house.ask(&house.token("ops"))).await.unwrap();
    let shadow = policy("ci", URL, &role("ops", "shadow = true", RIGHTS));
    house.rooms.policies.activate(shadow, "test").await.unwrap();
    let held = house.sessions.holder(token_of(&granted), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(held, Err(Code::RoleNotAllowed));
    let token = house.first_token("ops").await;
    let opened = Operators::new(house.rooms.clone()).bootstrap(&token, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(opened, Err(Code::RoleNotAllowed));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_first_operators_token_opens_one_session(pool: PgPool) {
    let house = House::build(&pool, &role("ops", "", RIGHTS)).await;
    let (operators, token) = (Operators::new(house.rooms.clone()), house.first_token("ops").await);
    let granted = operators.bootstrap(&token, house.id()).await.unwrap();
    let holder = house.sessions.holder(token_of(&granted), house.id()).await.unwrap();
    assert!(holder.rights.contains(&"audit.read".to_owned()));
    assert_eq!(house.audit("operator.bootstrapped").await.len(), 1);
    for bad in [&token, &Secret::from("dps_nothing"), &bearer::new_token(&house.rooms.system, Uuid::nil()).unwrap()] {
        let again = operators.bootstrap(bad, house.id()).await.map(|_| ()).map_err(code);
        assert_eq!(again, Err(Code::SessionUnknown));
    }
    // It is an operator's session: no credential comes of it.
    let further = house.exchange.further(&holder.session, house.further()).await.map(|_| ()).map_err(code);
    assert_eq!(further, Err(Code::IssuerUnknown));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn an_explanation_repeats_what_was_asked_and_what_came_of_it(pool: PgPool) {
    let house =
        House::build(&pool, &[role("ops", "", RIGHTS), database("shop", ""), database("quiet", "shadow = true")].concat()).await;
    let (holder, explain) = (house.operator().await, Explain::new(house.rooms.clone()));
    let explained = async |decision| explain.decision(&holder, decision, house.id()).await.unwrap();

    let ttl = Some(Duration::from_secs(90));
    let granted = house.exchange(Ask { ttl, ..house.ask(&house.token("shop")) }).await.unwrap();
    let told = explained(granted.decision).await.explanation;
    assert_eq!((told.credentials[0].limited_by, told.credentials[0].ttl_seconds), (Some("request"), Some(90)));

    let unknown = Ask { credentials: vec!["nope".to_owned()], ..house.ask(&house.token("shop")) };
    let decision = unknown.decision;
    assert_eq!(house.exchange(unknown).await.unwrap_err(), Code::CredentialUnknown);
    let told = explained(decision).await;
    assert_eq!((told.explanation.code, told.recorded.code.as_deref()), (Some("credential_unknown"), Some("credential_unknown")));

    let shadow = house.ask(&house.token("quiet"));
    let decision = shadow.decision;
    assert_eq!(house.exchange(shadow).await.unwrap_err(), Code::RoleNotAllowed);
    let told = explained(decision).await;
    assert_eq!((told.explanation.outcome, told.explanation.code), ("deny", Some("role_not_allowed")));

    let alone = Ask { session_only: true, ..house.ask(&house.token("shop")) };
    let granted = house.exchange(alone).await.unwrap();
    assert!(explained(granted.decision).await.explanation.credentials.is_empty());
    let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
    let later = house.exchange.further(&session, house.further()).await.unwrap();
    let told = explained(later.decision).await;
    assert_eq!((told.recorded.kind.as_str(), told.explanation.outcome), ("session.granted", "allow"));
    let session_limit = |limit: &&domain::policy::Limit| limit.by == "session";
    let left = told.explanation.credentials[0].limits.iter().find(session_limit).unwrap().seconds;
    assert!((3_500..=3_600).contains(&left), "{left}");
    house.close().await;
}
