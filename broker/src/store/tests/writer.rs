use domain::claims::Claims;

use super::*;

mod uses;

/// Writes all at the same time; the outcomes in order.
async fn race(writes: impl IntoIterator<Item = (&Store, Record)>) -> Vec<Result<Written, WriteError>> {
    let write = |(store, record): (&Store, Record)| {
        let store = store.clone();
        tokio::spawn(async move { store.write(record).await })
    };
    let tasks: Vec<_> = writes.into_iter().map(write).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn close(replicas: &[Store]) {
    for store in replicas {
        store.close().await;
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_is_written_reads_back_with_its_audit_record(pool: PgPool) {
    let store = open(&pool).await;
    let record = first(&store, [1; 32]);
    let (session, lease, asked) = (record.session.clone().unwrap(), record.leases[0].clone(), record.audit[0].clone());
    let _ = store.write(record).await.unwrap();

    let held = store.session_by_token(session.id, &session.token_hash).await.unwrap().unwrap();
    let claims = Claims::default().with("run_attempt", 1).with("sub", "repo:acme/shop").with("actor", "octocat");
    assert_eq!((held.id, held.claims, held.erased), (session.id, claims, false));
    assert!(store.session_by_token(session.id, &[0; 32]).await.unwrap().is_none(), "the id alone opens nothing");
    assert!(close_to(held.ends_at, session.ends_at) && held.run == session.run && held.attempt.is_none());
    let leases = store.leases_of(session.id).await.unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!((leases[0].id, leases[0].state, leases[0].attempt), (lease.id, State::Pending, 0));
    assert!(close_to(leases[0].due_at.unwrap(), lease.create_deadline + Duration::seconds(5)));

    let listed = store.audit(&domain::wire::AuditQuery::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].record.canonical(), asked.canonical());
    assert_eq!(listed[0].personal["claim.actor"], "octocat".into());
    let entry = listed[0].entry();
    assert_eq!((entry.kind.as_str(), entry.fields["session_id"].clone()), ("exchange.asked", session.id.to_string()));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn handles_are_sealed(pool: PgPool) {
    let store = open(&pool).await;
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    let handle: Vec<u8> = sqlx::query_scalar("select handle from daypass.leases").fetch_one(&pool).await.unwrap();
    assert!(!handle.windows(7).any(|part| part == b"undo me"));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_quota_refuses_only_what_is_beyond_it_and_burns_no_use(pool: PgPool) {
    let store = open(&pool).await;
    let records = (0..10u8).map(|token| {
        let mut record = first(&store, [token; 32]);
        record.leases[0].max_live_of_role = 4;
        record
    });
    let outcomes = race(records.map(|record| (&store, record))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(WriteError::Quota(Quota::Role)))));
    assert_eq!((count(&pool, "leases").await, count(&pool, "token_uses").await), (4, 4));

    // What is being taken back still works; what is fenced does not.
    let mut next = first(&store, [11; 32]);
    next.leases[0].max_live_of_role = 4;
    sqlx::query("update daypass.leases set state = 'revoking'").execute(&pool).await.unwrap();
    assert!(matches!(store.write(next).await, Err(WriteError::Quota(Quota::Role))));
    sqlx::query("update daypass.leases set state = 'fenced'").execute(&pool).await.unwrap();
    let mut next = first(&store, [12; 32]);
    next.leases[0].max_live_of_role = 4;
    assert!(store.write(next).await.is_ok());
    sqlx::query("delete from daypass.leases where state = 'fenced'").execute(&pool).await.unwrap();
    sqlx::query("update daypass.leases set state = 'active'").execute(&pool).await.unwrap();

    // A large ask that does not fit stands in nobody's way.
    let mut large = first(&store, [20; 32]);
    let more = (0..5).map(|_| lease(&store, large.session.as_ref().unwrap().id)).collect::<Vec<_>>();
    large.leases.extend(more);
    large.leases.iter_mut().for_each(|lease| lease.max_live_of_role = 6);
    let mut small = first(&store, [21; 32]);
    small.leases[0].max_live_of_role = 6;
    let (large, small) = tokio::join!(store.write(large), store.write(small));
    assert!(matches!(large, Err(WriteError::Quota(Quota::Role))) && small.is_ok(), "{large:?} {small:?}");
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn one_process_fills_a_large_quota_to_the_last_and_no_further(pool: PgPool) {
    let store = open(&pool).await;
    for place in [Quota::Role, Quota::Connection] {
        let (mut written, mut refused) = (0, 0);
        for token in 0..52u8 {
            let mut record = first(&store, [token; 32]);
            let session = record.session.as_ref().unwrap().id;
            record.leases = (0..30).map(|_| lease(&store, session)).collect();
            for lease in &mut record.leases {
                (lease.max_live_of_role, lease.max_live_of_connection) =
                    if place == Quota::Role { (1_500, None) } else { (10_000, Some(1_500)) };
            }
            match store.write(record).await {
                Ok(_) => written += 1,
                Err(WriteError::Quota(full)) if full == place => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((written, refused, count(&pool, "leases").await), (50, 2, 1_500), "{place:?}");
        sqlx::query("truncate daypass.leases, daypass.token_uses").execute(&pool).await.unwrap();
    }
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_has_ended_by_its_own_clock_fills_no_quota_before_it_is_written_off(pool: PgPool) {
    type Bound = fn(&mut NewLease);
    let store = open(&pool).await;
    let opening = first(&store, [1; 32]);
    let session = opening.session.as_ref().unwrap().id;
    let _ = store.write(opening).await.unwrap();
    let more = |bound: Bound| {
        let mut leases = vec![lease(&store, session), lease(&store, session)];
        leases.iter_mut().for_each(bound);
        store.write(Record { leases, audit: vec![audit(&store, Kind::SessionAsked)], ..Record::default() })
    };
    let bounds: [(Quota, Bound); 3] = [
        (Quota::Role, |lease| lease.max_live_of_role = 2),
        (Quota::Session, |lease| lease.max_live_of_session = 2),
        (Quota::Connection, |lease| lease.max_live_of_connection = Some(2)),
    ];
    for (place, bound) in bounds {
        let passive = |ends: &str| {
            let all =
                format!("update daypass.leases set state = 'passive', revocable = false, due_at = clock_timestamp() + '{ends}'");
            sqlx::raw_sql(sqlx::AssertSqlSafe(all)).execute(&pool)
        };
        passive("1 minute").await.unwrap();
        assert!(matches!(more(bound).await, Err(WriteError::Quota(full)) if full == place), "{place:?}: they still live");
        passive("-1 minute").await.unwrap();
        let _ = more(bound).await.unwrap();
        assert!(
            matches!(more(bound).await, Err(WriteError::Quota(full)) if full == place),
            "{place:?}: two live, others are over"
        );
    }
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn sessions_and_connections_have_quotas_of_their_own(pool: PgPool) {
    let store = open(&pool).await;
    // A session with three leases of its own asks for more.
    let mut opening = first(&store, [1; 32]);
    let session = opening.session.as_ref().unwrap().id;
    opening.leases.extend([lease(&store, session), lease(&store, session)]);
    let _ = store.write(opening).await.unwrap();
    let more = |most_of_session: u32| {
        let lease = NewLease { max_live_of_session: most_of_session, ..lease(&store, session) };
        Record { leases: vec![lease], audit: vec![audit(&store, Kind::SessionAsked)], ..Record::default() }
    };
    assert!(matches!(store.write(more(3)).await, Err(WriteError::Quota(Quota::Session))));
    let _ = store.write(more(4)).await.unwrap();

    // Four are live on the connection now; of many that ask at once as many get one as there is room.
    let records = (10..20u8).map(|token| {
        let mut record = first(&store, [token; 32]);
        record.leases[0].max_live_of_connection = Some(7);
        record
    });
    let outcomes = race(records.map(|record| (&store, record))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(WriteError::Quota(Quota::Connection)))), "{outcomes:?}");
    let mut elsewhere = first(&store, [30; 32]);
    elsewhere.leases[0].connection = Some("other".to_owned());
    elsewhere.leases[0].max_live_of_connection = Some(1);
    let _ = store.write(elsewhere).await.unwrap();

    // What is over counts no more.
    sqlx::query("update daypass.leases set state = 'revoked', due_at = null where connection = 'shop'")
        .execute(&pool)
        .await
        .unwrap();
    let mut again = first(&store, [31; 32]);
    again.leases[0].max_live_of_connection = Some(1);
    let _ = store.write(again).await.unwrap();
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn activation_happens_once_and_only_while_pending(pool: PgPool) {
    let store = open(&pool).await;
    let records: Vec<_> = (0..3u8).map(|token| first(&store, [token; 32])).collect();
    let leases: Vec<_> = records.iter().map(|record| record.leases[0].clone()).collect();
    for outcome in race(records.into_iter().map(|record| (&store, record))).await {
        let _ = outcome.unwrap();
    }
    let mut tx = store.begin().await.unwrap();
    tx.begin_release(&[leases[1].id], store.system().now()).await.unwrap();
    tx.commit().await.unwrap();

    let outcomes = race(leases.iter().map(|lease| (&store, activation(&store, lease)))).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert!(matches!(outcomes[1], Err(WriteError::Moved)));
    assert!(matches!(store.write(activation(&store, &leases[0])).await, Err(WriteError::Moved)));
    let state = async |id| store.lease(id).await.unwrap().unwrap();
    let active = state(leases[0].id).await;
    assert_eq!(active.state, State::Active);
    assert!(close_to(active.due_at.unwrap(), leases[0].expires_at));
    assert_eq!(state(leases[1].id).await.state, State::Revoking);
    assert_eq!(count(&pool, "audit_records").await, 5, "a refused activation is not in the log");

    // One lease of two moved: neither is activated.
    let mut pair = first(&store, [9; 32]);
    pair.leases.push(lease(&store, pair.session.as_ref().unwrap().id));
    let ids: Vec<_> = pair.leases.iter().map(|lease| lease.id).collect();
    let mut both = activation(&store, &pair.leases[0]);
    both.activate.extend(activation(&store, &pair.leases[1]).activate);
    let _ = store.write(pair).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.begin_release(&ids[1..], store.system().now()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(store.write(both).await, Err(WriteError::Moved)));
    assert_eq!(state(ids[0]).await.state, State::Pending);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_record_that_breaks_the_batch_fails_alone(pool: PgPool) {
    let store = open(&pool).await;
    let mut records: Vec<_> = (0..20u8).map(|token| first(&store, [token; 32])).collect();
    let taken = records[3].leases[0].upstream.clone();
    records[7].leases[0].upstream = taken;
    let outcomes = race(records.into_iter().map(|record| (&store, record))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 19);
    assert!(
        outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|error| matches!(error, WriteError::Store(StoreError::Database(_))))
    );
    for table in ["token_uses", "sessions", "leases", "audit_records"] {
        assert_eq!(count(&pool, table).await, 19, "{table}");
    }
    let mut nul = first(&store, [99; 32]);
    nul.session.as_mut().unwrap().project = Some("a\0b".to_owned());
    assert!(matches!(store.write(nul).await, Err(WriteError::Store(StoreError::Nul))));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn later_leases_need_an_open_session(pool: PgPool) {
    let store = open(&pool).await;
    let opening = first(&store, [1; 32]);
    let session = opening.session.as_ref().unwrap().id;
    let _ = store.write(opening).await.unwrap();
    let later = |store: &Store| Record {
        leases: vec![lease(store, session)],
        audit: vec![audit(store, Kind::SessionAsked)],
        ..Record::default()
    };
    let _ = store.write(later(&store)).await.unwrap();
    let released = store.end_session(session, store.system().now(), &[audit(&store, Kind::SessionEnded)]).await.unwrap().unwrap();
    assert_eq!(released.len(), 2);
    assert!(matches!(store.write(later(&store)).await, Err(WriteError::SessionEnded)));
    let mut unknown = later(&store);
    unknown.leases[0].session_id = id(&store);
    assert!(matches!(store.write(unknown).await, Err(WriteError::SessionEnded)));
    assert!(store.end_session(session, store.system().now(), &[]).await.unwrap().is_none());
    assert_eq!(count(&pool, "leases").await, 2);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_lost_connection_fails_the_waiting_and_is_made_anew(pool: PgPool) {
    let store = open(&pool).await;
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    // The use is held by another transaction, so that the writer waits inside its statement.
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("insert into daypass.token_uses values ($1, 1, $2, now())")
        .bind(first(&store, [2; 32]).token_use.unwrap().key())
        .bind(Uuid::nil())
        .execute(&mut *holder)
        .await
        .unwrap();
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.write(first(&store, [2; 32])).await })
    };
    let killed = loop {
        let killed: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        if killed > 0 {
            break killed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(killed, 1);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, WriteError::Store(StoreError::InDoubt(_))), "{error:?}");
    holder.rollback().await.unwrap();
    let _ = store.write(first(&store, [2; 32])).await.unwrap();
    store.close().await;
    assert!(matches!(store.write(first(&store, [3; 32])).await, Err(WriteError::Store(StoreError::Stopped))));
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn no_lease_is_written_without_its_record(pool: PgPool) {
    let store = open(&pool).await;
    let records = (0..60u8).map(|token| {
        // Some are repeated, some do not fit, some break.
        let mut record = first(&store, [token % 40; 32]);
        record.leases[0].max_live_of_role = 25;
        record.audit[0].lease_id = Some(record.leases[0].id);
        record
    });
    race(records.map(|record| (&store, record))).await;
    let unrecorded: i64 = sqlx::query_scalar(
        "select count(*) from daypass.leases l full join daypass.audit_records a on a.lease_id = l.id
         where a.id is null or l.id is null",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((unrecorded, count(&pool, "leases").await), (0, 25));
    let mut silent = first(&store, [50; 32]);
    silent.audit.clear();
    assert!(matches!(store.write(silent).await, Err(WriteError::Store(StoreError::Unrecorded))));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_step_that_makes_no_lease_needs_its_session_too(pool: PgPool) {
    let store = open(&pool).await;
    let record = first(&store, [1; 32]);
    let session = record.session.as_ref().unwrap().id;
    let _ = store.write(record).await.unwrap();
    let step = || Record { of_session: Some(session), audit: vec![audit(&store, Kind::SessionGranted)], ..Record::default() };
    let _ = store.write(step()).await.unwrap();
    store.end_session(session, store.system().now(), &[]).await.unwrap();
    assert!(matches!(store.write(step()).await, Err(WriteError::SessionEnded)));
    store.close().await;
}
