//! Names that are made to break out of a statement. Whoever can make roles or databases on a target chooses them, and Daypass reads them
//! back.

use super::server::servers;
use super::*;

const PARTS: [&str; 12] =
    ["\"", "\"\"", "'", "\\", "\n", "\t", "; drop role bystander; --", "/*", "$daypass$", "{{name}}", "\u{e9}\u{1f4a5}", "%s "];

/// A name of at most 63 bytes, which is all that the server keeps, and never less than it fits.
fn hostile(number: usize) -> String {
    let part = |at: usize| PARTS.get(at % PARTS.len()).copied().unwrap();
    let mut name = format!("dp_abcdef_{number}_");
    for at in 0.. {
        let next = part(number / PARTS.len().pow(at % 3) + usize::try_from(at).unwrap() * number);
        if name.len() + next.len() > 63 {
            break;
        }
        name += next;
    }
    while name.len() < 63 {
        name.push('"');
    }
    name
}

#[tokio::test]
async fn names_read_back_from_the_target_are_names_and_nothing_else() {
    const NAMES: usize = 24;
    for server in servers() {
        let shop = Shop::open(server).await;
        let bystander = format!("{}_bystander", shop.database);
        let mut root = server.root("postgres").await;
        run(&mut root, &format!("create role {bystander}; create role bystander")).await;
        let mut admin = server.connect(ADMIN, ADMIN_PASSWORD, &shop.database).await.unwrap();
        // A database with such a name holds something of each.
        let database = format!("{}\"'\\\n; drop role bystander; --", shop.database);
        run(&mut root, &format!("create database \"{}\"", database.replace('"', "\"\""))).await;
        run(
            &mut server.root(&database).await,
            "do 'begin execute format(''grant create on database %I to public'', current_database()); end'",
        )
        .await;
        let names: Vec<String> = (0..NAMES).map(hostile).collect();
        for name in &names {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            run(&mut admin, &format!("create role {quoted} login password 'known'")).await;
        }
        let found = shop.engine.list(&shop.bench, "shop").await.unwrap().unwrap();
        for name in &names {
            let found = found.iter().find(|found| found.name == *name).unwrap_or_else(|| panic!("{name:?} is not listed"));
            // Our driver's own client cannot log in by every such name.
            let mut session = if let Ok(session) = server.connect(name, "known", &database).await {
                session
            } else {
                let mut root = server.root(&database).await;
                run(&mut root, &format!("set session authorization \"{}\"", name.replace('"', "\"\""))).await;
                root
            };
            run(
                &mut session,
                "create schema authorization current_user; alter default privileges grant select on tables to public",
            )
            .await;
            assert!(shop.engine.shut(&shop.bench, &found.handle).await.unwrap(), "{name:?}");
            assert!(server.connect(name, "known", &database).await.is_err(), "{name:?}");
            drop(session);
            let ended = shop.engine.revoke(&shop.bench, &found.handle).await.unwrap();
            assert_eq!(ended, Revoked::Gone, "{name:?} on PostgreSQL {}", server.version);
        }
        let left: (i64, i64) = sqlx::query_as(
            "select (select count(*) from pg_roles where rolname = any ($1)),
                    (select count(*) from pg_roles where rolname in ($2, 'bystander'))",
        )
        .bind(&names)
        .bind(&bystander)
        .fetch_one(&mut root)
        .await
        .unwrap();
        assert_eq!(left, (0, 2), "PostgreSQL {}", server.version);
    }
}
