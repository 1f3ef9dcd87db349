//! An oracle that finds nothing may be blind: here is something to find.

use sqlx::{AssertSqlSafe, PgConnection};

use super::jobs::Got;
use super::oracle::{self, Found};
use super::targets::Targets;
use crate::cluster::Databases;

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oracle_sees_a_login_without_lease_a_session_that_outlives_its_login_and_what_is_not_on_record() {
    let databases = Databases::make().await.unwrap();
    let mut targets = Targets::make(&std::env::var("DATABASE_URL").unwrap(), None).await.unwrap();
    // Other tests have logins on this server too.
    let (login, dropped) = (format!("dp_oracle_{}", databases.broker()), format!("dp_dropped_{}", databases.broker()));
    targets.logins = "dp\\_oracle\\_%";
    let target = targets.all[0].clone();
    let mut admin = targets.look().await.unwrap();

    let mut found = Found::default();
    oracle::look(&mut found, &databases, &targets).await.unwrap();
    assert!(found.leaked.is_empty() && found.sessions.is_empty(), "{found:?}");

    run(&mut admin, &format!("create role {login} login")).await;
    run(&mut admin, &format!("create role {dropped} login superuser password 'p'")).await;
    let session = targets.login(&target, &dropped, "p").await.unwrap();
    run(&mut admin, &format!("drop role {dropped}")).await;
    oracle::look(&mut found, &databases, &targets).await.unwrap();
    assert!(found.leaked.contains(&login), "{found:?}");
    assert!(found.sessions.is_empty(), "one look is not enough");
    oracle::look(&mut found, &databases, &targets).await.unwrap();
    assert_eq!(found.sessions.len(), 1, "{found:?}");
    drop(session);

    let got = |token, keyed, lease: &str| Got { token, keyed, lease: lease.to_owned(), login: login.clone() };
    let all = [got(1, false, "a"), got(1, false, "b"), got(2, true, "c"), got(2, true, "d")];
    oracle::audit(&mut found, &all, &databases, &targets).await.unwrap();
    assert_eq!(found.unrecorded.len(), 4, "{found:?}");
    assert_eq!(found.doubles.into_iter().collect::<Vec<_>>(), [1], "with a key the second may come after the first is gone");

    run(&mut admin, &format!("drop role {login}")).await;
    targets.clear().await.unwrap();
}
