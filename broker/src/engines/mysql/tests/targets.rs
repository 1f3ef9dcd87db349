//! Targets and connections of every kind.

use super::super::admin;
use super::super::settings::Settings;
use super::*;

#[tokio::test]
async fn errors_hold_no_admin_password_and_say_whose_fault_it_is() {
    let Some(shop) = Shop::open().await else { return };
    let settings = json!({"statements": {"rw": {"create": ["grant nobody_knows to {{name}}"]}}});
    shop.connect_as(&shop.url(""), &settings);
    let refused = shop.issue().await.err().unwrap();
    assert!(matches!(&refused, EngineError::TargetRefused(text) if text.contains("nobody_knows")), "{refused}");

    shop.connect_as(&shop.url("").replace(&shop.admin, "no_such_admin"), &settings);
    let no_login = shop.issue().await.err().unwrap();
    assert!(matches!(&no_login, EngineError::TargetRefused(text) if text.contains("1045")), "{no_login}");

    shop.connect_as("mysql://admin@127.0.0.1:1/shop", &settings);
    let down = shop.issue().await.err().unwrap();
    assert!(matches!(&down, EngineError::TargetUnavailable(_)), "{down}");
    for error in [refused, no_login, down] {
        assert!(!format!("{error} {error:?}").contains(ADMIN_PASSWORD), "{error:?}");
    }
    assert!(!format!("{:?}", shop.engine).contains(ADMIN_PASSWORD));
}

#[tokio::test]
async fn an_administrator_without_its_rights_is_told_which() {
    let Some(shop) = Shop::open().await else { return };
    run(&mut shop.root().await, &format!("revoke create user on *.* from {}@'%'", shop.admin)).await;
    let refused = shop.issue().await.err().unwrap();
    assert!(matches!(&refused, EngineError::TargetRefused(text) if text.contains("CREATE USER")), "{refused}");
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    let Some(shop) = Shop::open().await else { return };
    let Ok(certificate) = std::env::var("DAYPASS_TEST_MARIADB_CA") else {
        println!("skipped: DAYPASS_TEST_MARIADB_CA names no certificate");
        return;
    };
    let grant = format!("grant select on {}.* to {{{{name}}}}", shop.database);
    let settings = json!({"statements": {"rw": {"create": [grant]}}, "require_ssl": true});
    shop.connect_as(&shop.url("?ssl-mode=VERIFY_IDENTITY"), &settings);
    let unknown = shop.issue().await.err().unwrap();
    assert!(matches!(&unknown, EngineError::TargetUnavailable(text) if text.contains("certificate")), "{unknown}");

    let mut settings = settings;
    settings["ca_file"] = json!(certificate);
    shop.connect_as(&shop.url(""), &settings);
    let login = shop.issue().await.unwrap();
    assert_eq!(login.value("ssl_mode"), "VERIFY_IDENTITY");
    assert!(shop.log_in(&login).await.is_err(), "the login must be refused without TLS");
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
}

#[tokio::test]
async fn refuses_roles_and_statements_that_the_connection_does_not_list() {
    let Some(shop) = Shop::open().await else { return };
    let mut ask = shop.ask();
    ask.role = "other-deploy";
    let other = shop.engine.plan(&shop.bench, &ask).await.unwrap_err();
    assert!(matches!(&other, EngineError::Misconfigured(text) if text.contains("allowed_roles")), "{other}");

    let mut ask = shop.ask();
    ask.params.statements = "admin".to_owned();
    let unknown = shop.engine.plan(&shop.bench, &ask).await.unwrap_err();
    assert!(matches!(&unknown, EngineError::Misconfigured(text) if text.contains("it has: rw")), "{unknown}");
}

fn address(url: &str) -> Result<admin::Address, EngineError> {
    let connection = Connection {
        name: "shop".to_owned(),
        engine: "mysql".to_owned(),
        version: 1,
        url: url.to_owned(),
        password: None,
        settings: serde_json::Map::new(),
        allowed_roles: Vec::new(),
        concurrency: 0,
        max_leases: 1_000,
    };
    admin::address(&connection, &Settings::of(&connection).unwrap())
}

#[test]
fn a_target_elsewhere_is_verified() {
    for (at, expected) in [
        ("db.example.com", "VERIFY_IDENTITY"),
        ("10.0.0.5", "VERIFY_IDENTITY"),
        ("127.0.0.1.example.com", "VERIFY_IDENTITY"),
        ("localhost", "PREFERRED"),
        ("127.0.0.1:3307", "PREFERRED"),
        ("[::1]", "PREFERRED"),
        ("127.0.0.1/shop?ssl-mode=required", "REQUIRED"),
    ] {
        assert_eq!(address(&format!("mysql://admin@{at}")).unwrap().ssl_mode(), expected, "{at}");
    }
    for mode in ["disabled", "preferred", "required", "verify_ca"] {
        let weak = address(&format!("mysql://admin@db/shop?ssl-mode={mode}")).unwrap_err().to_string();
        assert!(weak.contains("VERIFY_IDENTITY"), "{weak}");
    }
}

#[test]
fn an_address_is_whole_and_errors_repeat_nothing_of_it() {
    for url in [
        "mysql://admin:hunter2@db/shop",
        "mysql://db/hunter2",
        "postgres://admin@hunter2",
        "hunter2",
        "mysql://admin@db/shop?socket=/hunter2",
        "mysql://admin@db/hunter2%00",
    ] {
        assert!(!address(url).unwrap_err().to_string().contains("hunter2"), "{url}");
    }
    let odd = address("mysql://ad%40min@db/odd%20%2F%22name").unwrap();
    let url = odd.url("user", &Secret::from("p@/")).unwrap();
    assert_eq!(url.expose(), "mysql://user:p%40%2F@db:3306/odd%20%2F%22name?ssl-mode=VERIFY_IDENTITY");
}
