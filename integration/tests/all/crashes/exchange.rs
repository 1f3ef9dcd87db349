//! The steps of an exchange.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Left {
    Nothing,
    Pending,
    /// It counts as handed out; the lease ends at its own time.
    Granted,
}

pub(super) async fn row(ground: &Ground, point: &'static str, left: Left) {
    let mut asked = Vec::new();
    let mut last = None;
    for mode in Mode::ALL {
        let replica = start(ground, &mode.at(point, 1_500)).await;
        if mode == Mode::Error {
            used_at_once(&replica, point, left, &asked).await;
        }
        let (token, before, began) = (token(), leases(ground).await, Instant::now());
        let answer = replica.native.exchange(&token, database("6s")).await;
        no_login_without_a_lease(ground).await;
        match (mode, answer) {
            (Mode::Abort, Err(_)) => died(replica, point).await,
            (Mode::Panic | Mode::Error, Ok(answer)) => {
                assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "unavailable"), "{point}");
                assert!(answer.header("retry-after").parse::<u32>().is_ok());
                assert!(!answer.body.contains("failpoint"), "the reason is for the operators: {answer:?}");
                if mode == Mode::Panic {
                    serves_on(&replica, point).await;
                }
            }
            (Mode::Delay, Ok(answer)) => {
                let granted = answer.granted().unwrap_or_else(|error| panic!("{point}: {error}"));
                let credential = &granted.credentials["database"];
                assert!(ground.login(&credential.values).await.is_ok(), "{point}: what is answered works");
                let lease = credential.lease_id.as_deref().unwrap().parse().unwrap();
                assert_eq!(
                    story(ground, lease).await,
                    ["exchange.asked", "exchange.granted"],
                    "{point}: recorded before it goes out"
                );
                last = Some(replica);
            }
            (mode, answer) => panic!("{point} {mode:?}: {answer:?}"),
        }
        let new: Vec<Uuid> = leases(ground).await.into_iter().filter(|lease| !before.contains(lease)).collect();
        asked.push(Asked { mode, token, began, lease: new.first().copied() });
        assert!(new.len() <= 1, "{point} {mode:?}: one lease at most of one ask");
    }
    swept(ground, point).await;
    let replica = last.unwrap();
    for Asked { mode, token, lease, .. } in &asked {
        let granted = *mode == Mode::Delay || left == Left::Granted;
        match lease {
            Some(lease) => {
                let story = story(ground, *lease).await;
                assert_eq!(story.first().map(String::as_str), Some("exchange.asked"), "{point} {mode:?}: {story:?}");
                assert_eq!(story.contains(&"exchange.granted".to_owned()), granted, "{point} {mode:?}: {story:?}");
                let ends = story.iter().filter(|kind| *kind == "lease.revoked").count();
                assert_eq!((ends, story.last().map(String::as_str)), (1, Some("lease.revoked")), "{point} {mode:?}: {story:?}");
            }
            None => assert_eq!((left, granted), (Left::Nothing, false), "{point} {mode:?}: it left no lease"),
        }
        let again = replica.native.exchange(token, database("1m")).await.unwrap();
        if granted {
            assert_eq!((again.status, again.code().as_str()), (401, "token_already_used"), "{point} {mode:?}");
        } else {
            let granted = again.granted().unwrap_or_else(|error| panic!("{point} {mode:?}: the use is free again: {error}"));
            assert!(ground.login(&granted.credentials["database"].values).await.is_ok());
        }
    }
}

/// A panic is told as a defect, and costs the request in which it was.
async fn serves_on(replica: &Replica, point: &str) {
    assert!(replica.output().contains("this is a defect"), "{point}: {}", replica.output());
    let stranger = Ci::shared().unwrap().github(&json!({"repository_id": "1"})).unwrap();
    assert_eq!(replica.native.exchange(&stranger, database("6s")).await.unwrap().status, 403, "{point}: the doors go on");
    let told = replica.metrics.ask("GET", "/metrics", None, None).await.unwrap().body;
    let in_request = !point.ends_with("_refused");
    assert_eq!(told.contains("kind=\"request_panicked\""), in_request, "{point}: {told}");
    assert!(!told.contains("denial_not_recorded"), "{point}: the group writer goes on: {told}");
}

struct Asked {
    mode: Mode,
    token: String,
    began: Instant,
    lease: Option<Uuid>,
}

/// Before the sweep, what was made may still be alive, and the token is not free.
async fn used_at_once(replica: &Replica, point: &str, left: Left, asked: &[Asked]) {
    let Some(Asked { token, began, .. }) = asked.first().filter(|_| left != Left::Nothing) else { return };
    let early = replica.native.exchange(token, database("6s")).await.unwrap();
    // On a busy machine the sweep may have come first.
    if began.elapsed() < Duration::from_secs(9) {
        assert_eq!(early.code(), "token_already_used", "{point}: what was made may still be alive");
    }
}

/// The second commit comes after the sweep has taken the lease back: nothing is answered.
pub(super) async fn overtaken(ground: &Ground) {
    let slow = start(ground, &Mode::Delay.at("exchange::after_create", 6_000)).await;
    let (door, token) = (slow.native.clone(), token());
    let sent = token.clone();
    let asking = tokio::spawn(async move { door.exchange(&sent, database("1m")).await });
    let until = Instant::now() + PATIENCE;
    while ground.databases.logins().await.unwrap().is_empty() {
        assert!(Instant::now() < until, "{}", slow.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its own worker is as good as another's.
    make_due(ground).await;
    let answer = asking.await.unwrap().unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    swept(ground, "overtaken").await;
    let all = leases(ground).await;
    assert_eq!(story(ground, all[0]).await, ["exchange.asked", "lease.revoked"]);
    let again = slow.native.exchange(&token, database("6s")).await.unwrap();
    assert_eq!(again.status, 200, "the use is free again: {again:?}");
}
