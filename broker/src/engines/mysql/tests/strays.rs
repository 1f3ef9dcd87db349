//! Logins that no lease accounts for, as the target shows them, and logins that last longer.

use super::super::statement::literal;
use super::*;
use crate::engines::engine::Found;
use crate::engines::login::name as login_name;

impl Shop {
    async fn list(&self) -> Vec<Found> {
        self.engine.list(&self.bench, "shop").await.unwrap().unwrap()
    }

    async fn find(&self, name: &str) -> Option<Found> {
        self.list().await.into_iter().find(|found| found.name == name)
    }

    async fn accounts(&self, name: &str) -> i64 {
        let count = sqlx::query_scalar("select count(*) from mysql.user where user = ?").bind(name);
        count.fetch_one(&mut self.root().await).await.unwrap()
    }
}

#[tokio::test]
async fn lists_the_logins_of_its_installation_alone() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    let name = login.value("username").to_owned();
    let (by_hand, others, elsewhere) = (
        format!("dp_abcdef_{}", shop.database),
        format!("dp_abcdeg_{}", shop.database),
        format!("dp_abcdef_{}_x", shop.database),
    );
    let mut root = shop.root().await;
    run(&mut root, &format!("create user {by_hand}, {others}, {elsewhere}@localhost")).await;

    let found = shop.find(&name).await.unwrap();
    assert_eq!(found.lease.map(|id| login_name("abcdef", id).unwrap()), Some(name));
    // The longest that such a lease can become: a day.
    let ends = found.ends_at.unwrap() - shop.bench.system.now() - time::Duration::hours(24);
    assert!(found.open && ends.abs() < time::Duration::minutes(1), "{ends}");
    let stray = shop.find(&by_hand).await.unwrap();
    assert_eq!((stray.lease, stray.open, stray.ends_at), (None, true, None));
    assert!(shop.find(&elsewhere).await.is_none(), "Daypass makes none of that host");
    assert!(shop.list().await.iter().all(|found| found.name.starts_with("dp_abcdef_")));

    assert_eq!(shop.engine.revoke(&shop.bench, &stray.handle).await.unwrap(), Revoked::Gone);
    assert_eq!((shop.accounts(&by_hand).await, shop.accounts(&others).await), (0, 1));
    run(&mut root, &format!("drop user {others}, {elsewhere}@localhost")).await;
    shop.revoke(&login.plan).await.unwrap();
}

#[tokio::test]
async fn a_stray_is_shut_without_being_destroyed_and_then_dropped() {
    let Some(shop) = Shop::open().await else { return };
    let (login, other) = (shop.issue().await.unwrap(), shop.issue().await.unwrap());
    let mut session = shop.log_in(&login).await.unwrap();
    let mut others = shop.log_in(&other).await.unwrap();
    let found = shop.find(login.value("username")).await.unwrap();

    assert!(shop.engine.shut(&shop.bench, &found.handle).await.unwrap());
    assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "its open session is ended");
    assert!(shop.log_in(&login).await.is_err());
    sqlx::query("select 1").execute(&mut others).await.unwrap();
    let shut = shop.find(login.value("username")).await.unwrap();
    assert!(!shut.open);
    // An administrator who knows better opens it again: the password is still its own.
    let open = format!("alter user '{}'@'%' with max_queries_per_hour 0 account unlock", shut.name);
    run(&mut shop.root().await, &open).await;
    assert!(shop.log_in(&login).await.is_ok());
    assert!(shop.find(login.value("username")).await.unwrap().open);

    assert_eq!(shop.engine.revoke(&shop.bench, &shut.handle).await.unwrap(), Revoked::Gone);
    assert_eq!(shop.left(&login.plan).await, (0, 0));
    assert!(!shop.engine.shut(&shop.bench, &shut.handle).await.unwrap(), "it is gone already");
    shop.revoke(&other.plan).await.unwrap();
}

/// Shutting what only holds a name must not make a login of it that is taken back at once.
#[tokio::test]
async fn a_held_name_that_is_shut_stays_held() {
    let Some(shop) = Shop::open().await else { return };
    let plan = shop.engine.plan(&shop.bench, &shop.ask()).await.unwrap();
    assert!(matches!(shop.revoke(&plan).await.unwrap(), Revoked::Held(_)));
    let found = shop.find(plan.upstream.as_deref().unwrap()).await.unwrap();
    assert!(!found.open);
    assert!(shop.engine.shut(&shop.bench, &found.handle).await.unwrap());
    assert!(matches!(shop.revoke(&plan).await.unwrap(), Revoked::Held(_)));
}

#[tokio::test]
async fn a_login_is_renewed_while_it_stands_and_neither_comes_back_nor_opens_by_it() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    let until = shop.bench.system.now() + time::Duration::hours(2);
    let renew = async || shop.engine.renew(&shop.bench, &login.plan.handle, until).await;
    renew().await.unwrap();
    assert!(shop.log_in(&login).await.is_ok());

    let found = shop.find(login.value("username")).await.unwrap();
    shop.engine.shut(&shop.bench, &found.handle).await.unwrap();
    assert!(matches!(renew().await, Err(EngineError::TargetRefused(_))));
    assert!(shop.log_in(&login).await.is_err());
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    assert!(matches!(renew().await, Err(EngineError::TargetRefused(_))));
    assert_eq!(shop.left(&login.plan).await, (0, 0));
}

/// Whoever can make accounts can give them any name. None of it may become a part of our statements.
#[tokio::test]
async fn names_read_back_from_the_target_are_names_and_nothing_else() {
    let Some(shop) = Shop::open().await else { return };
    let bystander = format!("bystander_{}", shop.database);
    let mut root = shop.root().await;
    run(&mut root, &format!("create user '{bystander}'@'%'")).await;
    let tails = [
        format!("'@'%'; drop user '{bystander}'; -- "),
        format!("\\'; drop user '{bystander}'; -- "),
        format!("\\\\'@'%', '{bystander}"),
        "\n\r\t".to_owned(),
        "`\"'\\".to_owned(),
        "% _ @ ".to_owned(),
        "x'@'localhost".to_owned(),
        "{{name}} ünï ❤".chars().filter(|letter| u32::from(*letter) < 0xffff).collect(),
        "ends with \\".to_owned(),
        "/*!50000 */ #".to_owned(),
    ];
    for (number, tail) in tails.iter().enumerate() {
        // The server trims spaces at the end.
        let name = format!("dp_abcdef_{number}{tail}.");
        run(&mut root, &format!("create user {}@'%' identified by 'known'", literal(&name))).await;
        let session = connect(shop.port, &name, "known").await.unwrap();
        let found = shop.find(&name).await.unwrap_or_else(|| panic!("{name:?} is not listed"));
        assert!(shop.engine.shut(&shop.bench, &found.handle).await.unwrap(), "{name:?}");
        assert!(connect(shop.port, &name, "known").await.is_err(), "{name:?}");
        drop(session);
        assert_eq!(shop.engine.revoke(&shop.bench, &found.handle).await.unwrap(), Revoked::Gone, "{name:?}");
        assert_eq!((shop.accounts(&name).await, shop.accounts(&bystander).await), (0, 1), "{name:?}");
    }
    run(&mut root, &format!("drop user '{bystander}'@'%'")).await;
}
