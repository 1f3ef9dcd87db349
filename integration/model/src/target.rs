//! A create at the target, as `engines/postgres/create.rs` sends it: one transaction, which begins before the deadline or not at
//! all. The broker also checks the deadline at its end; the model does not rely on that and lets it commit at any time.

use crate::mutants::Mutant;
use crate::protocol::Protocol;
use crate::state::{Login, State, Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// The create arrives and takes the name, or is refused.
    Begin,
    Commit,
    /// A timeout of the server, or its own crash.
    RollBack,
}

pub(crate) fn moves(state: &State, name: usize, ask: usize) -> Vec<Move> {
    if !state.up {
        return Vec::new();
    }
    match (state.asks[ask].wire, state.logins[name]) {
        // Whoever wants a name that a transaction holds waits for its end.
        (Wire::Sent, login) if !matches!(login, Login::Making(_)) => vec![Move::Begin],
        (Wire::Begun, _) if state.left.losses > 0 => vec![Move::Commit, Move::RollBack],
        (Wire::Begun, _) => vec![Move::Commit],
        _ => Vec::new(),
    }
}

pub(crate) fn make(protocol: &Protocol, state: &mut State, ask: usize, step: Move) {
    let name = protocol.name(ask);
    match step {
        Move::Begin => {
            // The deadline reaches the target in the target's own time, so it counts as the replica meant it.
            let clock = protocol.clock(state, protocol.plan.replicas[ask]);
            let unfenced = protocol.is(Mutant::NoFence) || protocol.is(Mutant::NoDeadline);
            let in_time = clock <= state.asks[ask].deadline || unfenced;
            let free = match state.logins[name] {
                Login::Absent => true,
                // A login that is shared is not made but given one more password.
                Login::Open(_) => protocol.is(Mutant::SharedName),
                Login::Making(_) | Login::Shut(_) | Login::Tombstone => false,
            };
            state.asks[ask].wire = if in_time && free {
                state.logins[name] = Login::Making(ask);
                Wire::Begun
            } else {
                Wire::Failed
            };
        }
        Move::Commit => {
            state.logins[name] = Login::Open(ask);
            state.asks[ask].wire = Wire::Done;
        }
        Move::RollBack => {
            state.left.losses -= 1;
            state.logins[name] = Login::Absent;
            state.asks[ask].wire = Wire::Failed;
        }
    }
}
