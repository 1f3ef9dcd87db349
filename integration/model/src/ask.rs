//! The steps of an exchange, as `service/exchange.rs` and the group writer take them: record, create, activate, answer.

use crate::mutants::Mutant;
use crate::protocol::{CREATE, Protocol};
use crate::state::{Lease, LeaseState, Login, State, Step, Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// Verify, decide, name what will be made, fix the deadline.
    Plan,
    /// The first transaction: the use, the lease, "asked". Refused if the use is spent.
    Record,
    /// It commits, and nobody learns that.
    RecordUnheard,
    /// What the first attempt made is gone: in its place now.
    Replace,
    /// It is not gone in time.
    StopWaiting,
    /// The create leaves for the target, unless the deadline has passed.
    Send,
    /// The target's answer arrives.
    Hear,
    /// It does not.
    HearNothing,
    /// The deadline passes before it does.
    TimeOut,
    /// The second transaction: active and "granted", if the lease is still pending.
    Activate,
    /// It commits, and nobody learns that.
    ActivateUnheard,
    /// It does not commit, and nobody learns that either.
    ActivateLost,
    /// Only where the log is written apart.
    Log,
    /// The credential leaves.
    Answer,
    /// Nobody is there to take it.
    Leave,
    /// The lease is given back by the process that made it.
    Yield,
    /// That cannot be written.
    YieldLost,
    /// The job logs in anew.
    Reconnect,
    /// The job gives its lease back.
    GiveBack,
}

pub(crate) fn moves(protocol: &Protocol, state: &State, id: usize) -> Vec<Move> {
    let ask = &state.asks[id];
    let clock = protocol.clock(state, protocol.plan.replicas[id]);
    let mut moves = Vec::new();
    let mut may = |holds: bool, step| {
        if holds {
            moves.push(step);
        }
    };
    let lossy = state.left.losses > 0;
    match ask.step {
        // The first ask comes at the beginning; a world in which it comes later is the same world later.
        Step::Waiting => may(if id == 0 { state.now == 0 } else { state.now < protocol.plan.horizon }, Move::Plan),
        Step::Planned => {
            may(true, Move::Record);
            may(lossy && state.uses[protocol.plan.tokens[id]].is_none(), Move::RecordUnheard);
        }
        Step::Looked => may(true, Move::Record),
        Step::Repeating(first) => {
            let gone = !state.is_open(first) || protocol.is(Mutant::RepeatAtOnce);
            may(gone, Move::Replace);
            may(!gone, Move::StopWaiting);
        }
        Step::Recorded => may(true, Move::Send),
        Step::Creating => {
            may(matches!(ask.wire, Wire::Done | Wire::Failed), Move::Hear);
            may(lossy, Move::HearNothing);
            may(clock >= ask.deadline, Move::TimeOut);
        }
        Step::Made => {
            may(true, Move::Activate);
            may(lossy, Move::ActivateUnheard);
            may(lossy, Move::ActivateLost);
            may(protocol.is(Mutant::AnswerBeforeActivation) && !ask.answered, Move::Answer);
        }
        Step::Unlogged => may(true, Move::Log),
        Step::Granted => {
            may(true, Move::Answer);
            may(lossy && !ask.answered, Move::Leave);
        }
        Step::Yielding => {
            may(true, Move::Yield);
            may(lossy, Move::YieldLost);
        }
        Step::Over => {}
    }
    if ask.answered {
        may(!ask.inside && state.is_alive(id), Move::Reconnect);
        let active = ask.lease.is_some_and(|lease| lease.state == LeaseState::Active);
        may(protocol.plan.gives_back && active, Move::GiveBack);
    }
    moves
}

pub(crate) fn make(protocol: &Protocol, state: &mut State, id: usize, step: Move) {
    let clock = protocol.clock(state, protocol.plan.replicas[id]);
    match step {
        Move::Plan => {
            state.asks[id].deadline = clock + CREATE;
            state.asks[id].step = if protocol.is(Mutant::CreateBeforeRow) { Step::Recorded } else { Step::Planned };
        }
        Move::Record => record(protocol, state, id, clock),
        Move::RecordUnheard => {
            state.left.losses -= 1;
            spend(protocol, state, id);
            state.asks[id].step = Step::Over;
        }
        Move::Replace => replace(protocol, state, id),
        Move::Send => {
            let ask = &mut state.asks[id];
            if clock > ask.deadline {
                ask.step = Step::Yielding;
            } else {
                ask.wire = Wire::Sent;
                ask.step = Step::Creating;
            }
        }
        Move::Hear => {
            let ask = &mut state.asks[id];
            ask.step = if ask.wire == Wire::Done { Step::Made } else { Step::Yielding };
        }
        Move::HearNothing | Move::ActivateLost | Move::Leave => {
            state.left.losses -= 1;
            state.asks[id].step = Step::Yielding;
        }
        Move::TimeOut => state.asks[id].step = Step::Yielding,
        Move::Activate => state.asks[id].step = activate(protocol, state, id),
        Move::ActivateUnheard => {
            state.left.losses -= 1;
            activate(protocol, state, id);
            state.asks[id].step = Step::Yielding;
        }
        Move::Log => {
            state.asks[id].granted = true;
            state.asks[id].step = Step::Granted;
        }
        Move::Answer => {
            let alive = state.is_alive(id);
            let ask = &mut state.asks[id];
            ask.answered = true;
            ask.inside = alive;
            if ask.step == Step::Granted {
                ask.step = Step::Over;
            }
        }
        Move::Yield => {
            release(state, id, clock);
            state.asks[id].step = Step::Over;
        }
        Move::YieldLost => {
            state.left.losses -= 1;
            state.asks[id].step = Step::Over;
        }
        Move::StopWaiting => state.asks[id].step = Step::Over,
        Move::Reconnect => state.asks[id].inside = true,
        Move::GiveBack => release(state, id, clock),
    }
}

/// The first transaction, or what is done instead where the use is spent.
fn record(protocol: &Protocol, state: &mut State, id: usize, clock: u8) {
    let token = protocol.plan.tokens[id];
    let looked = state.asks[id].step == Step::Looked;
    match state.uses[token] {
        Some(first) if !looked => {
            let running = state.asks[first].lease.is_some_and(|lease| lease.state == LeaseState::Pending);
            state.asks[id].step = if !protocol.plan.repeats || running {
                Step::Over
            } else {
                // Its session is ended, which gives its leases back.
                release(state, first, clock);
                Step::Repeating(first)
            };
        }
        None if protocol.is(Mutant::SelectThenInsert) && !looked => state.asks[id].step = Step::Looked,
        _ => {
            spend(protocol, state, id);
            state.asks[id].step = Step::Recorded;
        }
    }
}

/// Takes the use over from the first attempt, unless it has gone elsewhere since; then it begins again.
fn replace(protocol: &Protocol, state: &mut State, id: usize) {
    let Step::Repeating(first) = state.asks[id].step else { return };
    if state.uses[protocol.plan.tokens[id]] == Some(first) {
        spend(protocol, state, id);
        state.asks[id].step = Step::Recorded;
    } else {
        state.asks[id].step = Step::Planned;
    }
}

/// What the first transaction writes.
fn spend(protocol: &Protocol, state: &mut State, id: usize) {
    state.uses[protocol.plan.tokens[id]] = Some(id);
    let ask = &mut state.asks[id];
    ask.asked = true;
    let due = ask.deadline + protocol.margin();
    ask.lease = Some(Lease { state: LeaseState::Pending, due, attempt: 0, claimed_by: None, unwanted: false });
}

/// The second transaction. Where it changes no row, nothing is answered.
fn activate(protocol: &Protocol, state: &mut State, id: usize) -> Step {
    let end = Protocol::end(state, id);
    if protocol.is(Mutant::CreateBeforeRow) {
        if state.uses[protocol.plan.tokens[id]].is_some() {
            return Step::Yielding;
        }
        spend(protocol, state, id);
    }
    let ask = &mut state.asks[id];
    let Some(lease) = ask.lease.as_mut().filter(|lease| lease.state == LeaseState::Pending) else { return Step::Over };
    lease.state = LeaseState::Active;
    lease.due = end;
    if protocol.is(Mutant::LogOutside) {
        return Step::Unlogged;
    }
    ask.granted = true;
    if ask.answered { Step::Over } else { Step::Granted }
}

/// Gives a lease back. A pending one waits for its create deadline.
fn release(state: &mut State, id: usize, clock: u8) {
    let Some(lease) = &mut state.asks[id].lease else { return };
    lease.due = match lease.state {
        LeaseState::Pending => lease.due.max(clock),
        LeaseState::Active | LeaseState::Fenced => clock,
        LeaseState::Revoking | LeaseState::Revoked => return,
    };
    lease.state = LeaseState::Revoking;
    lease.unwanted = true;
}

/// Whether a job's session at the target is one of this login's.
pub(crate) fn is_of(login: Login, id: usize) -> bool {
    matches!(login, Login::Open(of) | Login::Shut(of) if of == id)
}
