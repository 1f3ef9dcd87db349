//! Row 1: what believing a token costs beside the bare check of its signature.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use broker::crypto::jws::{Algorithm, KeySet};
use broker::oidc::verifier::Presented;
use broker::service::policies::load_folder;
use broker::system::System;

use crate::bench::ground::Ground;
use crate::bench::plan::Plan;
use crate::bench::process::cpu_of_this_thread;
use crate::bench::table::{Bound, Row, Unit, median};
use crate::bench::tokens::Parts;

pub async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let (signer, policies, system) = (ground.signer.clone(), ground.path("policies"), ground.system.clone());
    let document = signer.key_set().to_string();
    let measured = tokio::task::spawn_blocking(move || {
        let set = load_folder(&policies)?;
        let keys = KeySet::admit(document.as_bytes(), Algorithm::DEFAULT).context("the bench's own keys are refused")?;
        let bare = signer.public_key()?;
        let token = signer.token()?;
        let parts = Parts::of(&token)?;
        let path = || believe(&token, &set, &keys, &system);
        let signature = || bare.verify_sig(black_box(&parts.signed), &parts.signature).map_err(anyhow::Error::from);
        // What is cold is measured by nobody.
        timed(plan.verifications / 10, path)?;
        timed(plan.verifications / 10, signature)?;
        let mut pairs = Vec::new();
        for _ in 0..plan.repeats.max(5) {
            pairs.push((timed(plan.verifications, path)?, timed(plan.verifications, signature)?));
        }
        Ok::<_, anyhow::Error>((token.len(), pairs))
    });
    let (bytes, pairs) = measured.await??;
    let ratios: Vec<f64> = pairs.iter().map(|(path, signature)| path / signature).collect();
    let (path, signature) = (column(&pairs, |pair| pair.0), column(&pairs, |pair| pair.1));
    let row = Row::new("1", "token verify path, CPU", &ratios, Unit::Times, Bound::AtMost(1.8), Bound::AtMost(1.3));
    Ok(vec![row.told(format!("{path:.1} µs ({bytes} B)"), format!("bare RS256 verify, key parsed: {signature:.1} µs"))])
}

fn believe(token: &str, set: &domain::policy::PolicySet, keys: &KeySet, system: &System) -> Result<()> {
    let presented = Presented::read(black_box(token))?;
    let issuer = presented.issuer(set)?;
    let key = keys.key(presented.key_id());
    let verified = presented.accept(&issuer, key, Duration::ZERO, system.now(), 30)?;
    anyhow::ensure!(black_box(&verified).claims.text("sub").is_some(), "the token has no sub");
    Ok(())
}

/// CPU microseconds of one call.
fn timed(count: usize, call: impl Fn() -> Result<()>) -> Result<f64> {
    let before = cpu_of_this_thread()?;
    for _ in 0..count {
        call()?;
    }
    let took = cpu_of_this_thread()?.saturating_sub(before);
    Ok(took.as_secs_f64() * 1e6 / count.max(1) as f64)
}

fn column(pairs: &[(f64, f64)], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    median(&pairs.iter().map(of).collect::<Vec<_>>())
}
