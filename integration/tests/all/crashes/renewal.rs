//! The steps of a renewal: a login never lasts longer than its row says, and renewing again mends what was left in between.

use time::OffsetDateTime;

use super::*;

/// How long after its row the target's own end may lie.
const MARGIN: time::Duration = time::Duration::seconds(31);

/// What has been moved when the broker dies or fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moved {
    Neither,
    /// The lease's row alone.
    Row,
    Both,
}

pub(super) async fn row(ground: &Ground, point: &'static str, moved: Moved) {
    let healthy = start(ground, &Settings::default()).await;
    for mode in Mode::ALL {
        let granted = healthy.native.exchange(&token(), database("1m")).await.unwrap().granted().unwrap();
        let credential = &granted.credentials["database"];
        let (user, lease) = (&credential.values["username"], credential.lease_id.as_deref().unwrap());
        let session = granted.session.token.as_deref().unwrap();
        let (row, login) = ends(ground, lease, user).await;
        let path = format!("/api/v1/leases/{lease}/renew");
        let longer = json!({"ttl": "5m"});

        let replica = start(ground, &mode.at(point, 1_500)).await;
        let answer = replica.native.post(&path, session, &longer).await;
        match (mode, answer) {
            (Mode::Abort, Err(_)) => died(replica, point).await,
            (Mode::Panic | Mode::Error, Ok(answer)) => {
                assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{point}");
            }
            (Mode::Delay, Ok(answer)) => assert_eq!(answer.status, 200, "{point}: {answer:?}"),
            (mode, answer) => panic!("{point} {mode:?}: {answer:?}"),
        }
        let (row_now, login_now) = ends(ground, lease, user).await;
        assert!(login_now <= row_now + MARGIN, "{point} {mode:?}: the login outlives its row");
        let moved = if mode == Mode::Delay { Moved::Both } else { moved };
        assert_eq!((row_now > row, login_now > login), (moved != Moved::Neither, moved == Moved::Both), "{point} {mode:?}");
        let id: Uuid = lease.parse().unwrap();
        let renewals = |story: Vec<String>| story.iter().filter(|kind| *kind == "lease.renewed").count();
        assert_eq!(
            renewals(story(ground, id).await),
            usize::from(moved != Moved::Neither),
            "{point} {mode:?}: what moved is told"
        );
        assert!(ground.login(&credential.values).await.is_ok(), "{point} {mode:?}: it goes on working");

        let again = healthy.native.post(&path, session, &longer).await.unwrap();
        assert_eq!(again.status, 200, "{point} {mode:?}: {again:?}");
        let (row, login) = ends(ground, lease, user).await;
        assert!(row >= row_now && login > row && login <= row + MARGIN, "{point} {mode:?}: {row} {login}");
        let ended = healthy.native.delete("/api/v1/session", session).await.unwrap();
        assert_eq!(ended.json()["leases"][0]["state"].as_str(), Some("revoked"), "{point} {mode:?}: {ended:?}");
        assert!(ground.login(&credential.values).await.is_err(), "{point} {mode:?}");
    }
    swept(ground, point).await;
}

/// When the row says that the lease ends, and when the target says that the login does.
async fn ends(ground: &Ground, lease: &str, user: &str) -> (OffsetDateTime, OffsetDateTime) {
    let mut records = ground.databases.records().await.unwrap();
    let row = sqlx::query_scalar("select expires_at from daypass.leases where id::text = $1").bind(lease);
    let row = row.fetch_one(&mut records).await.unwrap();
    let login = sqlx::query_scalar("select rolvaliduntil from pg_roles where rolname = $1").bind(user);
    (row, login.fetch_one(&mut records).await.unwrap())
}
