//! Named places at which a test can stop, fail or delay this process. Without the feature `failpoints` nothing is left
//! of them in the binary.
//!
//! `DAYPASS_FAILPOINTS="exchange::after_record=hang;worker::before_settle=error"`: `hang` writes the name to standard
//! error and waits for ever (to be killed there), `error` fails the step, `delay:MILLISECONDS` waits, `panic` is a defect, `abort` ends the
//! process.

/// A failpoint told this step to fail.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("failpoint {0}")]
pub struct Injected(pub &'static str);

/// Passes `name`, or does what the environment says for it.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unused_async, reason = "the same signature as with the feature")]
pub async fn pass(_name: &'static str) -> Result<(), Injected> {
    Ok(())
}

/// Passes `name`, or does what the environment says for it.
#[cfg(feature = "failpoints")]
#[expect(clippy::print_stderr, clippy::panic, reason = "the harness waits for the line, and asks for the panic")]
pub async fn pass(name: &'static str) -> Result<(), Injected> {
    static PLAN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let plan = PLAN.get_or_init(|| std::env::var("DAYPASS_FAILPOINTS").unwrap_or_default());
    let action = plan.split(';').filter_map(|entry| entry.split_once('=')).find(|(at, _)| *at == name).map(|(_, action)| action);
    match action {
        None => Ok(()),
        Some("error") => Err(Injected(name)),
        Some("abort") => std::process::abort(),
        Some("panic") => panic!("failpoint {name}"),
        Some("hang") => {
            eprintln!("failpoint reached: {name}");
            std::future::pending().await
        }
        Some(action) => {
            let millis = action.strip_prefix("delay:").and_then(|text| text.parse().ok()).unwrap_or(1000);
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
            Ok(())
        }
    }
}
