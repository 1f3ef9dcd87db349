//! Questions that reach far back in the audit trail: each statement reads its own part of it and no more.

use super::*;
use crate::store::stops::Stop;

const RECORDS: usize = 600;

/// Records of grants, the oldest first; every hundredth is of the role `rare`.
async fn filled(store: &Store) -> Vec<Uuid> {
    let mut tx = store.begin().await.unwrap();
    let mut records: Vec<Audit> = (0..RECORDS).map(|_| audit(store, Kind::ExchangeGranted)).collect();
    // Within a millisecond ids come in any order.
    records.sort_unstable_by_key(|record| record.id);
    for (at, record) in records.iter_mut().enumerate() {
        record.role = Some(if at % 100 == 0 { "rare" } else { "deploy" }.to_owned());
    }
    tx.remember(&records).await.unwrap();
    tx.commit().await.unwrap();
    records.iter().map(|record| record.id).collect()
}

/// Entries that the primary key of the audit trail has been asked for, as soon as that is known.
async fn read_by_key(pool: &PgPool) -> i64 {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let read = "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'audit_records_pkey'";
    sqlx::query_scalar(read).fetch_one(pool).await.unwrap()
}

fn of_role(role: &str) -> Stop {
    Stop {
        id: Uuid::nil(),
        repository: None,
        run: None,
        role: Some(role.to_owned()),
        issuer: None,
        engine: None,
        issued_before: None,
        reason: String::new(),
        spared: None,
        switch: false,
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_late_page_of_decisions_does_not_read_the_ones_before_it(pool: PgPool) {
    let writing = open(&pool).await;
    let ids = filled(&writing).await;
    writing.close().await;
    let before = read_by_key(&pool).await;
    // Closed, a connection tells what it has read.
    let store = open(&pool).await;
    let since = store.system().now() - Duration::hours(1);
    let page = store.decisions(since, Some(ids[10]), 5).await.unwrap();
    store.close().await;
    assert_eq!(page.iter().map(|stored| stored.record.id).collect::<Vec<_>>(), [ids[9], ids[8], ids[7], ids[6], ids[5]]);
    let read = read_by_key(&pool).await - before;
    assert!((5..50).contains(&read), "{read} entries");
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_was_handed_out_is_looked_for_part_by_part_and_found_to_the_last(pool: PgPool) {
    let store = open(&pool).await;
    let ids = filled(&store).await;
    let rare: Vec<Uuid> = ids.iter().copied().step_by(100).rev().collect();
    for (limit, window) in [(10, 70), (1, 1_000), (2, 100), (10, 600), (10, 601), (3, 1)] {
        let (mut found, mut next, mut looks) = (Vec::new(), None, 0);
        loop {
            let look = store.handed_out(&of_role("rare"), next, limit, window).await.unwrap();
            looks += 1;
            found.extend(look.records.iter().map(|stored| stored.record.id));
            next = look.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, rare, "{limit} of {window}, in {looks} looks");
    }
    let before = read_by_key(&pool).await;
    store.close().await;
    let before = before.max(read_by_key(&pool).await);
    let store = open(&pool).await;
    let look = store.handed_out(&of_role("nobody"), Some(ids[500]), 10, 20).await.unwrap();
    assert!(look.records.is_empty() && look.next == Some(ids[480]), "nothing is there, and it goes on");
    let no_run = Stop { run: Some("none".to_owned()), role: None, ..of_role("") };
    assert!(store.handed_out(&no_run, None, 10, 20).await.unwrap().next.is_none(), "a run without sessions was given nothing");
    store.close().await;
    let read = read_by_key(&pool).await - before;
    assert!((20..100).contains(&read), "{read} entries");
}
