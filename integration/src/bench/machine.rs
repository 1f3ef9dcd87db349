//! Where a run took place: without it, figures say nothing.

use std::fmt;
use std::fs;

use anyhow::Result;
use serde::Serialize;

use super::ground::{Ground, SETTINGS};

/// The machine and what else it was doing.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    processor: String,
    memory_gib: u64,
    system: String,
    kernel: String,
    postgres: String,
    settings: Vec<&'static str>,
    load_generator: &'static str,
    /// The load average of a minute: before, after. The run itself makes about as many as there are cores.
    load_before: String,
    load_after: String,
}

impl Machine {
    pub async fn look(ground: &Ground) -> Result<Self> {
        let mut database = ground.database().await?;
        let field = |file: &str, name: &str, stop: char| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split_once(stop).map_or_else(String::new, |(_, value)| value.trim().trim_matches('"').to_owned())
        };
        let memory: u64 = field("/proc/meminfo", "MemTotal", ':').trim_end_matches(" kB").parse().unwrap_or(0);
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: field("/proc/cpuinfo", "model name", ':'),
            memory_gib: (memory + 512 * 1024) / (1024 * 1024),
            system: field("/etc/os-release", "PRETTY_NAME", '='),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            postgres: sqlx::query_scalar("show server_version").fetch_one(&mut database).await?,
            settings: SETTINGS.to_vec(),
            load_generator: "daypass-bench, on the same cores",
            load_before: load()?,
            load_after: String::new(),
        })
    }

    pub fn look_again(&mut self) -> Result<()> {
        self.load_after = load()?;
        Ok(())
    }
}

fn load() -> Result<String> {
    Ok(fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, memory_gib, system, kernel, postgres, load_generator, .. } = self;
        writeln!(f, "{cores} cores ({processor}), {memory_gib} GiB, {system}, Linux {kernel}")?;
        writeln!(f, "PostgreSQL {postgres}, {}", self.settings.join(", "))?;
        write!(f, "load generator: {load_generator}; load average {} before, {} after", self.load_before, self.load_after)
    }
}
