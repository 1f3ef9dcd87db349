use super::*;
use crate::store::job_ends::{Ended, JobEnd, Noted};

/// Everything that a job is found by.
#[derive(Clone, Copy, Debug)]
struct Place {
    issuer: &'static str,
    project: Option<&'static str>,
    run: Option<&'static str>,
    attempt: Option<&'static str>,
    job: Option<&'static str>,
}

const OURS: Place = Place { issuer: "github", project: Some("42"), run: Some("7"), attempt: Some("1"), job: Some("31") };
const NAMELESS: Place = Place { job: None, ..OURS };

/// Jobs that have something in common with ours, and are others.
fn others() -> Vec<Place> {
    vec![
        Place { issuer: "github-2", ..OURS },
        Place { project: Some("43"), ..OURS },
        Place { project: None, ..OURS },
        Place { run: Some("8"), ..OURS },
        Place { run: None, ..OURS },
        Place { job: Some("32"), ..OURS },
        Place { job: Some(""), ..OURS },
        Place { job: Some("31.0"), ..OURS },
        Place { job: Some("031"), ..OURS },
    ]
}

fn record(store: &Store, place: Place) -> Record {
    let mut record = first(store, store.system().random().unwrap());
    let text = |text: Option<&str>| text.map(str::to_owned);
    let Place { issuer, project, run, attempt, job } = place;
    let session = record.session.as_mut().unwrap();
    (session.issuer, session.project, session.run) = (issuer.to_owned(), text(project), text(run));
    (session.attempt, session.job) = (text(attempt), text(job));
    record
}

async fn opened(store: &Store, place: Place) -> Uuid {
    let record = record(store, place);
    let session = record.session.as_ref().unwrap().id;
    let _ = store.write(record).await.unwrap();
    session
}

fn end(ended: Ended) -> JobEnd {
    JobEnd { project: "42".to_owned(), run: "7".to_owned(), ended }
}

fn job() -> JobEnd {
    end(Ended::Job("31".to_owned()))
}

fn attempt() -> JobEnd {
    end(Ended::Attempt("1".to_owned()))
}

async fn note(store: &Store, ends: &[JobEnd]) -> u64 {
    let now = store.system().now();
    let noted = Noted { issuer: "github", delivery: "d-1", ends, now, keep_until: now + Duration::minutes(10) };
    store.note_job_ends(&noted).await.unwrap()
}

/// The sessions that a worker is told to end.
async fn found(store: &Store) -> Vec<Uuid> {
    let now = store.system().now();
    let due = store.claim_job_ends(now, now, 100).await.unwrap();
    let mut found: Vec<Uuid> = store.sessions_of_ended_jobs(&due).await.unwrap().iter().map(|outlived| outlived.id).collect();
    found.sort();
    found
}

pub(super) async fn note_look_and_forget(store: &Store) {
    let now = store.system().now();
    assert_eq!(note(store, &[job()]).await, 1);
    let due = store.claim_job_ends(now + Duration::seconds(1), now + Duration::minutes(1), 100).await.unwrap();
    let looked: Vec<_> = due.iter().map(|end| (end, None)).collect();
    store.looked_for_sessions(&looked).await.unwrap();
    assert_eq!(store.forget_job_ends(now + Duration::days(2), 100).await.unwrap(), 1);
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_end_of_a_job_finds_its_sessions_and_no_others(pool: PgPool) {
    let store = open(&pool).await;
    let mut ours = vec![opened(&store, OURS).await, opened(&store, OURS).await];
    ours.push(opened(&store, Place { attempt: Some("2"), ..OURS }).await);
    ours.sort();
    for other in others().into_iter().chain([NAMELESS]) {
        opened(&store, other).await;
    }
    assert_eq!(note(&store, &[job()]).await, 1);
    assert_eq!(found(&store).await, ours);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_end_of_an_attempt_finds_its_nameless_jobs_and_no_others(pool: PgPool) {
    let store = open(&pool).await;
    let ours = opened(&store, NAMELESS).await;
    for other in others().into_iter().map(|other| if other.job == OURS.job { Place { job: None, ..other } } else { other }) {
        opened(&store, other).await;
    }
    opened(&store, OURS).await;
    opened(&store, Place { attempt: Some("2"), ..NAMELESS }).await;
    opened(&store, Place { attempt: None, ..NAMELESS }).await;
    assert_eq!(note(&store, &[attempt()]).await, 1);
    assert_eq!(found(&store).await, [ours]);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn no_session_is_opened_for_a_job_that_is_over(pool: PgPool) {
    let store = open(&pool).await;
    assert_eq!(note(&store, &[job(), job(), attempt()]).await, 2);
    for over in [OURS, Place { attempt: None, ..OURS }, NAMELESS] {
        let refused = store.write(record(&store, over)).await.unwrap_err();
        assert!(matches!(refused, WriteError::JobEnded), "{over:?}: {refused:?}");
    }
    assert_eq!(count(&pool, "sessions").await, 0);
    assert_eq!(count(&pool, "token_uses").await, 0, "no use is spent");
    let rerun = Place { attempt: Some("2"), ..NAMELESS };
    let others = others().into_iter().chain([rerun, Place { attempt: None, ..NAMELESS }]);
    for other in others {
        opened(&store, other).await;
    }
    // In one statement with others, it is refused alone.
    let (over, fine) = (record(&store, OURS), record(&store, Place { job: Some("33"), ..OURS }));
    let (over, fine) = tokio::join!(store.write(over), store.write(fine));
    assert!(matches!(over, Err(WriteError::JobEnded)) && fine.is_ok());
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_is_noted_twice_stays_as_it_was(pool: PgPool) {
    let store = open(&pool).await;
    assert_eq!(note(&store, &[job()]).await, 1);
    assert_eq!(note(&store, &[job(), job()]).await, 0);
    assert_eq!(note(&store, &[job(), attempt()]).await, 1);
    assert_eq!(note(&store, &[]).await, 0);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn one_worker_looks_and_another_goes_on_when_it_dies(pool: PgPool) {
    let store = open(&pool).await;
    let now = store.system().now();
    note(&store, &[job(), attempt()]).await;
    let (soon, later) = (now + Duration::seconds(5), now + Duration::seconds(35));
    let first = store.claim_job_ends(soon, later, 1).await.unwrap();
    let second = store.claim_job_ends(soon, later, 100).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(store.claim_job_ends(soon, later, 100).await.unwrap().is_empty(), "both are being looked at");
    store.looked_for_sessions(&[(&first[0], None)]).await.unwrap();
    assert_eq!(store.claim_job_ends(later, later, 100).await.unwrap().len(), 1, "the other one was not heard of again");
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn an_end_is_forgotten_when_no_token_of_its_job_lives(pool: PgPool) {
    let store = open(&pool).await;
    let now = store.system().now();
    note(&store, &[job()]).await;
    let over = now + Duration::minutes(11);
    assert_eq!(store.forget_job_ends(over, 10).await.unwrap(), 0, "its sessions were not looked for yet");
    let due = store.claim_job_ends(over, over, 100).await.unwrap();
    store.looked_for_sessions(&[(&due[0], None)]).await.unwrap();
    assert_eq!(store.forget_job_ends(now + Duration::minutes(9), 10).await.unwrap(), 0);
    assert_eq!(store.forget_job_ends(over, 10).await.unwrap(), 1);
    opened(&store, OURS).await;
    store.close().await;
}
