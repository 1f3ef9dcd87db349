//! `daypass-bench`: what `./dev bench` runs.

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the end of the process is told on standard error")]
fn main() -> ExitCode {
    match integration::bench::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("daypass-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
