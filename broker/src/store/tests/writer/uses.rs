//! The uses of tokens: who wins a race for them, and what a repeat may take over.

use super::*;

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_second_use_is_refused_and_leaves_nothing_behind(pool: PgPool) {
    let store = open(&pool).await;
    let winner = first(&store, [1; 32]);
    let session = winner.session.as_ref().unwrap().id;
    let _ = store.write(winner).await.unwrap();
    let refused = store.write(first(&store, [1; 32])).await.unwrap_err();
    assert!(matches!(refused, WriteError::TokenAlreadyUsed { session: Some(id) } if id == session), "{refused:?}");
    for table in ["token_uses", "sessions", "leases", "audit_records", "audit_personal"] {
        assert_eq!(count(&pool, table).await, 1, "{table}");
    }
    // The same token hash of another issuer is another token.
    let mut other = first(&store, [1; 32]);
    other.token_use.as_mut().unwrap().issuer = "https://other.example".to_owned();
    let _ = store.write(other).await.unwrap();
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn sixty_four_racers_on_two_replicas_have_one_winner_each_round(pool: PgPool) {
    let replicas = [open(&pool).await, open(&pool).await];
    for round in 0..40u8 {
        let racers = (0..64).map(|racer| {
            let store = &replicas[racer % 2];
            (store, first(store, [round; 32]))
        });
        let outcomes = race(racers).await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(winners, 1, "round {round}");
        for outcome in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(outcome, WriteError::TokenAlreadyUsed { session: Some(_) }), "{outcome:?}");
        }
    }
    for table in ["token_uses", "sessions", "leases", "audit_records"] {
        assert_eq!(count(&pool, table).await, 40, "{table}");
    }
    close(&replicas).await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn replicas_with_crossing_batches_do_not_deadlock(pool: PgPool) {
    let replicas = [open(&pool).await, open(&pool).await];
    for _ in 0..20 {
        // Both replicas write the same tokens, in opposite orders.
        let up = (0..64u8).map(|token| (&replicas[0], first(&replicas[0], [token; 32])));
        let down = (0..64u8).rev().map(|token| (&replicas[1], first(&replicas[1], [token; 32])));
        let (up, down) = tokio::join!(race(up), race(down));
        let outcomes = up.into_iter().chain(down).collect::<Vec<_>>();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 64);
        assert!(!outcomes.iter().any(|outcome| matches!(outcome, Err(WriteError::Store(_)))));
        sqlx::raw_sql("delete from daypass.leases; delete from daypass.sessions; delete from daypass.token_uses")
            .execute(&pool)
            .await
            .unwrap();
    }
    close(&replicas).await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_token_with_several_uses_can_be_used_so_often(pool: PgPool) {
    let replicas = [open(&pool).await, open(&pool).await];
    let racers = (0..12).map(|racer| {
        let store = &replicas[racer % 2];
        let mut record = first(store, [1; 32]);
        record.token_use.as_mut().unwrap().uses = 3;
        (store, record)
    });
    let outcomes = race(racers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    let numbers = "select use_number from daypass.token_uses order by use_number";
    assert_eq!(sqlx::query_scalar::<_, i32>(numbers).fetch_all(&pool).await.unwrap(), [1, 2, 3]);
    close(&replicas).await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn racers_with_one_key_spend_one_use_of_several(pool: PgPool) {
    let replicas = [open(&pool).await, open(&pool).await];
    for token in 0..8u8 {
        let racers = (0..12).map(|racer| {
            let store = &replicas[racer % 2];
            let mut record = first(store, [token; 32]);
            let token_use = record.token_use.as_mut().unwrap();
            (token_use.uses, token_use.idempotency) = (20, Some([9; 32]));
            record.session.as_mut().unwrap().idempotency = Some([9; 32]);
            (store, record)
        });
        let outcomes = race(racers).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let winner = outcomes.iter().filter_map(|outcome| match outcome {
            Err(WriteError::TokenAlreadyUsed { session }) => Some(session.unwrap()),
            _ => None,
        });
        assert_eq!(winner.collect::<std::collections::HashSet<_>>().len(), 1, "all are told of the one that won");
    }
    close(&replicas).await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn of_racing_safe_repeats_one_takes_the_use_over(pool: PgPool) {
    let replicas = [open(&pool).await, open(&pool).await];
    let attempt = first(&replicas[0], [1; 32]);
    let old = attempt.session.as_ref().unwrap().id;
    let _ = replicas[0].write(attempt).await.unwrap();
    let repeats = (0..16).map(|racer| {
        let store = &replicas[racer % 2];
        let mut record = first(store, [1; 32]);
        record.token_use.as_mut().unwrap().replaces = Some(old);
        (store, record)
    });
    let outcomes = race(repeats).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|error| matches!(error, WriteError::TokenAlreadyUsed { .. }))
    );
    let holder: Uuid = sqlx::query_scalar("select session_id from daypass.token_uses").fetch_one(&pool).await.unwrap();
    let leases = replicas[0].leases_of(holder).await.unwrap();
    assert!(holder != old && leases.len() == 1 && leases[0].state == State::Pending);
    assert_eq!((count(&pool, "token_uses").await, count(&pool, "sessions").await), (1, 2));
    close(&replicas).await;
}
