//! `daypass-chaos`: what `./dev chaos` runs.

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the end of the process is told on standard error")]
fn main() -> ExitCode {
    match integration::chaos::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("daypass-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}
