use crate::store::servers::Servers;

use super::*;

async fn open_at(targets: Vec<sqlx::postgres::PgConnectOptions>) -> Result<Store, StoreError> {
    let options = Options { max_connections: 2, ..Options::default() };
    Store::open(&options, targets, root("0a1b"), System::real().0).await
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn of_several_servers_the_one_that_takes_writes_is_used(pool: PgPool) {
    let here = (*pool.connect_options()).clone();
    let nobody = here.clone().host("127.0.0.1").port(9);
    let only_reads = here.clone().options([("default_transaction_read_only", "on")]);
    let store = open_at(vec![nobody.clone(), only_reads.clone(), here.clone()]).await.unwrap();
    let lease = super::leases::active(&store, 1).await;
    assert_eq!(store.lease(lease.id).await.unwrap().unwrap().state, State::Active);
    store.close().await;

    for targets in [vec![only_reads.clone()], vec![only_reads.clone(), nobody]] {
        let error = open_at(targets).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_)) && error.is_passing(), "{error}");
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_was_connected_before_a_move_is_not_used_after_it(pool: PgPool) {
    let here = (*pool.connect_options()).clone();
    let servers = Servers::of(vec![here.clone().port(9).host("127.0.0.1"), here]);
    let before = std::time::Instant::now();
    assert!(!servers.have_moved_since(before.elapsed()));
    let connection = servers.connect().await.unwrap();
    assert!(servers.have_moved_since(before.elapsed()));
    assert!(!servers.have_moved_since(std::time::Duration::ZERO));
    drop(connection);
}
