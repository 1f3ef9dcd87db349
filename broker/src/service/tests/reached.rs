//! Stored secrets that a job's role reaches with its kv credentials: what `access` says, and nothing beside it.

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
