//! What the kernel says about processes: the CPU time they took and the memory they hold. Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Linux tells user space of 100 ticks a second on every machine that the broker is built for.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of one process, all its threads included, and of children that have ended.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = Stat::read(pid).with_context(|| format!("process {pid} is gone"))?;
    Ok(stat.own + stat.ended_children)
}

/// The same with the children that live: for PostgreSQL, whose backends are processes.
pub fn cpu_of_family(pid: u32) -> Result<Duration> {
    let mut total = cpu(pid)?;
    for entry in fs::read_dir("/proc")? {
        let Some(other) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has ended meanwhile is counted by its parent the next time.
        let Some(stat) = Stat::read(other) else { continue };
        if stat.parent == pid {
            total += stat.own + stat.ended_children;
        }
    }
    Ok(total)
}

/// The CPU time of the thread that asks, as exact as the scheduler knows it.
pub fn cpu_of_this_thread() -> Result<Duration> {
    // Giving way makes the scheduler account for the time until now.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("this kernel does not tell a thread's CPU time")?;
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok()).context("schedstat is not as expected")?;
    Ok(Duration::from_nanos(nanos))
}

/// Memory in MB (10^6 bytes) that a process has in RAM.
pub fn resident_mb(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the process has no memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1_024.0 / 1_000_000.0)
}

struct Stat {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in parentheses may hold anything; what follows it are numbers.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Self { parent: ticks(1)?, own: TICK * (ticks(11)? + ticks(12)?), ended_children: TICK * (ticks(13)? + ticks(14)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_behind_any_name() {
        let stat = Stat::parse("17 (a) b) S 3 17 17 0 -1 4194560 9 8 7 6 100 20 5 1 20 0 1 0 1 2 3").unwrap();
        assert_eq!((stat.parent, stat.own, stat.ended_children), (3, TICK * 120, TICK * 6));
    }

    #[test]
    fn sees_the_work_of_this_thread() {
        let before = cpu_of_this_thread().unwrap();
        let mut sum = 0u64;
        while cpu_of_this_thread().unwrap() < before + Duration::from_millis(5) {
            sum = (0..10_000).fold(sum, |sum, number| sum.wrapping_mul(31).wrapping_add(number));
        }
        assert!(resident_mb(std::process::id()).unwrap() > 0.1, "{sum}");
    }
}
