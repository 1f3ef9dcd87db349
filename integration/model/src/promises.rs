//! What is promised, and what must be reachable for the promises to mean something.
//!
//! That everything ends is promised of states in which nothing can happen any more. No run of a plan is endless — each step
//! makes somebody's place, an attempt, the time or a fault move one way — so every run that is not cut short comes to such a
//! state, and "in the end" means there.

use stateright::{Model as _, Property};

use crate::protocol::Protocol;
use crate::state::{ASKS, LeaseState, Login, Stage, State, Step, Wire, Worker};

pub(crate) const NO_ORPHAN: &str = "no login lives without an open lease";
pub(crate) const ONE_LIVES: &str = "one token never has two live logins";
pub(crate) const ONE_ANSWER: &str = "one token without a key is answered once";
pub(crate) const RECORDED: &str = "nobody has a credential that is not granted on record";
pub(crate) const REMEMBERED: &str = "no lease without its records";
pub(crate) const NOBODY_IN: &str = "when a lease is over nobody gets in or is in";
pub(crate) const NOT_EARLY: &str = "no lease is taken back before its end, unless given back";
pub(crate) const FINAL: &str = "a lease that is over is never touched again";
pub(crate) const ALL_ENDS: &str = "in the end every lease is over and every login gone";
pub(crate) const USE_FREE: &str = "in the end a use from which nothing came is free";

pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(NO_ORPHAN, |_: &Protocol, state: &State| every(|ask| !state.is_alive(ask) || state.is_open(ask))),
        Property::always(ONE_LIVES, one_lives),
        Property::always(ONE_ANSWER, one_answer),
        Property::always(RECORDED, |_: &Protocol, state: &State| state.asks.iter().all(|ask| !ask.answered || ask.granted)),
        Property::always(REMEMBERED, remembered),
        Property::always(NOBODY_IN, nobody_in),
        Property::always(NOT_EARLY, |_: &Protocol, state: &State| !state.wrong.early),
        Property::always(FINAL, |_: &Protocol, state: &State| !state.wrong.reopened),
        Property::always(ALL_ENDS, |protocol: &Protocol, state: &State| {
            !is_end(protocol, state) || every(|ask| !state.is_open(ask) && !state.is_alive(ask) && !state.asks[ask].inside)
        }),
        Property::always(USE_FREE, |protocol: &Protocol, state: &State| {
            !is_end(protocol, state) || state.uses.iter().flatten().all(|ask| state.asks[*ask].granted)
        }),
    ];
    // Of a protocol that is wrong nothing of the kind is asked.
    if protocol.mutant.is_none() {
        all.extend(reached(protocol));
    }
    all
}

/// What a right protocol must come to somewhere, or its promises would be empty.
fn reached(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::sometimes("reached: a job is in, and later its lease is over", |_: &Protocol, state: &State| {
            state.asks.iter().any(|ask| ask.answered && ask.lease.is_some_and(|lease| lease.state == LeaseState::Revoked))
        }),
        Property::sometimes("reached: a create comes after its tombstone", |_: &Protocol, state: &State| {
            state.logins.contains(&Login::Tombstone) && state.asks.iter().any(|ask| ask.wire == Wire::Sent)
        }),
        Property::sometimes("reached: the sweep meets a create that is not committed", |_: &Protocol, state: &State| {
            let meets = |worker: &Worker| matches!(worker, Worker::Holds { ask, stage: Stage::Claimed, .. } if matches!(state.logins[*ask], Login::Making(_)));
            state.workers.iter().any(meets)
        }),
    ];
    if protocol.plan.faults.stalls > 0 {
        all.push(Property::sometimes("reached: a worker wakes after its lease is over", |_: &Protocol, state: &State| {
            let wakes = |worker: &Worker| matches!(worker, Worker::Holds { ask, .. } if !state.is_open(*ask));
            state.workers.iter().any(wakes)
        }));
    }
    if protocol.plan.asks > 1 && protocol.plan.repeats {
        all.push(Property::sometimes("reached: a repeat is answered in place of the first", |_: &Protocol, state: &State| {
            state.asks.iter().all(|ask| ask.answered)
        }));
    }
    if protocol.plan.asks > 1 && protocol.plan.tokens[0] == protocol.plan.tokens[1] && protocol.plan.faults.crashes > 0 {
        all.push(Property::sometimes(
            "reached: a token is used again after nothing came of it",
            |_: &Protocol, state: &State| {
                let [first, second] = &state.asks;
                first.asked && !first.answered && first.step == Step::Over && second.answered
            },
        ));
    }
    all
}

fn every(holds: impl Fn(usize) -> bool) -> bool {
    (0..ASKS).all(holds)
}

fn is_end(protocol: &Protocol, state: &State) -> bool {
    let mut actions = Vec::new();
    protocol.actions(state, &mut actions);
    actions.is_empty()
}

fn one_lives(protocol: &Protocol, state: &State) -> bool {
    let tokens = protocol.plan.tokens;
    protocol.plan.asks < 2 || tokens[0] != tokens[1] || !every(|ask| state.is_alive(ask))
}

fn one_answer(protocol: &Protocol, state: &State) -> bool {
    let Protocol { plan, .. } = protocol;
    plan.asks < 2 || plan.repeats || plan.tokens[0] != plan.tokens[1] || !state.asks.iter().all(|ask| ask.answered)
}

fn remembered(_: &Protocol, state: &State) -> bool {
    state.asks.iter().all(|ask| match ask.lease {
        None => true,
        Some(lease) => ask.asked && (lease.state != LeaseState::Active || ask.granted),
    })
}

fn nobody_in(_: &Protocol, state: &State) -> bool {
    every(|ask| {
        let over = state.asks[ask].lease.is_some_and(|lease| lease.state == LeaseState::Revoked);
        !over || !(state.is_alive(ask) || state.asks[ask].inside)
    })
}
