use super::*;
use crate::store::bootstrap::Bootstrap;
use crate::store::denials::Denials;
use crate::store::policies::{Activated, Author, Heads};
use crate::store::proposals::Proposal;
use domain::wire::AuditQuery;

/// Where keys came from.
const HERE: [u8; 32] = [1; 32];

pub(super) fn connection() -> Connection {
    Connection {
        name: "shop".to_owned(),
        engine: "postgres".to_owned(),
        version: 0,
        url: "postgres://admin@db/shop".to_owned(),
        password: Some(Secret::from("hunter2")),
        settings: serde_json::Map::from_iter([("sslmode".to_owned(), "verify-full".into())]),
        allowed_roles: vec!["deploy".to_owned()],
        concurrency: 4,
        max_leases: 5_000,
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_operators_connection_wins_over_the_configuration(pool: PgPool) {
    let store = open(&pool).await;
    let now = store.system().now();
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.configure_connection(&connection(), now).await.unwrap(), Some(1));
    assert_eq!(tx.configure_connection(&connection(), now).await.unwrap(), None, "nothing has changed");
    let moved = Connection { url: "postgres://admin@db2/shop".to_owned(), ..connection() };
    assert_eq!(tx.configure_connection(&moved, now).await.unwrap(), Some(2));
    let rotated = Connection { password: Some(Secret::from("rotated")), ..moved.clone() };
    assert_eq!(tx.put_connection(&rotated, 1, now).await.unwrap(), None, "another version stands there");
    assert_eq!(tx.put_connection(&rotated, 2, now).await.unwrap(), Some(3));
    assert_eq!(tx.configure_connection(&connection(), now).await.unwrap(), None);
    tx.commit().await.unwrap();
    store.load_connections().await.unwrap();
    let held = store.connections().get("shop").unwrap();
    assert_eq!(
        (held.version, held.password.clone(), held.url.as_str()),
        (3, Some(Secret::from("rotated")), "postgres://admin@db2/shop")
    );
    assert_eq!((held.concurrency, held.settings["sslmode"].as_str()), (4, Some("verify-full")));
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed from daypass.connections").fetch_one(&pool).await.unwrap();
    assert!(!sealed.windows(7).any(|part| part == b"rotated" || part == b"hunter2"));
    store.close().await;
}

pub(super) async fn policy_bootstrap_keys_and_denials(store: &Store) {
    let now = store.system().now();
    let mut tx = store.begin().await.unwrap();
    let files = vec![("roles/a.toml".to_owned(), "x = 1".to_owned())];
    for _ in 0..2 {
        let source = "folder".to_owned();
        let (author, approver) = (Some(Author { name: "ci".to_owned(), session: id(store) }), None);
        let (id, pushed) = (id(store), true);
        let (before, at) = tx.pushed_policy(now).await.unwrap();
        assert!(before.is_none_or(|before| before == [4; 32] && at > now), "the clock stands still, the order does not");
        tx.store_policy(&[4; 32], &files, now).await.unwrap();
        tx.activate_policy(&Activated { id, hash: [4; 32], source, at, pushed, author, approver }).await.unwrap();
    }
    let author = Author { name: "ci".to_owned(), session: id(store) };
    tx.policy_turn().await.unwrap();
    tx.shadow_policy(id(store), Some(&[4; 32]), &author, now).await.unwrap();
    let (hash, base, person, reason) = ([4; 32], [3; 32], [9; 32], "a test".to_owned());
    let proposal = Proposal { id: id(store), hash, base, author, person, reason, at: now };
    tx.propose_policy(&proposal).await.unwrap();
    let proposal = Proposal { id: id(store), ..proposal };
    tx.propose_policy(&proposal).await.unwrap();
    let bootstrap =
        Bootstrap { token_hash: [5; 32], role: "admin".to_owned(), created_at: now, expires_at: now + Duration::minutes(10) };
    tx.make_bootstrap(&bootstrap).await.unwrap();
    assert_eq!(tx.spend_bootstrap(&[5; 32], now + Duration::minutes(10)).await.unwrap(), None, "expired");
    assert_eq!(tx.spend_bootstrap(&[5; 32], now).await.unwrap().as_deref(), Some("admin"));
    assert_eq!(tx.spend_bootstrap(&[5; 32], now).await.unwrap(), None, "spent");
    assert_eq!(tx.spend_bootstrap(&[6; 32], now).await.unwrap(), None, "unknown");
    tx.commit().await.unwrap();
    assert_eq!(store.policy_history(None, 9).await.unwrap().len(), 2);
    assert_eq!(store.policy_history(Some(&[5; 32]), 9).await.unwrap(), []);
    assert_eq!(store.policy_heads().await.unwrap(), Heads { active: Some([4; 32]), shadow: Some([4; 32]) });
    assert_eq!(store.policies_like("0404040404").await.unwrap().len(), 1);
    assert_eq!(store.policies_like("0405").await.unwrap().len(), 0);
    let waiting = store.proposals().await.unwrap();
    assert_eq!(waiting.iter().map(|waiting| waiting.id).collect::<Vec<_>>(), [proposal.id], "one of each set");
    let mut tx = store.begin().await.unwrap();
    assert!(tx.approve_policy(proposal.id, now).await.unwrap());
    assert!(!tx.approve_policy(proposal.id, now).await.unwrap(), "once");
    let by = Author { name: "github again".to_owned(), session: id(store) };
    assert!(!tx.withdraw_policy(proposal.id, &by, now).await.unwrap(), "what is approved is not taken back");
    tx.commit().await.unwrap();
    assert!(!store.is_withdrawn(&[4; 32]).await.unwrap() && !store.is_withdrawn(&[9; 32]).await.unwrap());
    let mut tx = store.begin().await.unwrap();
    let proposal = Proposal { id: id(store), ..proposal };
    tx.propose_policy(&proposal).await.unwrap();
    assert!(tx.withdraw_policy(proposal.id, &by, now).await.unwrap());
    assert!(!tx.approve_policy(proposal.id, now).await.unwrap(), "what is taken back is not approved");
    tx.commit().await.unwrap();
    assert!(store.is_withdrawn(&[4; 32]).await.unwrap());
    let withdrawn = store.withdrawn_policies(Some(&[4; 32]), 9).await.unwrap();
    assert_eq!((withdrawn.len(), &withdrawn[0].by, &withdrawn[0].author), (1, &by, &proposal.author));
    assert_eq!(store.withdrawn_policies(Some(&[5; 32]), 9).await.unwrap(), []);
    assert_eq!(store.policy_files(&[4; 32]).await.unwrap(), Some(files));
    assert_eq!(store.policy_files(&[7; 32]).await.unwrap(), None);

    store.save_issuer_keys("github", &HERE, b"new", now).await.unwrap();
    store.save_issuer_keys("github", &HERE, b"old", now - Duration::minutes(1)).await.unwrap();
    let (body, at) = store.issuer_keys("github", &HERE).await.unwrap().unwrap();
    assert!(body == b"new" && close_to(at, now));
    assert!(store.issuer_keys("gitlab", &HERE).await.unwrap().is_none());
    assert!(store.issuer_keys("github", &[2; 32]).await.unwrap().is_none(), "keys of another place");
    store.save_issuer_keys("github", &[2; 32], b"moved", now - Duration::minutes(1)).await.unwrap();
    assert_eq!(store.issuer_keys("github", &[2; 32]).await.unwrap().unwrap().0, b"moved");

    let minute = now.replace_second(0).unwrap().replace_nanosecond(0).unwrap();
    let denials =
        |count| Denials { minute, issuer: "github".to_owned(), project: String::new(), code: "token_expired".to_owned(), count };
    store.add_denials(vec![denials(2), denials(3)]).await.unwrap();
    store.add_denials(vec![denials(4)]).await.unwrap();
    assert_eq!(store.denials(minute).await.unwrap(), [denials(9)]);
    assert_eq!(store.forget_denials(minute, 10).await.unwrap(), 0);
    assert_eq!(store.forget_denials(minute + Duration::minutes(1), 10).await.unwrap(), 1);
    assert_eq!(store.denials(minute).await.unwrap(), []);
    let offset = store.database_time().await.unwrap().database - now;
    assert!(offset.abs() < Duration::seconds(10), "{offset}");
}

async fn configure(store: &Store, connection: &Connection) {
    let mut tx = store.begin().await.unwrap();
    tx.configure_connection(connection, store.system().now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_replica_follows_connections_that_another_one_changed(pool: PgPool) {
    let (here, there) = (open(&pool).await, open(&pool).await);
    configure(&here, &connection()).await;
    assert!(there.reload_connections().await.unwrap());
    assert!(!there.reload_connections().await.unwrap(), "nothing has changed since");
    configure(&here, &Connection { url: "postgres://admin@db2/shop".to_owned(), ..connection() }).await;
    assert!(there.reload_connections().await.unwrap());
    assert_eq!(there.connections().get("shop").unwrap().url, "postgres://admin@db2/shop");
    here.close().await;
    there.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_connection_that_the_configuration_no_longer_has_serves_taking_back_alone(pool: PgPool) {
    let store = open(&pool).await;
    configure(&store, &connection()).await;
    let put = Connection { name: "theirs".to_owned(), ..connection() };
    let mut tx = store.begin().await.unwrap();
    tx.put_connection(&put, 0, store.system().now()).await.unwrap();
    tx.commit().await.unwrap();
    store.connections().configured(["shop".to_owned()]);
    store.load_connections().await.unwrap();
    assert_eq!(store.connections().get("shop").unwrap().allowed_roles, ["deploy"]);
    store.connections().configured([]);
    store.load_connections().await.unwrap();
    assert_eq!(store.connections().get("shop").unwrap().allowed_roles, Vec::<String>::new());
    assert_eq!(store.connections().get("theirs").unwrap().allowed_roles, ["deploy"], "an operator's stays");
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn policies_bootstrap_tokens_keys_and_counts_are_kept(pool: PgPool) {
    let store = open(&pool).await;
    policy_bootstrap_keys_and_denials(&store).await;
    assert_eq!((count(&pool, "policy_sets").await, count(&pool, "policy_activations").await), (1, 2));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn issuer_keys_that_somebody_planted_are_not_used(pool: PgPool) {
    let store = open(&pool).await;
    let now = store.system().now();
    for issuer in ["a", "b", "c"] {
        store.save_issuer_keys(issuer, &HERE, issuer.as_bytes(), now).await.unwrap();
    }
    sqlx::raw_sql(
        "update daypass.issuer_keys set body = 'planted' where issuer = 'a';
         update daypass.issuer_keys set fetched_at = fetched_at + interval '1 hour' where issuer = 'b';
         update daypass.issuer_keys set (body, mac, fetched_at) = (select body, mac, fetched_at from daypass.issuer_keys where issuer = 'b') where issuer = 'c'",
    )
    .execute(&pool)
    .await
    .unwrap();
    for issuer in ["a", "b", "c"] {
        assert!(store.issuer_keys(issuer, &HERE).await.unwrap().is_none(), "{issuer}");
    }
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_log_is_listed_by_every_condition_page_by_page(pool: PgPool) {
    let store = open(&pool).await;
    let mut tx = store.begin().await.unwrap();
    let mut records = Vec::new();
    for number in 0..7 {
        let mut record = audit(&store, if number % 2 == 0 { Kind::ExchangeDenied } else { Kind::ExchangeGranted });
        record.issuer = Some("github".to_owned());
        record.project = Some("42".to_owned());
        record.project_name = Some("acme/shop".to_owned());
        record.role = (number == 1).then(|| "deploy".to_owned());
        record.code = (number == 2).then(|| "fork_not_allowed".to_owned());
        record.lease_id = (number == 3).then(|| id(&store));
        records.push(record.field("number", number));
        // Ids order by time only from one millisecond to the next.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    tx.remember(&records).await.unwrap();
    tx.commit().await.unwrap();
    let numbers = async |query: AuditQuery| -> Vec<i64> {
        let listed = store.audit(&query).await.unwrap();
        listed.iter().map(|stored| stored.record.fields["number"].as_int().unwrap()).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(numbers(AuditQuery::default()).await, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(numbers(AuditQuery { kind: text("exchange.granted"), ..Default::default() }).await, [5, 3, 1]);
    assert_eq!(numbers(AuditQuery { project: text("acme/shop"), ..Default::default() }).await.len(), 7);
    assert_eq!(numbers(AuditQuery { project: text("42"), issuer: text("gitlab"), ..Default::default() }).await.len(), 0);
    assert_eq!(numbers(AuditQuery { role: text("deploy"), ..Default::default() }).await, [1]);
    assert_eq!(numbers(AuditQuery { code: text("fork_not_allowed"), ..Default::default() }).await, [2]);
    let about = |id: Uuid| AuditQuery { about: Some(id.to_string()), ..Default::default() };
    assert_eq!(numbers(about(records[3].lease_id.unwrap())).await, [3]);
    assert_eq!(numbers(about(records[4].decision_id)).await, [4]);
    assert_eq!(numbers(AuditQuery { about: text("no id"), ..Default::default() }).await.len(), 0);
    assert_eq!(numbers(AuditQuery { limit: Some(2), ..Default::default() }).await, [6, 5]);
    let before = Some(records[5].id.to_string());
    assert_eq!(numbers(AuditQuery { limit: Some(2), before, ..Default::default() }).await, [4, 3]);

    // What an eraser leaves: the record stands, the name is gone.
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    sqlx::query("delete from daypass.audit_personal").execute(&pool).await.unwrap();
    let asked = store.audit(&AuditQuery { kind: text("exchange.asked"), ..Default::default() }).await.unwrap();
    assert_eq!(asked[0].entry().fields["claim.actor"], "(erased)");
    // Nothing is decided on what is left of its claims, but what it holds can be given back.
    let session = store.session(asked[0].record.session_id.unwrap()).await.unwrap().unwrap();
    assert!(session.erased && session.is_open(store.system().now()));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_person_who_was_put_in_anothers_place_is_not_believed(pool: PgPool) {
    let store = open(&pool).await;
    let record = first(&store, [1; 32]);
    let session = record.session.as_ref().unwrap().id;
    let _ = store.write(record).await.unwrap();
    assert!(store.session(session).await.unwrap().is_some_and(|session| !session.erased));
    for forged in ["named = json_build_object('claim.actor', 'mallory')", "salts = salts || salts", "named = '{}', salts = ''"] {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("create table kept as select * from daypass.audit_personal").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("update daypass.audit_personal set {forged}"))).execute(&pool).await.unwrap();
        let read = store.session(session).await;
        if forged.starts_with("named = '{}'") {
            assert!(read.unwrap().unwrap().erased, "an empty row is an erased one");
        } else {
            assert!(matches!(read, Err(StoreError::Corrupt("audit_personal"))), "{forged}");
        }
        sqlx::raw_sql(
            "delete from daypass.audit_personal; insert into daypass.audit_personal select * from kept; drop table kept",
        )
        .execute(&pool)
        .await
        .unwrap();
    }
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_is_dropped_before_its_commit_did_not_happen(pool: PgPool) {
    let store = open(&pool).await;
    let mut tx = store.begin().await.unwrap();
    tx.remember(&[audit(&store, Kind::BrokerStarted)]).await.unwrap();
    drop(tx);
    assert!(store.audit(&AuditQuery::default()).await.unwrap().is_empty());
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_record_of_which_a_column_was_altered_is_not_believed(pool: PgPool) {
    let store = open(&pool).await;
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    for (change, back) in
        [("kind = 'exchange.granted'", "kind = 'exchange.asked'"), ("role = 'x'", "role = null"), ("code = 'x'", "code = null")]
    {
        let set = |what: &str| sqlx::AssertSqlSafe(format!("update daypass.audit_records set {what}"));
        sqlx::raw_sql(set(change)).execute(&pool).await.unwrap();
        let read = store.audit(&AuditQuery::default()).await;
        assert!(matches!(read, Err(StoreError::Corrupt("audit_records"))), "{change}");
        sqlx::raw_sql(set(back)).execute(&pool).await.unwrap();
        assert_eq!(store.audit(&AuditQuery::default()).await.unwrap().len(), 1, "{back}");
    }
    store.close().await;
}
