use super::*;
use crate::store::leases::{Claim, Expiring, Outcome};

fn claim(owner: u128, now: OffsetDateTime) -> Claim<'static> {
    Claim { owner: Uuid::from_u128(owner), now, until: now + Duration::seconds(60), limit: 100, except: &[] }
}

/// An active lease, due at its expiry.
pub(super) async fn active(store: &Store, token: u8) -> NewLease {
    let record = first(store, [token; 32]);
    let lease = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    let _ = store.write(activation(store, &lease)).await.unwrap();
    lease
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_pending_lease_is_due_after_its_deadline_and_an_active_one_at_its_end(pool: PgPool) {
    let store = open(&pool).await;
    let pending = first(&store, [1; 32]).leases.len();
    assert_eq!(pending, 1);
    let record = first(&store, [2; 32]);
    let pending = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    let active = active(&store, 3).await;
    let due =
        async |at| store.claim_leases(&claim(1, at)).await.unwrap().iter().map(|claimed| claimed.lease.id).collect::<Vec<_>>();
    assert!(due(pending.create_deadline + Duration::seconds(4)).await.is_empty());
    assert_eq!(due(pending.create_deadline + Duration::seconds(6)).await, [pending.id]);
    assert!(due(active.expires_at - Duration::minutes(14)).await.is_empty(), "claimed, and the claim has not ended");
    assert!(due(active.expires_at).await.contains(&active.id));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_claim_brings_the_handle_and_is_settled_with_its_record(pool: PgPool) {
    let store = open(&pool).await;
    let lease = active(&store, 1).await;
    let now = lease.expires_at;
    let claimed = store.claim_leases(&claim(1, now)).await.unwrap().remove(0);
    assert_eq!(claimed.handle.expose(), b"undo me");
    assert_eq!((claimed.lease.state, claimed.lease.attempt), (State::Revoking, 1));
    assert!(store.claim_leases(&claim(2, now)).await.unwrap().is_empty(), "one worker at a time");

    let mut record = audit(&store, Kind::LeaseRevoked);
    record.lease_id = Some(lease.id);
    assert!(store.settle_lease(&claimed, &Outcome::Revoked, now, &[record.clone()]).await.unwrap());
    let held = store.lease(lease.id).await.unwrap().unwrap();
    assert_eq!((held.state, held.due_at), (State::Revoked, None));
    assert!(close_to(held.ended_at.unwrap(), now));
    let handle: Vec<u8> = sqlx::query_scalar("select handle from daypass.leases").fetch_one(&pool).await.unwrap();
    assert!(handle.is_empty(), "nothing to undo stays behind");
    record.id = id(&store);
    assert!(!store.settle_lease(&claimed, &Outcome::Revoked, now, &[record]).await.unwrap(), "only once");
    let about = domain::wire::AuditQuery { about: Some(lease.id.to_string()), ..Default::default() };
    assert_eq!(store.audit(&about).await.unwrap().len(), 1);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_slow_worker_cannot_settle_after_another_claim(pool: PgPool) {
    let store = open(&pool).await;
    let lease = active(&store, 1).await;
    let slow = store.claim_leases(&claim(1, lease.expires_at)).await.unwrap().remove(0);
    let later = lease.expires_at + Duration::seconds(61);
    let next = store.claim_leases(&claim(2, later)).await.unwrap().remove(0);
    assert_eq!(next.lease.attempt, 2);
    let records = count(&pool, "audit_records").await;
    assert!(!store.settle_lease(&slow, &Outcome::Revoked, later, &[audit(&store, Kind::LeaseRevoked)]).await.unwrap());
    assert_eq!(count(&pool, "audit_records").await, records);
    assert!(store.settle_lease(&next, &Outcome::Revoked, later, &[audit(&store, Kind::LeaseRevoked)]).await.unwrap());
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn fenced_and_failed_leases_are_tried_again_at_their_time(pool: PgPool) {
    let store = open(&pool).await;
    let lease = active(&store, 1).await;
    let mut now = lease.expires_at;
    for outcome in [
        |next_try| Outcome::Retry { reason: "down".to_owned(), next_try },
        |next_try| Outcome::Fenced { reason: "owns tables".to_owned(), next_try },
    ] {
        let claimed = store.claim_leases(&claim(1, now)).await.unwrap().remove(0);
        let next = now + Duration::seconds(30);
        let outcome = outcome(next);
        assert!(store.settle_lease(&claimed, &outcome, now, &[]).await.unwrap());
        assert!(store.claim_leases(&claim(1, next - Duration::seconds(1))).await.unwrap().is_empty());
        let held = store.lease(lease.id).await.unwrap().unwrap();
        let fenced = matches!(outcome, Outcome::Fenced { .. });
        assert_eq!(held.state, if fenced { State::Fenced } else { State::Revoking });
        assert!(held.reason.is_some() && held.ended_at.is_none());
        now = next;
    }
    assert_eq!(store.claim_leases(&claim(1, now)).await.unwrap()[0].lease.attempt, 3);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn passive_leases_only_expire(pool: PgPool) {
    let store = open(&pool).await;
    let mut record = first(&store, [1; 32]);
    record.leases[0].state = State::Passive;
    record.leases[0].revocable = false;
    let lease = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    assert!(tx.begin_release(&[lease.id], lease.issued_at).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert!(store.claim_leases(&claim(1, lease.expires_at)).await.unwrap().is_empty(), "there is nothing to take back");
    // It is gone when it has ended: what is left is to be written down, which hurries nobody.
    let late = async |after| store.late_leases(lease.expires_at + Duration::minutes(after)).await.unwrap().count;
    assert_eq!((late(9).await, late(11).await), (0, 1));
    let later = lease.expires_at + Duration::hours(1);
    assert!(store.waiting(later, later).await.unwrap().is_empty(), "it waits for no target");
    let record = |_: &Expiring| Ok(audit(&store, Kind::LeaseExpired));
    let before = lease.expires_at - Duration::seconds(1);
    assert!(store.expire_leases(before, 10, record).await.unwrap().is_empty());
    assert_eq!(store.expire_leases(lease.expires_at, 10, record).await.unwrap().len(), 1);
    let held = store.lease(lease.id).await.unwrap().unwrap();
    assert_eq!((held.state, held.due_at, held.attempt), (State::Expired, None, 1));
    assert!(store.expire_leases(lease.expires_at, 10, record).await.unwrap().is_empty(), "once");
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_released_pending_lease_waits_for_its_deadline(pool: PgPool) {
    let store = open(&pool).await;
    let record = first(&store, [1; 32]);
    let pending = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    let active = active(&store, 2).await;
    let now = store.system().now();
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.begin_release(&[pending.id, active.id], now).await.unwrap().len(), 2);
    tx.commit().await.unwrap();
    let claimed = store.claim_leases(&claim(1, now)).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.lease.id).collect::<Vec<_>>(), [active.id]);
    let after = pending.create_deadline + Duration::seconds(6);
    assert_eq!(store.claim_leases(&claim(1, after)).await.unwrap()[0].lease.id, pending.id);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn workers_share_the_due_leases_and_leave_sick_targets_alone(pool: PgPool) {
    let store = open(&pool).await;
    for token in 0..12 {
        let mut record = first(&store, [token; 32]);
        if token < 4 {
            record.leases[0].connection = Some("sick".to_owned());
        }
        let _ = store.write(record).await.unwrap();
    }
    let now = store.system().now() + Duration::minutes(1);
    let sick = ["sick".to_owned()];
    let one = Claim { limit: 5, except: &sick, ..claim(1, now) };
    let two = Claim { owner: Uuid::from_u128(2), ..one.clone() };
    let (one, two) = tokio::join!(store.claim_leases(&one), store.claim_leases(&two));
    let mut ids: Vec<_> = one
        .unwrap()
        .into_iter()
        .chain(two.unwrap())
        .map(|claimed| {
            assert_eq!(claimed.lease.connection.as_deref(), Some("shop"));
            claimed.lease.id
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "none twice, none of the sick target");
    assert_eq!(store.claim_leases(&claim(3, now)).await.unwrap().len(), 4);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_lease_that_is_tried_again_later_is_late_all_the_same(pool: PgPool) {
    let store = open(&pool).await;
    let lease = active(&store, 1).await;
    active(&store, 2).await;
    let end = lease.expires_at;
    assert_eq!(store.late_leases(end - Duration::seconds(1)).await.unwrap().count, 0);
    let claimed = store.claim_leases(&Claim { limit: 1, ..claim(1, end + Duration::seconds(1)) }).await.unwrap().remove(0);
    let next_try = end + Duration::minutes(5);
    let outcome = Outcome::Retry { reason: "down".to_owned(), next_try };
    assert!(store.settle_lease(&claimed, &outcome, end, &[]).await.unwrap());
    let late = store.late_leases(end + Duration::minutes(1)).await.unwrap();
    assert_eq!(late.count, 2);
    assert!(late.since.is_some_and(|since| since <= end + Duration::milliseconds(1)), "{late:?}");
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_lease_given_back_early_and_not_gone_is_late(pool: PgPool) {
    let store = open(&pool).await;
    let lease = active(&store, 1).await;
    let given_back = lease.issued_at + Duration::seconds(1);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.begin_release(&[lease.id], given_back).await.unwrap().len(), 1);
    tx.commit().await.unwrap();
    let claimed = store.claim_leases(&claim(1, given_back)).await.unwrap().remove(0);
    let next_try = given_back + Duration::minutes(5);
    let outcome = Outcome::Retry { reason: "down".to_owned(), next_try };
    assert!(store.settle_lease(&claimed, &outcome, given_back, &[]).await.unwrap());
    assert_eq!(store.late_leases(given_back).await.unwrap().count, 0);
    let late = store.late_leases(given_back + Duration::minutes(1)).await.unwrap();
    assert!(late.count == 1 && late.since.is_some_and(|since| close_to(since, given_back)), "{late:?}");
    let claimed = store.claim_leases(&claim(1, next_try)).await.unwrap().remove(0);
    assert!(store.settle_lease(&claimed, &Outcome::Revoked, next_try, &[]).await.unwrap());
    assert_eq!(store.late_leases(next_try + Duration::minutes(9)).await.unwrap().count, 0, "gone");
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn only_what_is_over_is_forgotten(pool: PgPool) {
    let store = open(&pool).await;
    let mut record = first(&store, [1; 32]);
    let mut granted = audit(&store, Kind::ExchangeGranted);
    granted.decision_id = record.session.as_ref().unwrap().id;
    granted.session_id = Some(granted.decision_id);
    record.audit = vec![granted];
    let (keep, ends) = (record.token_use.as_ref().unwrap().keep_until, record.session.as_ref().unwrap().ends_at);
    let lease = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    assert_eq!(store.forget_uses(keep, 100).await.unwrap(), 0, "never before the token is dead everywhere");
    let far = ends + Duration::days(40);
    assert_eq!(store.forget_leases(far, 100).await.unwrap(), 0, "open leases are never forgotten");
    assert_eq!(store.forget_sessions(far, 100).await.unwrap(), 0);
    let claimed = store.claim_leases(&claim(1, far)).await.unwrap().remove(0);
    assert!(store.settle_lease(&claimed, &Outcome::Revoked, lease.expires_at, &[]).await.unwrap());
    assert_eq!(store.forget_leases(far, 100).await.unwrap(), 1);
    assert_eq!(store.forget_sessions(far, 100).await.unwrap(), 0, "its use is still kept");
    assert_eq!(store.forget_uses(keep + Duration::seconds(1), 100).await.unwrap(), 1);
    assert_eq!(store.forget_sessions(far, 100).await.unwrap(), 1);
    assert_eq!(count(&pool, "audit_records").await, 1, "the log forgets nothing");
    store.close().await;
}

/// Two leases of one exchange that has been recorded and not granted.
async fn pending_pair(store: &Store, token: u8, uses: u16) -> [NewLease; 2] {
    let mut record = first(store, [token; 32]);
    record.token_use.as_mut().unwrap().uses = uses;
    record.leases.push(lease(store, record.leases[0].session_id));
    let pair = [record.leases[0].clone(), record.leases[1].clone()];
    let _ = store.write(record).await.unwrap();
    pair
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn an_exchange_that_came_to_nothing_gives_its_token_back_with_its_last_lease(pool: PgPool) {
    let store = open(&pool).await;
    let pair = pending_pair(&store, 1, 1).await;
    let later = pair[0].create_deadline + Duration::seconds(6);
    let claimed = store.claim_leases(&claim(1, later)).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert!(matches!(store.write(first(&store, [1; 32])).await, Err(WriteError::TokenAlreadyUsed { .. })));
    assert!(store.settle_lease(&claimed[0], &Outcome::Revoked, later, &[]).await.unwrap());
    assert_eq!(count(&pool, "token_uses").await, 1, "something of the exchange may still be alive");
    assert!(store.settle_lease(&claimed[1], &Outcome::Revoked, later, &[]).await.unwrap());
    assert_eq!(count(&pool, "token_uses").await, 0);
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_use_belongs_to_the_attempt_that_took_it_over_and_comes_free_with_that_one(pool: PgPool) {
    let store = open(&pool).await;
    let [old, _] = pending_pair(&store, 1, 1).await;
    let mut repeat = first(&store, [1; 32]);
    repeat.token_use.as_mut().unwrap().replaces = Some(old.session_id);
    let new = repeat.leases[0].clone();
    let _ = store.write(repeat).await.unwrap();
    let _ = store.write(first(&store, [2; 32])).await.unwrap();
    let later = new.create_deadline + Duration::seconds(6);
    let (last, others): (Vec<_>, Vec<_>) =
        store.claim_leases(&claim(1, later)).await.unwrap().into_iter().partition(|claimed| claimed.lease.id == new.id);
    for claimed in others.iter().filter(|claimed| claimed.lease.session_id == old.session_id) {
        assert!(store.settle_lease(claimed, &Outcome::Revoked, later, &[]).await.unwrap());
    }
    assert_eq!(count(&pool, "token_uses").await, 2, "the attempt before it has none to give back");
    assert!(store.settle_lease(&last[0], &Outcome::Revoked, later, &[]).await.unwrap());
    assert_eq!(count(&pool, "token_uses").await, 1, "the other token's stays");
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn two_workers_that_settle_the_last_leases_at_once_free_the_use(pool: PgPool) {
    let store = open(&pool).await;
    for token in 1..=8 {
        let pair = pending_pair(&store, token, 1).await;
        let later = pair[0].create_deadline + Duration::seconds(6);
        let claimed = store.claim_leases(&claim(1, later)).await.unwrap();
        let (one, other) = tokio::join!(
            store.settle_lease(&claimed[0], &Outcome::Revoked, later, &[]),
            store.settle_lease(&claimed[1], &Outcome::Revoked, later, &[])
        );
        assert!(one.unwrap() && other.unwrap());
        assert_eq!(count(&pool, "token_uses").await, 0);
    }
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_use_that_was_granted_stays_spent_when_its_lease_ends(pool: PgPool) {
    let store = open(&pool).await;
    let mut record = first(&store, [1; 32]);
    let (mut granted, lease) = (audit(&store, Kind::ExchangeGranted), record.leases[0].clone());
    granted.session_id = Some(lease.session_id);
    // The decision that opens a session gives it its id.
    granted.decision_id = lease.session_id;
    record.audit.push(granted);
    let _ = store.write(record).await.unwrap();
    let _ = store.write(activation(&store, &lease)).await.unwrap();
    let claimed = store.claim_leases(&claim(1, lease.expires_at)).await.unwrap().remove(0);
    assert!(store.settle_lease(&claimed, &Outcome::Revoked, lease.expires_at, &[]).await.unwrap());
    assert!(matches!(store.write(first(&store, [1; 32])).await, Err(WriteError::TokenAlreadyUsed { .. })));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_use_given_back_between_others_can_be_spent_again_and_no_more(pool: PgPool) {
    let store = open(&pool).await;
    let pair = pending_pair(&store, 1, 2).await;
    let mut second = first(&store, [1; 32]);
    second.token_use.as_mut().unwrap().uses = 2;
    second.leases.clear();
    let _ = store.write(second).await.unwrap();
    let later = pair[0].create_deadline + Duration::seconds(6);
    for claimed in store.claim_leases(&claim(1, later)).await.unwrap() {
        assert!(store.settle_lease(&claimed, &Outcome::Revoked, later, &[]).await.unwrap());
    }
    for expected in [true, false] {
        let mut again = first(&store, [1; 32]);
        again.token_use.as_mut().unwrap().uses = 2;
        assert_eq!(store.write(again).await.is_ok(), expected);
    }
    store.close().await;
}
