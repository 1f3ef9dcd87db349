//! What goes wrong: replicas are killed and frozen, at named points and at any moment; so are sessions of the broker at its targets,
//! and the targets' servers themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use super::dice::Dice;
use super::jobs::Doors;
use super::targets::{PATIENCE, Targets};
use crate::ground::{Ground, Settings};
use crate::mariadb::Mariadb;
use crate::replica::Replica;

/// Places at which a replica can be told to hang, to die, to fail or to be slow.
const POINTS: [&str; 11] = [
    "exchange::before_record",
    "store::record_in_doubt",
    "exchange::after_record",
    "exchange::before_create",
    "exchange::create_answered",
    "exchange::after_create",
    "store::activation_in_doubt",
    "exchange::after_activate",
    "worker::before_revoke",
    "revoke::after_shut",
    "worker::before_settle",
];
/// How long a replica that is to be killed at a named point may take to come there.
const ARRIVES: Duration = Duration::from_secs(6);
/// Longer than the claim of a worker holds.
const LONGER_THAN_A_CLAIM: Duration = Duration::from_secs(63);

/// How often what was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// At a named point.
    pub(crate) named: AtomicU64,
    /// At any moment.
    pub(crate) random: AtomicU64,
    pub(crate) frozen: AtomicU64,
    pub(crate) targets: AtomicU64,
    pub(crate) stop: AtomicBool,
}

impl Done {
    pub(crate) fn kills(&self) -> u64 {
        self.named.load(Ordering::Relaxed) + self.random.load(Ordering::Relaxed)
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The lives of one replica, until it is to stop. Leaves none behind.
pub(crate) async fn replica(
    ground: Arc<Ground>,
    more: String,
    place: usize,
    doors: Doors,
    done: Arc<Done>,
    mut dice: Dice,
) -> Result<()> {
    let mut long = place == 0;
    while !done.stops() {
        let point = if dice.percent(50) { dice.one(&POINTS).copied() } else { None };
        let action = match dice.below(10) {
            0..6 => "hang",
            6 | 7 => "abort",
            8 => "delay:2500",
            _ => "error",
        };
        let failpoints = point.map(|point| format!("{point}={action}")).unwrap_or_default();
        let mut replica = ground.spawn(&Settings { failpoints, more: more.clone(), ..Settings::default() })?;
        if replica.ready().await.is_err() {
            // It came to its point, or a target was away, before it was ready: one more death.
            one_more(if point.is_some() { &done.named } else { &done.random });
            continue;
        }
        stand(&doors, place, Some(&replica));
        let named = match point {
            Some(point) if action == "hang" => {
                let arrived = tokio::time::timeout(ARRIVES, replica.says(&format!("failpoint reached: {point}"))).await;
                tokio::time::sleep(dice.time(0, 300)).await;
                matches!(arrived, Ok(Ok(())))
            }
            _ => {
                tokio::time::sleep(dice.time(300, 4_000)).await;
                if dice.percent(25) || long {
                    let time = if long { LONGER_THAN_A_CLAIM } else { dice.time(200, 5_000) };
                    long = false;
                    freeze(&replica, time, &done).await;
                    tokio::time::sleep(dice.time(0, 1_000)).await;
                }
                action == "abort" && point.is_some()
            }
        };
        stand(&doors, place, None);
        replica.kill()?;
        one_more(if named { &done.named } else { &done.random });
    }
    Ok(())
}

fn stand(doors: &Doors, place: usize, replica: Option<&Replica>) {
    let mut doors = doors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(door) = doors.get_mut(place) {
        *door = replica.map(|replica| replica.native.clone());
    }
}

/// Stops a replica in whatever it does, and lets it go on as if nothing had been.
async fn freeze(replica: &Replica, time: Duration, done: &Done) {
    // It may have died at its point.
    if replica.signal(Signal::STOP).is_ok() {
        one_more(&done.frozen);
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until && !done.stops() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let _ = replica.signal(Signal::CONT);
    }
}

/// What the targets suffer. Their server crashes by the death of a session at work.
pub(crate) async fn targets(targets: Targets, done: Arc<Done>, mut dice: Dice) {
    while !done.stops() {
        tokio::time::sleep(dice.time(500, 5_000)).await;
        // One that is down at the moment has suffered enough.
        if suffer(&targets, &done, &mut dice).await.is_ok() {
            one_more(&done.targets);
        }
    }
}

async fn suffer(targets: &Targets, done: &Done, dice: &mut Dice) -> Result<()> {
    match targets.mariadb() {
        Some(server) if dice.percent(40) => mariadb(server, done, dice).await,
        _ => postgres(targets, done, dice).await,
    }
}

/// It is one process. Whoever started it starts it again when it has died.
async fn mariadb(server: &Mariadb, done: &Done, dice: &mut Dice) -> Result<()> {
    let mut look = tokio::time::timeout(PATIENCE, server.look()).await??;
    let file: String = sqlx::query_scalar("select @@pid_file").fetch_one(&mut look).await?;
    let process: i32 = std::fs::read_to_string(&file)?.trim().parse()?;
    match dice.below(10) {
        0..3 => signal(process, Signal::KILL)?,
        3..6 => {
            signal(process, Signal::STOP)?;
            let until = tokio::time::Instant::now() + dice.time(200, 7_000);
            while tokio::time::Instant::now() < until && !done.stops() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            signal(process, Signal::CONT)?;
        }
        _ => {
            let sessions: Vec<i64> =
                sqlx::query_scalar("select cast(id as signed) from information_schema.processlist where user = ?")
                    .bind(&server.admin)
                    .fetch_all(&mut look)
                    .await?;
            let session = *dice.one(&sessions).ok_or_else(|| anyhow::anyhow!("nobody is there"))?;
            server.run(&format!("kill connection {session}")).await?;
        }
    }
    Ok(())
}

async fn postgres(targets: &Targets, done: &Done, dice: &mut Dice) -> Result<()> {
    let mut look = targets.look().await?;
    let sessions: Vec<i32> =
        sqlx::query_scalar("select pid from pg_stat_activity where application_name = 'daypass' and datname = any ($1)")
            .bind(targets.databases())
            .fetch_all(&mut look)
            .await?;
    let session = *dice.one(&sessions).ok_or_else(|| anyhow::anyhow!("nobody is there"))?;
    match dice.below(10) {
        0..3 => signal(session, Signal::KILL)?,
        3..7 => {
            let _ = sessions.iter().try_for_each(|session| signal(*session, Signal::STOP));
            let until = tokio::time::Instant::now() + dice.time(200, 7_000);
            while tokio::time::Instant::now() < until && !done.stops() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // One that has ended meanwhile needs no waking.
            for session in &sessions {
                let _ = signal(*session, Signal::CONT);
            }
        }
        _ => {
            sqlx::query("select pg_terminate_backend($1)").bind(session).execute(&mut look).await?;
        }
    }
    Ok(())
}

fn signal(process: i32, signal: Signal) -> Result<()> {
    let process = Pid::from_raw(process).ok_or_else(|| anyhow::anyhow!("no process"))?;
    Ok(kill_process(process, signal)?)
}
