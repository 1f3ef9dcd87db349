//! A worker, as `service/leases.rs` and `engines/postgres/remove.rs` have it: claim, shut, end sessions, drop, settle. It is
//! the sweep of pending leases too.

use crate::ask::is_of;
use crate::mutants::Mutant;
use crate::protocol::{CLAIM, Protocol, RETRY};
use crate::state::{ASKS, Lease, LeaseState, Login, Stage, State, Worker};

/// A protocol that gives up does so after so many tries.
const TRIES: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// Takes a due lease, in a transaction of its own.
    Claim(usize),
    /// Shuts the login, or plants a tombstone where there is none.
    Shut,
    EndSessions,
    Drop,
    /// Somebody else's object depends on the login.
    DropRefused,
    /// Writes down what came of it, if the claim is still its own.
    Settle,
    /// That cannot be written.
    SettleLost,
}

pub(crate) fn moves(protocol: &Protocol, state: &State, id: usize) -> Vec<Move> {
    let clock = protocol.clock(state, id);
    let lossy = state.left.losses > 0;
    match state.workers[id] {
        Worker::Idle => {
            let due = |ask: &usize| state.asks[*ask].lease.is_some_and(|lease| lease.is_open() && lease.due <= clock);
            (0..ASKS).filter(due).map(Move::Claim).collect()
        }
        Worker::Holds { stage, .. } => match stage {
            Stage::Claimed => vec![Move::Shut],
            Stage::Shut => vec![Move::EndSessions],
            Stage::Ended if lossy && state.up => vec![Move::Drop, Move::DropRefused],
            Stage::Ended => vec![Move::Drop],
            Stage::Gone | Stage::Fenced | Stage::Retry if lossy => vec![Move::Settle, Move::SettleLost],
            Stage::Gone | Stage::Fenced | Stage::Retry => vec![Move::Settle],
        },
    }
}

pub(crate) fn make(protocol: &Protocol, state: &mut State, id: usize, step: Move) {
    let clock = protocol.clock(state, id);
    if let Move::Claim(ask) = step {
        if let Some(lease) = &mut state.asks[ask].lease {
            lease.state = LeaseState::Revoking;
            lease.due = clock + CLAIM;
            lease.attempt += 1;
            lease.claimed_by = Some(id);
            state.workers[id] = Worker::Holds { ask, attempt: lease.attempt, stage: Stage::Claimed };
        }
        return;
    }
    let Worker::Holds { ask, attempt, .. } = state.workers[id] else { return };
    let next = match step {
        Move::Claim(_) => return,
        Move::Shut | Move::EndSessions if !state.up => Stage::Retry,
        Move::Shut => shut(protocol, state, ask, clock),
        Move::EndSessions => end_sessions(protocol, state, ask),
        Move::Drop => drop_login(protocol, state, ask),
        Move::DropRefused => {
            state.left.losses -= 1;
            Stage::Fenced
        }
        Move::Settle => {
            settle(protocol, state, id);
            state.workers[id] = Worker::Idle;
            return;
        }
        Move::SettleLost => {
            state.left.losses -= 1;
            state.workers[id] = Worker::Idle;
            return;
        }
    };
    state.workers[id] = Worker::Holds { ask, attempt, stage: next };
}

fn shut(protocol: &Protocol, state: &mut State, ask: usize, clock: u8) -> Stage {
    let name = protocol.name(ask);
    let held = clock <= state.asks[ask].deadline + protocol.margin();
    match state.logins[name] {
        Login::Absent | Login::Making(_) if protocol.is(Mutant::NoFence) || protocol.is(Mutant::NoTombstone) => Stage::Gone,
        // The name is waited for, and not for long.
        Login::Making(_) => Stage::Retry,
        Login::Absent | Login::Tombstone => {
            state.logins[name] = Login::Tombstone;
            if held { Stage::Fenced } else { Stage::Ended }
        }
        Login::Open(of) => {
            if protocol.is(Mutant::SessionsFirst) {
                state.asks[of].inside = false;
                return Stage::Shut;
            }
            state.logins[name] = Login::Shut(of);
            let lease = state.asks[of].lease;
            let wanted = lease.is_some_and(|lease| lease.state == LeaseState::Active && !lease.unwanted);
            // The replica's own clock counts, as far ahead as it may be.
            state.wrong.early |= wanted && clock < Protocol::end(state, of);
            Stage::Shut
        }
        Login::Shut(_) => Stage::Shut,
    }
}

/// Ends the sessions of whoever was in.
fn end_sessions(protocol: &Protocol, state: &mut State, ask: usize) -> Stage {
    let name = protocol.name(ask);
    if protocol.is(Mutant::SessionsFirst) {
        if let Login::Open(of) = state.logins[name] {
            state.logins[name] = Login::Shut(of);
        }
        return Stage::Ended;
    }
    let login = state.logins[name];
    for (id, ask) in state.asks.iter_mut().enumerate() {
        ask.inside &= !is_of(login, id);
    }
    Stage::Ended
}

/// Drops whatever bears the name. What is not there is dropped already; what is not committed is not seen.
fn drop_login(protocol: &Protocol, state: &mut State, ask: usize) -> Stage {
    if !state.up {
        return Stage::Fenced;
    }
    let login = &mut state.logins[protocol.name(ask)];
    if !matches!(login, Login::Making(_)) {
        *login = Login::Absent;
    }
    Stage::Gone
}

fn settle(protocol: &Protocol, state: &mut State, id: usize) {
    let Worker::Holds { ask, attempt, stage } = state.workers[id] else { return };
    let end = protocol.clock(state, id) + RETRY;
    let Some(lease) = &mut state.asks[ask].lease else { return };
    let mine = lease.claimed_by == Some(id) && lease.attempt == attempt && lease.state == LeaseState::Revoking;
    if !mine && !protocol.is(Mutant::StaleSettles) {
        return;
    }
    state.wrong.reopened |= !lease.is_open() && stage != Stage::Gone;
    let gives_up = protocol.is(Mutant::GivesUp) && stage == Stage::Retry && attempt >= TRIES;
    let (after, due) = match stage {
        Stage::Gone => (LeaseState::Revoked, 0),
        _ if gives_up => (LeaseState::Revoked, 0),
        Stage::Fenced => (LeaseState::Fenced, end),
        _ => (LeaseState::Revoking, end),
    };
    *lease = Lease { state: after, due, claimed_by: None, ..*lease };
    if after == LeaseState::Revoked {
        free_use(protocol, state, ask);
    }
}

/// A use from which nothing came is free again.
fn free_use(protocol: &Protocol, state: &mut State, ask: usize) {
    let token = protocol.plan.tokens[ask];
    let ungranted = !state.asks[ask].granted || protocol.is(Mutant::UseComesBack);
    if ungranted && state.uses[token] == Some(ask) {
        state.uses[token] = None;
    }
}
