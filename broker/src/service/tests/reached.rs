//! Stored secrets that a job's role reaches with its kv credentials: what `access` says, and nothing beside it.

use domain::wire::{KillRequest, StopFilter};

use crate::service::secrets::{At, Secrets};

use super::*;

const ROLES: [(&str, &str); 2] = [
    ("reader", "engine = \"kv\"\npath = \"shop/*\""),
    ("writer", "engine = \"kv\"\npath = \"shop/*\"\naccess = [\"list\", \"write\"]"),
];

async fn house(pool: &PgPool) -> (House, Secrets) {
    let roles: String = ROLES.iter().map(|(name, credential)| role(name, "", credential)).collect();
    let house = House::build(pool, &roles).await;
    let secrets = Secrets::new(house.rooms.clone());
    (house, secrets)
}

async fn holder(house: &House, sub: &str) -> crate::service::sessions::Holder {
    let ask = Ask { session_only: true, ..house.ask(&house.token(sub)) };
    let granted = house.exchange(ask).await.unwrap();
    house.sessions.holder(token_of(&granted), house.id()).await.unwrap()
}

fn at(path: &str) -> At {
    At::new("secret", path).unwrap()
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn access_of_a_role_decides_what_its_jobs_do_with_secrets(pool: PgPool) {
    let (house, secrets) = house(&pool).await;
    let (reader, writer) = (holder(&house, "reader").await, holder(&house, "writer").await);
    let id = house.id();

    let version = secrets.write(&writer, &at("shop/registry"), stored(json!({"password": "x"})), id).await.unwrap();
    assert_eq!(version, 1);
    assert_eq!(secrets.list(&writer, &at("shop"), id).await.unwrap().paths, ["registry"]);
    assert_eq!(secrets.read(&reader, &at("shop/registry"), None, id).await.unwrap().version, 1);

    let refused = |outcome: Result<(), Error>| assert_eq!(outcome.map_err(code), Err(Code::RightMissing));
    refused(secrets.read(&writer, &at("shop/registry"), None, id).await.map(|_| ()));
    refused(secrets.write(&reader, &at("shop/registry"), stored(json!({})), id).await.map(|_| ()));
    refused(secrets.list(&reader, &at("shop"), id).await.map(|_| ()));
    refused(secrets.delete(&writer, &at("shop/registry"), &[], false, id).await.map(|_| ()));
    for beside in ["bank/registry", "shop/deep/registry"] {
        refused(secrets.read(&reader, &at(beside), None, id).await.map(|_| ()));
        refused(secrets.write(&writer, &at(beside), stored(json!({})), id).await.map(|_| ()));
    }
    refused(secrets.read(&reader, &At::new("shop", "registry").unwrap(), None, id).await.map(|_| ()));
    assert_eq!(house.audit("secret.written").await.len(), 1);
    assert_eq!(house.audit("secret.read").await.len(), 1);
}

#[test]
fn rights_of_one_mount_do_not_reach_another() {
    assert_eq!(At::new("secret", "shop/registry").unwrap().object(), "shop/registry");
    assert_eq!(At::new("shop", "registry").unwrap().object(), "shop:registry");
    let rights = ["secrets.read:shop/*"];
    let allows = |at: At| domain::credentials::operator::allows(&rights, "secrets.read", Some(&at.object()));
    assert!(allows(At::new("secret", "shop/registry").unwrap()));
    assert!(!allows(At::new("shop", "registry").unwrap()));
}

async fn version(pool: &PgPool, asked: Option<u32>) -> Result<u32, Code> {
    let pinned = "engine = \"kv\"\npath = \"shop/registry\"\nversion = 1";
    let house = House::build(pool, &[role("pinned", "", pinned), role("writer", "", ROLES[1].1)].concat()).await;
    let (secrets, id) = (Secrets::new(house.rooms.clone()).of_jobs(), house.id());
    let writer = holder(&house, "writer").await;
    for _ in 0..2 {
        secrets.write(&writer, &at("shop/registry"), stored(json!({})), id).await.unwrap();
    }
    let reader = holder(&house, "pinned").await;
    let read = secrets.read(&reader, &at("shop/registry"), asked, id).await;
    house.close().await;
    read.map(|answer| answer.version).map_err(code)
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_pinned_role_reads_its_version_where_none_is_named(pool: PgPool) {
    assert_eq!(version(&pool, None).await, Ok(1));
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_pinned_role_reads_no_other_version(pool: PgPool) {
    assert_eq!(version(&pool, Some(2)).await, Err(Code::RightMissing));
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_history_of_a_secret_is_for_who_lists_that_secret(pool: PgPool) {
    let (house, secrets) = house(&pool).await;
    let (writer, id) = (holder(&house, "writer").await, house.id());
    secrets.write(&writer, &at("shop/registry"), stored(json!({})), id).await.unwrap();
    assert_eq!(secrets.history(&writer, &at("shop/registry"), id).await.unwrap().current, 1);
    let above = secrets.history(&writer, &at("shop"), id).await.map(|_| ()).map_err(code);
    assert_eq!(above, Err(Code::RightMissing));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_a_job_may_not_do_with_secrets_is_remembered(pool: PgPool) {
    let (house, secrets) = house(&pool).await;
    let (reader, id) = (holder(&house, "reader").await, house.id());
    let refused = secrets.of_jobs().read(&reader, &at("bank/registry"), None, id).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::RightMissing));
    let records = house.audit("session.denied").await;
    assert_eq!(records[0].fields["decision_id"], id.to_string());
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_path_that_cannot_be_filled_shuts_nothing_else(pool: PgPool) {
    let two = "engine = \"kv\"\npath = \"shop/*\"\n[role.two.credential.own]\nengine = \"kv\"\npath = \"jobs/{lane}/x\"";
    let house = House::build(&pool, &role("two", "", two)).await;
    let reader = holder(&house, "two").await;
    assert_eq!(reader.reach.iter().map(|params| params.path.as_str()).collect::<Vec<_>>(), ["shop/*"]);
    house.close().await;
}

/// Secrets have no lease: whoever may read them has to be asked each time.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_stop_of_stored_secrets_holds_for_sessions_that_are_open(pool: PgPool) {
    let roles: String = ROLES.iter().map(|(name, credential)| role(name, "", credential)).collect();
    let house = House::build(&pool, &[roles, role("ops", "", super::inventory::RIGHTS)].concat()).await;
    let secrets = Secrets::new(house.rooms.clone());
    let (reader, writer, keeper) = (holder(&house, "reader").await, holder(&house, "writer").await, house.keeper("ops").await);
    secrets.write(&writer, &at("shop/registry"), stored(json!({"password": "x"})), house.id()).await.unwrap();
    let filter = StopFilter { engine: Some("kv".to_owned()), role: Some("reader".to_owned()), ..StopFilter::default() };
    let request = KillRequest { filter, reason: "a token leaked".to_owned() };
    house.inventory().kill(&keeper, &request, house.id()).await.unwrap();
    let refused = secrets.read(&reader, &at("shop/registry"), None, house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::ExchangeStopped));
    secrets.list(&writer, &at("shop"), house.id()).await.unwrap();
}
