use super::*;

fn write(house: &House, roles: &str) {
    std::fs::write(house.folder.path().join("policy.toml"), policy_text("ci", URL, roles)).unwrap();
}

/// A folder is read when it has changed and then lain still.
#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_changed_folder_is_taken_over_and_a_broken_one_is_not(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let keeper = house.keeper_of(true);
    let look = async |times: usize| {
        for _ in 0..times {
            keeper.look().await.unwrap();
        }
        house.rooms.policies.active().hash()
    };
    write(&house, &database("shop", ""));
    let first = look(3).await;
    assert_eq!(house.audit("policy.activated").await.len(), 1, "the same set again is no change");
    write(&house, &[database("shop", ""), database("other", "")].concat());
    assert_eq!(look(1).await, first, "whoever writes may not be done");
    let second = look(1).await;
    assert_ne!(second, first);
    house.exchange(house.ask(&house.token("other"))).await.unwrap();

    write(&house, "[role.broken]\n");
    assert_eq!(look(3).await, second, "what is not sound never replaces what is");
    house.exchange(house.ask(&house.token("other"))).await.unwrap();
    write(&house, &database("shop", ""));
    assert_eq!(look(2).await, first);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_set_that_cannot_be_used_is_told_of_until_it_is_mended(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let readiness = crate::service::readiness::Readiness::default();
    let base = house.folder.path().to_owned();
    let place = crate::service::policies::Place { folder: Some(base.clone()), base };
    let keeper = crate::service::policies::Keeper::new(house.rooms.clone(), house.keys.clone(), readiness.clone(), place);
    let look = async || {
        keeper.look().await.unwrap();
        keeper.look().await.unwrap();
        readiness.has_refused_policy()
    };
    write(&house, "[role.broken]\n");
    assert!(look().await);
    write(&house, &database("shop", ""));
    assert!(!look().await);
    std::fs::remove_file(house.folder.path().join("policy.toml")).unwrap();
    assert!(look().await, "an emptied folder shuts nobody out");
    write(&house, &database("shop", ""));
    assert!(!look().await);
    std::fs::rename(house.folder.path(), house.folder.path().with_extension("away")).unwrap();
    assert!(look().await);
    std::fs::rename(house.folder.path().with_extension("away"), house.folder.path()).unwrap();
    write(&house, &database("shop", ""));
    assert!(!look().await);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_changed_folder_outlasts_an_error_of_the_database(pool: PgPool) {
    let house = House::build(&pool, &database("shop", "")).await;
    let keeper = house.keeper_of(true);
    let rename = async |from: &str, to: &str| {
        let sql = format!("alter table daypass.{from} rename to {to}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    };
    write(&house, &[database("shop", ""), database("other", "")].concat());
    keeper.look().await.unwrap();
    rename("policy_sets", "away").await;
    keeper.look().await.unwrap_err();
    rename("away", "policy_sets").await;
    keeper.look().await.unwrap();
    house.exchange(house.ask(&house.token("other"))).await.unwrap();
    house.close().await;
}
