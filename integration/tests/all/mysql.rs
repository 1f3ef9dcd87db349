//! The second kind of database, from a token to the end of its login, on a real MariaDB.

use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use integration::mariadb::Mariadb;
use integration::replica::{PATIENCE, Replica};
use serde_json::{Value, json};
use sqlx::Connection as _;

/// An installation whose role `orders` leads to a MariaDB.
struct Orders {
    ground: Ground,
    replica: Replica,
    mariadb: Mariadb,
}

impl Orders {
    async fn open() -> Option<Self> {
        let Some(mariadb) = Mariadb::of_tests().await.unwrap() else {
            eprintln!("skipped: DAYPASS_TEST_MARIADB names no server");
            return None;
        };
        let ground = Ground::new().await.unwrap();
        ground.secret("orders.password", &mariadb.password).unwrap();
        ground
            .add_policy(
                "orders.toml",
                "[role.orders]\nttl = \"10m\"\n[[role.orders.allow]]\nissuer = \"github\"\nrepository_owner_id = \"9919\"\n\
                 repository_id = \"637712\"\nref = \"refs/heads/main\"\nevent_name = \"push\"\nenvironment = \"production\"\n\
                 [role.orders.credential.database]\nengine = \"mysql\"\nconnection = \"orders\"\nstatements = \"all\"\n",
            )
            .unwrap();
        let connection = mariadb.configuration("orders", "secrets/orders.password", "orders");
        let more = format!("{connection}\n[reconcile]\ngrace = \"0s\"\n");
        let replica = ground.start_with_keys(&Settings { more, ..Settings::default() }).await.unwrap();
        Some(Self { ground, replica, mariadb })
    }

    async fn exchange(&self, ttl: &str) -> Granted {
        let mut claims = deploy_claims();
        claims["event_name"] = json!("push");
        let token = Ci::shared().unwrap().github(&claims).unwrap();
        let answer = self.replica.native.exchange(&token, json!({"role": "orders", "ttl": ttl})).await.unwrap();
        let granted = answer.granted().unwrap();
        let credential = &granted.credentials["database"];
        let value = |name: &str| credential.values[name].clone();
        Granted {
            user: value("username"),
            password: value("password"),
            lease: credential.lease_id.clone().unwrap(),
            session: granted.session.token.clone().unwrap(),
        }
    }

    async fn accounts(&self, prefix: &str) -> Vec<String> {
        sqlx::query_scalar("select user from mysql.user where left(user, char_length(?)) = ? order by user")
            .bind(prefix)
            .bind(prefix)
            .fetch_all(&mut self.mariadb.look().await.unwrap())
            .await
            .unwrap()
    }

    async fn reconcile(&self) -> Value {
        let session = self.ground.operator(&self.replica).await.unwrap();
        let answer = self.replica.operator.post("/api/v1/reconcile", &session, &json!({"connection": "orders"})).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn close(self, prefix: &str) {
        drop(self.replica);
        self.mariadb.clear(prefix).await.unwrap();
    }
}

struct Granted {
    user: String,
    password: String,
    lease: String,
    session: String,
}

impl Granted {
    /// What the names of this installation begin with.
    fn prefix(&self) -> &str {
        &self.user[..10]
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < limit, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_login_works_is_renewed_and_ends_when_it_is_released_or_over() {
    let Some(orders) = Orders::open().await else { return };
    let released = orders.exchange("1m").await;
    let mut session = orders.mariadb.login(&released.user, &released.password).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&mut session).await.unwrap();
    assert_eq!(rows, 1);
    let path = format!("/api/v1/leases/{}", released.lease);
    let renewed = orders.replica.native.post(&format!("{path}/renew"), &released.session, &json!({"ttl": "5m"})).await.unwrap();
    assert_eq!(renewed.status, 200, "{renewed:?}");
    session.ping().await.unwrap();
    let answer = orders.replica.native.delete(&path, &released.session).await.unwrap();
    assert_eq!((answer.status, answer.json()["leases"][0]["state"].as_str()), (200, Some("revoked")), "{answer:?}");
    assert!(session.ping().await.is_err(), "its open session is ended");
    assert!(orders.mariadb.login(&released.user, &released.password).await.is_err());
    let too_late = orders.replica.native.post(&format!("{path}/renew"), &released.session, &json!({})).await.unwrap();
    assert_eq!((too_late.status, too_late.code().as_str()), (409, "lease_not_renewable"), "{too_late:?}");

    let short = orders.exchange("2s").await;
    let mut session = orders.mariadb.login(&short.user, &short.password).await.unwrap();
    until("it is over", async || orders.accounts(short.prefix()).await.is_empty()).await;
    assert!(session.ping().await.is_err());
    until("both are settled", async || orders.ground.databases.count("leases where state = 'revoked'").await.unwrap() == 2).await;
    let mut kinds = orders.ground.databases.kinds().await.unwrap();
    kinds.retain(|kind| (kind.starts_with("exchange") && kind != "exchange.denied") || kind.starts_with("lease"));
    let told = ["exchange.asked", "exchange.granted", "lease.renewed", "lease.released", "lease.revoked"];
    assert_eq!(kinds, [&told[..], &["exchange.asked", "exchange.granted", "lease.revoked"]].concat());
    orders.close(released.prefix()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_account_without_a_lease_is_shut_and_dropped_and_a_lease_without_an_account_is_settled() {
    let Some(orders) = Orders::open().await else { return };
    let (lost, kept) = (orders.exchange("10m").await, orders.exchange("10m").await);
    let stray = format!("{}by_hand", lost.prefix());
    orders.mariadb.run(&format!("drop user '{}'@'%'; create user '{stray}'@'%' identified by 'known'", lost.user)).await.unwrap();
    let mut records = orders.ground.databases.records().await.unwrap();
    sqlx::query("update daypass.leases set issued_at = issued_at - interval '1 minute'").execute(&mut records).await.unwrap();
    let mut session = orders.mariadb.login(&kept.user, &kept.password).await.unwrap();

    let told = orders.reconcile().await;
    let target = &told["targets"][0];
    assert_eq!((target["logins"].as_u64(), target["lost"][0]["name"].as_str()), (Some(2), Some(lost.user.as_str())), "{told}");
    assert!(orders.mariadb.login(&stray, "known").await.is_err(), "it is shut before it is dropped");
    // The worker's own comparison may have come first.
    if target["strays"][0]["step"] != "dropped" {
        assert_eq!(target["strays"][0]["step"], "quarantined", "{told}");
        assert_eq!(orders.accounts(&stray).await, [stray.as_str()]);
        let told = orders.reconcile().await;
        assert_eq!(told["targets"][0]["strays"][0]["step"], "dropped", "{told}");
    }
    assert!(orders.accounts(&stray).await.is_empty());
    until("the lost lease is settled", async || {
        orders.ground.databases.count("leases where state = 'revoked' and reason is null").await.unwrap() == 1
    })
    .await;
    assert_eq!(orders.accounts(lost.prefix()).await, [kept.user.as_str()], "the one with a lease, and it alone");
    session.ping().await.unwrap();
    orders.close(kept.prefix()).await;
}
