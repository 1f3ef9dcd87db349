//! The crash matrix as a table: the broker dies, panics, fails or is slow at each step of an exchange, of a renewal and of taking back;
//! its log refuses a record, a create outlasts the sweep, the client leaves. A login never exists without its lease, none is alive after
//! the sweep, what was answered stands in the log, and a token from which nothing came can be exchanged again. Which row is shown where,
//! those of outages too: [`rows`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use integration::replica::{PATIENCE, Replica};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

mod clock;
mod exchange;
mod leaving;
mod log;
mod overlap;
mod renewal;
mod root_key;
mod rows;
mod stopping;
mod taking_back;

/// Rows at once. Each has brokers of its own, and a database server has only so many connections.
const AT_ONCE: usize = 8;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Abort,
    Panic,
    Error,
    Delay,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Abort, Self::Panic, Self::Error, Self::Delay];

    fn at(self, point: &str, milliseconds: u32) -> Settings {
        let failpoints = match self {
            Self::Abort => format!("{point}=abort"),
            Self::Panic => format!("{point}=panic"),
            Self::Error => format!("{point}=error"),
            Self::Delay => format!("{point}=delay:{milliseconds}"),
        };
        Settings { failpoints, ..Settings::default() }
    }
}

/// A step with what a death or an error there leaves behind.
#[derive(Clone, Copy)]
enum Step {
    Exchange(&'static str, exchange::Left),
    /// The sweep is faster than the second commit.
    Overtaken,
    /// The target is still making the login when the sweep comes.
    Overlap(overlap::Then),
    /// The client goes away after so many bytes of the answer, or before there is one.
    Leaving(leaving::After),
    /// The log takes no record.
    LogRefuses(log::When),
    TakingBack(&'static str),
    Renewal(&'static str, renewal::Moved),
}

/// In the order of the protocol; the numbers are those of the crash matrix.
const MATRIX: [Step; 23] = {
    use Step::{Exchange, Leaving, LogRefuses, Overlap, Overtaken, Renewal, TakingBack};
    use exchange::Left::{Granted, Nothing, Pending};
    use renewal::Moved::{Both, Neither, Row};
    [
        // 1
        Exchange("exchange::before_record", Nothing),
        // 1, 13: the database refuses the first commit.
        Exchange("store::record_refused", Nothing),
        // 2: it is written, and the acknowledgement is lost.
        Exchange("store::record_in_doubt", Pending),
        // 3
        Exchange("exchange::after_record", Pending),
        // 3, 6
        Exchange("exchange::before_create", Pending),
        // 4: it is made, and the target's answer is lost.
        Exchange("exchange::create_answered", Pending),
        // 5
        Overlap(overlap::Then::Lands),
        Overlap(overlap::Then::IsRolledBack),
        // 7
        Exchange("exchange::after_create", Pending),
        // 7, 13: the database refuses the second commit.
        Exchange("store::activation_refused", Pending),
        // 8
        Exchange("store::activation_in_doubt", Granted),
        // 9
        Overtaken,
        // 10 and 12
        Exchange("exchange::after_activate", Granted),
        // 11
        Leaving(leaving::After::HalfOfIt),
        Leaving(leaving::After::Asking),
        // 13
        LogRefuses(log::When::AtOnce),
        LogRefuses(log::When::Meanwhile),
        // 14, 17, 18
        TakingBack("worker::before_revoke"),
        // 15, 17, 18
        TakingBack("revoke::after_shut"),
        // 16, 17, 18
        TakingBack("worker::before_settle"),
        Renewal("renew::before_record", Neither),
        Renewal("renew::after_record", Row),
        Renewal("renew::after_prolong", Both),
    ]
};

#[test]
fn at_every_row_of_the_crash_matrix_nothing_leaks_and_nothing_goes_out_unrecorded() {
    // Each on an installation of its own, several at once: most of the time they wait for deadlines.
    let rows = Arc::new(Mutex::new(MATRIX.into_iter()));
    let threads: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let rows = Arc::clone(&rows);
            std::thread::spawn(move || {
                let next = || rows.lock().unwrap_or_else(PoisonError::into_inner).next();
                let outcomes = std::iter::from_fn(next).map(|step| std::panic::catch_unwind(|| alone(step)).is_err());
                outcomes.filter(|failed| *failed).count()
            })
        })
        .collect();
    let failed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(failed, 0, "rows failed; see above");
}

fn alone(step: Step) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ground = Ground::new().await.unwrap();
        match step {
            Step::Exchange(point, left) => exchange::row(&ground, point, left).await,
            Step::Overtaken => exchange::overtaken(&ground).await,
            Step::Overlap(then) => overlap::row(&ground, then).await,
            Step::Leaving(after) => leaving::row(&ground, after).await,
            Step::LogRefuses(when) => log::row(&ground, when).await,
            Step::TakingBack(point) => taking_back::row(&ground, point).await,
            Step::Renewal(point, moved) => renewal::row(&ground, point, moved).await,
        }
    });
}

/// Starts a broker, few at a time, so that none takes too long for its own deadlines.
async fn start(ground: &Ground, settings: &Settings) -> Replica {
    static STARTS: Semaphore = Semaphore::const_new(3);
    let _turn = STARTS.acquire().await.unwrap();
    ground.start_with_keys(settings).await.unwrap()
}

fn database(ttl: &str) -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": ttl})
}

fn token() -> String {
    Ci::shared().unwrap().github(&deploy_claims()).unwrap()
}

/// Waits for the end of a process that ends itself at its point.
async fn died(mut replica: Replica, point: &str) {
    let status = replica.ended().await.unwrap_or_else(|error| panic!("{point}: {error}"));
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{point}: {}", replica.output());
}

/// Every login has an open lease. The logins are read before the leases, so that one that is taken back between is no fault.
async fn no_login_without_a_lease(ground: &Ground) -> usize {
    let logins = ground.databases.logins().await.unwrap();
    let mut records = ground.databases.records().await.unwrap();
    let leases: Vec<String> = sqlx::query_scalar("select upstream from daypass.leases where upstream is not null")
        .fetch_all(&mut records)
        .await
        .unwrap();
    for login in &logins {
        assert!(leases.contains(login), "{login} has no lease");
    }
    logins.len()
}

/// Watches until nothing is left at the target and every lease has ended.
async fn swept(ground: &Ground, what: &str) {
    let until = Instant::now() + 2 * PATIENCE + Duration::from_mins(1);
    loop {
        let logins = no_login_without_a_lease(ground).await;
        let open = ground.databases.count("leases where due_at is not null").await.unwrap();
        if logins == 0 && open == 0 {
            return;
        }
        assert!(Instant::now() < until, "{what}: {logins} login(s), {open} open lease(s) after the sweep's time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The leases, oldest first.
async fn leases(ground: &Ground) -> Vec<Uuid> {
    let mut records = ground.databases.records().await.unwrap();
    sqlx::query_scalar("select id from daypass.leases order by id").fetch_all(&mut records).await.unwrap()
}

/// What the log says of a lease and its session. That something is tried again is told once for each reason.
async fn story(ground: &Ground, lease: Uuid) -> Vec<String> {
    let mut kinds: Vec<String> = sqlx::query_scalar(
        "select a.kind from daypass.audit_records a join daypass.leases l on l.id = $1
         where a.lease_id = l.id or (a.session_id = l.session_id and a.kind in ('exchange.asked', 'exchange.granted')) order by a.id",
    )
    .bind(lease)
    .fetch_all(&mut ground.databases.records().await.unwrap())
    .await
    .unwrap();
    // A name that is held, and what another worker was just doing.
    for (passing, reasons) in [("lease.fenced", 2), ("lease.retried", 1)] {
        assert!(kinds.iter().filter(|kind| *kind == passing).count() <= reasons, "told again and again: {kinds:?}");
        kinds.retain(|kind| kind != passing);
    }
    kinds
}

/// Makes everything that waits due now: a dead worker's claim ends in a minute, and the test does not wait for that.
async fn make_due(ground: &Ground) {
    let mut records = ground.databases.records().await.unwrap();
    sqlx::query("update daypass.leases set due_at = issued_at where due_at is not null").execute(&mut records).await.unwrap();
}
