use super::*;
use crate::store::leases::{Claim, Outcome, Wanted};

const PASSWORD: &str = "a password that was handed out";

async fn owners(store: &Store, value: &str) -> Vec<Uuid> {
    let wanted = Wanted { marks: Some(store.marks_of(value).unwrap()), ..Wanted::default() };
    store.find_leases(&wanted, None, 10).await.unwrap().into_iter().map(|found| found.lease.id).collect()
}

async fn handed_out(store: &Store, token: u8, values: &[&str]) -> NewLease {
    let record = first(store, [token; 32]);
    let lease = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    let mut activated = activation(store, &lease);
    activated.activate[0].marks = store.mark(values.iter().copied()).unwrap();
    let _ = store.write(activated).await.unwrap();
    lease
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_was_handed_out_leads_to_its_lease_until_that_is_forgotten(pool: PgPool) {
    let store = open(&pool).await;
    // Two fields of one credential may hold the same.
    let lease = handed_out(&store, 1, &[PASSWORD, "short", PASSWORD, "an address with it"]).await;
    let other = handed_out(&store, 2, &["another password of another"]).await;
    assert_eq!(owners(&store, PASSWORD).await, [lease.id]);
    assert_eq!(owners(&store, "an address with it").await, [lease.id]);
    assert_eq!(owners(&store, "another password of another").await, [other.id]);
    assert!(owners(&store, "a password that nobody was given").await.is_empty());
    assert!(store.marks_of("short").unwrap().is_empty(), "too short to be a secret");
    assert_eq!(count(&pool, "lease_marks").await, 3);

    let far = lease.expires_at + Duration::days(40);
    let claim = Claim { owner: Uuid::from_u128(1), now: far, until: far, limit: 1, except: &[] };
    let ended = store.claim_leases(&claim).await.unwrap().remove(0);
    assert!(store.settle_lease(&ended, &Outcome::Revoked, far, &[]).await.unwrap());
    assert_eq!(count(&pool, "lease_marks").await, 3, "a lease that ended is found all the same");
    assert_eq!(store.forget_leases(far + Duration::days(1), 10).await.unwrap(), 1);
    let left = if ended.lease.id == lease.id { 1 } else { 2 };
    assert_eq!(count(&pool, "lease_marks").await, left);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn marks_that_a_broker_of_before_wrote_are_found(pool: PgPool) {
    let store = open(&pool).await;
    let lease = handed_out(&store, 1, &[]).await;
    let marks: Vec<u8> =
        store.mark(["short", "an address with it", PASSWORD]).unwrap().into_iter().flat_map(Uuid::into_bytes).collect();
    sqlx::query("update daypass.leases set marks = $1 where id = $2").bind(marks).bind(lease.id).execute(&pool).await.unwrap();
    assert_eq!(owners(&store, PASSWORD).await, [lease.id]);
    assert!(owners(&store, "a password that nobody was given").await.is_empty());
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_refused_activation_leaves_no_marks(pool: PgPool) {
    let store = open(&pool).await;
    let lease = handed_out(&store, 1, &[PASSWORD]).await;
    let mut again = activation(&store, &lease);
    again.activate[0].marks = store.mark(["what a second activation would hand out"]).unwrap();
    assert!(matches!(store.write(again).await, Err(WriteError::Moved)));
    assert_eq!(count(&pool, "lease_marks").await, 1);
    store.close().await;
}
