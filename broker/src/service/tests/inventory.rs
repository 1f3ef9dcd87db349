use domain::lease::State;
use domain::wire::{LeaseFilter, LeaseSearch, RevokeRequest};

use super::*;
use crate::service::inventory::Inventory;
use crate::service::sessions::Holder;
use crate::store::sessions::Session;

pub(super) const RIGHTS: &str = r#"engine = "operator"
rights = ["leases.read", "leases.renew", "leases.revoke", "exchanges.stop"]"#;

impl House {
    pub(super) fn inventory(&self) -> Inventory {
        Inventory::new(self.rooms.clone())
    }

    pub(super) async fn keeper(&self, role: &str) -> Holder {
        let granted = self.exchange(self.ask(&self.token(role))).await.unwrap();
        self.sessions.holder(token_of(&granted), self.id()).await.unwrap()
    }

    async fn session(&self, granted: &Granted) -> Session {
        self.sessions.authenticate(token_of(granted)).await.unwrap()
    }

    pub(super) async fn all_gone(&self, session: Uuid) {
        for _ in 0..500 {
            if self.states(session).await.iter().all(|state| !state.is_open()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never gone: {:?}", self.states(session).await);
    }
}

fn roles() -> String {
    [
        role("ops", "", RIGHTS),
        role("reader", "", "engine = \"operator\"\nrights = [\"audit.read\"]"),
        database("shop", "session_ttl = \"15m\""),
        database("other", ""),
    ]
    .concat()
}

fn by(change: impl FnOnce(&mut LeaseFilter)) -> LeaseFilter {
    let mut filter = LeaseFilter::default();
    change(&mut filter);
    filter
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn leases_are_listed_by_whatever_is_known_of_them_page_by_page(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let mut sessions = Vec::new();
    for name in ["shop", "shop", "other"] {
        sessions.push(house.exchange(house.ask(&house.token(name))).await.unwrap().session);
    }
    let count = async |filter: LeaseFilter| {
        let search = LeaseSearch { filter, ..LeaseSearch::default() };
        house.inventory().list(&holder, &search, house.id()).await.unwrap().leases.len()
    };
    let later = house.rooms.system.now() + Duration::from_mins(1);
    for (filter, expected) in [
        (LeaseFilter::default(), 3),
        (by(|filter| filter.role = Some("shop".to_owned())), 2),
        (by(|filter| filter.repository = Some("s1".to_owned())), 3),
        (by(|filter| filter.repository = Some("s2".to_owned())), 0),
        (by(|filter| filter.session = Some(sessions[2].to_string())), 1),
        (by(|filter| filter.issuer = Some("ci".to_owned())), 3),
        (by(|filter| filter.engine = Some("aws".to_owned())), 0),
        (by(|filter| filter.connection = Some("shop".to_owned())), 3),
        (by(|filter| filter.state = Some(State::Active)), 3),
        (by(|filter| filter.state = Some(State::Revoked)), 0),
        (by(|filter| filter.issued_before = Some(later)), 3),
        (by(|filter| filter.issued_before = Some(later - Duration::from_hours(1))), 0),
        (by(|filter| filter.job = Some("7".to_owned())), 0),
        (by(|filter| filter.run = Some("7".to_owned())), 0),
    ] {
        assert_eq!(count(filter.clone()).await, expected, "{filter:?}");
    }
    let mut search = LeaseSearch { limit: Some(2), ..LeaseSearch::default() };
    let first = house.inventory().list(&holder, &search, house.id()).await.unwrap();
    search.after = first.next.map(|id| id.to_string());
    let second = house.inventory().list(&holder, &search, house.id()).await.unwrap();
    let pages: Vec<Uuid> = first.leases.iter().chain(&second.leases).map(|found| found.lease.session_id).collect();
    assert_eq!((pages, second.next), (sessions.iter().rev().copied().collect(), None));
    let shown = house.inventory().show(&holder, &first.leases[0].lease.id.to_string(), house.id()).await.unwrap();
    assert_eq!((shown.session.project.as_deref(), shown.session.role.as_str()), (Some("s1"), "other"));
    for nothing in [house.id().to_string(), "nonsense".to_owned()] {
        let unknown = house.inventory().show(&holder, &nothing, house.id()).await.map(|_| ()).map_err(code);
        assert_eq!(unknown, Err(Code::LeaseUnknown), "{nothing}");
    }
    assert!(house.audit("lease.listed").await.iter().any(|record| record.fields.contains_key("filter.role")));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_the_filter_meets_is_taken_back_and_nothing_else(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let mut granted = Vec::new();
    for name in ["shop", "shop", "other"] {
        granted.push(house.exchange(house.ask(&house.token(name))).await.unwrap());
    }
    let inventory = house.inventory();
    let empty = inventory.revoke(&holder, &RevokeRequest::default(), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(empty, Err(Code::RequestMalformed));
    let filter = by(|filter| filter.role = Some("shop".to_owned()));
    let request = RevokeRequest { filter, ..RevokeRequest::default() };
    let reader = house.keeper("reader").await;
    let denied = inventory.revoke(&reader, &request, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(denied, Err(Code::RightMissing));
    assert!(granted.len() == 3 && house.states(granted[0].session).await == [State::Active], "nothing has happened");
    let asked = inventory.revoke(&holder, &request, house.id()).await.unwrap();
    assert_eq!((asked.leases, asked.already_gone, asked.after), (2, 0, None));
    for granted in &granted[..2] {
        house.all_gone(granted.session).await;
    }
    assert_eq!(house.states(granted[2].session).await, [State::Active]);
    let (shares, living) = inventory.revocation(&holder, &asked.revocation.to_string(), house.id()).await.unwrap();
    assert_eq!(shares.iter().map(|share| (share.state, share.leases)).collect::<Vec<_>>(), [(State::Revoked, 2)]);
    assert!(living.is_empty());
    let again = inventory.revoke(&holder, &request, house.id()).await.unwrap();
    assert_eq!((again.leases, again.already_gone), (0, 2));
    let records = house.audit("lease.revocation").await;
    assert_eq!(records.iter().map(|record| record.fields["leases"].as_str()).collect::<Vec<_>>(), ["0", "2"]);
    assert!(records.iter().all(|record| record.fields["filter.role"] == "shop"), "{records:?}");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_fails_and_what_lives_on_is_told(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.target.mood(Target::FLEETING);
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.target.mood(Target::REFUSES);
    let filter = by(|filter| filter.role = Some("shop".to_owned()));
    let asked =
        house.inventory().revoke(&holder, &RevokeRequest { filter, ..RevokeRequest::default() }, house.id()).await.unwrap();
    assert_eq!(asked.leases, 2);
    for _ in 0..200 {
        let (shares, living) = house.inventory().revocation(&holder, &asked.revocation.to_string(), house.id()).await.unwrap();
        assert_eq!((living.len(), living[0].lease.state), (1, State::Passive));
        if let Some(failing) = shares.iter().find(|share| share.reason.is_some()) {
            assert_eq!((failing.state, failing.leases), (State::Revoking, 1));
            assert!(failing.reason.as_deref().unwrap().contains("not my role") && failing.next_try.is_some());
            return house.close().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the failure is never told");
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_lease_lasts_as_long_as_the_policy_of_now_gives_and_never_beyond_its_session(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let ask = Ask { ttl: Some(Duration::from_mins(1)), ..house.ask(&house.token("shop")) };
    let granted = house.exchange(ask).await.unwrap();
    let (session, lease) = (house.session(&granted).await, granted.credentials[0].lease.unwrap());
    let inventory = house.inventory();
    let first = inventory.renew_own(&session, lease, Some(Duration::from_mins(2)), house.id()).await.unwrap();
    assert_eq!(first.limited_by, "request");
    let full = inventory.renew_own(&session, lease, None, house.id()).await.unwrap();
    assert_eq!(full.limited_by, "role");
    assert!(full.lease.expires_at > first.lease.expires_at && full.lease.expires_at < session.ends_at);
    let shorter = inventory.renew_own(&session, lease, Some(Duration::from_secs(5)), house.id()).await.unwrap();
    assert_eq!(shorter.lease.expires_at, full.lease.expires_at, "a renewal shortens nothing");
    // The role gives more now than the session has left.
    let longer = [role("ops", "", RIGHTS), database("shop", "session_ttl = \"40m\"").replace("\"10m\"", "\"30m\"")].concat();
    house.rooms.policies.activate(policy("ci", URL, &longer), "test").await.unwrap();
    let capped = inventory.renew_own(&session, lease, None, house.id()).await.unwrap();
    assert_eq!((capped.limited_by, capped.lease.expires_at <= session.ends_at), ("session", true));
    // And then nothing any more.
    house.rooms.policies.activate(policy("ci", URL, &role("ops", "", RIGHTS)), "test").await.unwrap();
    let gone = inventory.renew_own(&session, lease, None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(gone, Err(Code::RoleNotAllowed));
    assert_eq!(house.audit("lease.renewed").await.len(), 3);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn nobody_renews_what_is_not_theirs_or_has_ended(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let ask = || Ask { ttl: Some(Duration::from_mins(1)), ..house.ask(&house.token("shop")) };
    let (mine, theirs) = (house.exchange(ask()).await.unwrap(), house.exchange(ask()).await.unwrap());
    let session = house.session(&mine).await;
    let [own, foreign] = [&mine, &theirs].map(|granted| granted.credentials[0].lease.unwrap());
    let inventory = house.inventory();
    let stolen = inventory.renew_own(&session, foreign, None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(stolen, Err(Code::LeaseUnknown));
    let reader = house.keeper("reader").await;
    let denied = inventory.renew_any(&reader, &own.to_string(), None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(denied, Err(Code::RightMissing));
    let holder = house.keeper("ops").await;
    assert_eq!(inventory.renew_any(&holder, &own.to_string(), None, house.id()).await.unwrap().limited_by, "role");
    assert!(house.audit("lease.renewed").await[0].fields.contains_key("operator_session"));
    house.rooms.leases.release(session.id, &[own]).await.unwrap();
    let ended = inventory.renew_own(&session, own, None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(ended, Err(Code::LeaseNotRenewable));
    house.target.mood(Target::FLEETING);
    let fleeting = house.exchange(ask()).await.unwrap();
    let own = fleeting.credentials[0].lease.unwrap();
    let passive = inventory.renew_own(&house.session(&fleeting).await, own, None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(passive, Err(Code::LeaseNotRenewable));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_target_that_says_no_to_a_renewal_has_the_old_end_stand(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let ask = Ask { ttl: Some(Duration::from_mins(1)), ..house.ask(&house.token("shop")) };
    let granted = house.exchange(ask).await.unwrap();
    let (session, lease) = (house.session(&granted).await, granted.credentials[0].lease.unwrap());
    let before = house.rooms.store.lease(lease).await.unwrap().unwrap().expires_at;
    house.target.mood(Target::REFUSES);
    let refused = house.inventory().renew_own(&session, lease, None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::TargetRefused));
    let after = house.rooms.store.lease(lease).await.unwrap().unwrap();
    assert_eq!((after.expires_at, after.due_at, after.state), (before, Some(before), State::Active));
    assert_eq!((house.audit("lease.renewed").await.len(), house.audit("lease.not_renewed").await.len()), (1, 1));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_string_found_in_a_log_is_known_again_and_stands_nowhere(pool: PgPool) {
    let house = House::build(&pool, &roles()).await;
    let holder = house.keeper("ops").await;
    let granted = house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    let (lease, inventory) = (granted.credentials[0].lease.unwrap(), house.inventory());
    let password = granted.credentials[0].values["password"].expose().clone();
    let name = house.login_of(lease);
    let find = async |text: &str| {
        let owners = inventory.find(&holder, &Secret::from(text), house.id()).await.unwrap();
        owners.into_iter().map(|owner| (owner.what, owner.session.id)).collect::<Vec<_>>()
    };
    for (text, what) in [
        (token_of(&granted), vec!["session token"]),
        (name.as_str(), vec!["upstream name"]),
        (password.as_str(), vec!["credential"]),
        (&format!(" {password}\n"), vec!["credential"]),
        (&format!("postgresql://{name}:{password}@db:5432/shop"), vec!["upstream name", "credential"]),
    ] {
        let found = find(text).await;
        assert_eq!(found, what.into_iter().map(|what| (what, granted.session)).collect::<Vec<_>>(), "{text}");
    }
    let (half, more) = (&password[..20], format!("{password}x"));
    for nobodys in ["", "short", half, &more, "dps_nothing", "'; drop table leases", "a\0b"] {
        assert_eq!(find(nobodys).await, [], "{nobodys:?}");
    }
    // Also after the data key has been rotated.
    house.rooms.store.rotate(|_| house.remark()).await.unwrap();
    assert_eq!(find(&password).await.len(), 1);
    let dump: String = sqlx::query_scalar(
        "select string_agg(l::text, '') || (select string_agg(encode(packed, 'escape'), '') from daypass.audit_records) from daypass.leases l",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(!dump.contains(&password), "the password stands nowhere");
    assert!(house.audit("lease.found").await.iter().all(|record| !format!("{record:?}").contains("made-")));
    house.close().await;
}
