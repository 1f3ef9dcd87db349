//! What can happen next, and what it makes of the world. The steps of exchanges, workers and the target stand in files of
//! their own; here is what binds them: time, faults, and who may do what when.

use stateright::{Model, Property};

use crate::mutants::Mutant;
use crate::plan::Plan;
use crate::state::{ASKS, Login, REPLICAS, State, Step, Time, Worker};
use crate::{ask, promises, target, worker};

/// Ticks in which a create must have begun.
pub(crate) const CREATE: Time = 1;
/// Ticks that a lease lasts.
pub(crate) const TTL: Time = 2;
/// Ticks that a claim holds.
pub(crate) const CLAIM: Time = 1;
/// Ticks until a lease is tried again.
pub(crate) const RETRY: Time = 1;

/// A protocol, right or wrong, in a world of a certain size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) plan: Plan,
    pub(crate) mutant: Option<Mutant>,
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Tick,
    Crash { replica: usize },
    TargetFails,
    TargetReturns,
    Ask(usize, ask::Move),
    Target(usize, target::Move),
    Worker(usize, worker::Move),
}

impl Protocol {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What a replica takes for the time: the second one may be ahead.
    pub(crate) fn clock(&self, state: &State, replica: usize) -> Time {
        if replica == 0 { state.now } else { state.now + self.plan.skew }
    }

    /// The name of an ask's login.
    pub(crate) fn name(&self, ask: usize) -> usize {
        if self.is(Mutant::SharedName) { 0 } else { ask }
    }

    /// How long after the deadline the sweep waits, and after that a tombstone.
    pub(crate) fn margin(&self) -> Time {
        Time::from(!self.is(Mutant::NoMargin))
    }

    /// When the lease of an ask ends.
    pub(crate) fn end(state: &State, ask: usize) -> Time {
        state.asks[ask].deadline + TTL - CREATE
    }

    /// Time goes on as long as somebody waits for it. An outage ends, and so does a transaction at the target: whoever
    /// waits for them does not wait for ever.
    fn may_tick(&self, state: &State) -> bool {
        if state.now < self.plan.horizon {
            return true;
        }
        let waits = state.asks.iter().filter_map(|ask| ask.lease).any(|lease| lease.is_open() && lease.due > state.now);
        waits && state.up && !state.logins.iter().any(|login| matches!(login, Login::Making(_)))
    }

    /// Workers whose claim runs out with the next tick while they still sit on it.
    fn overslept(state: &State) -> u8 {
        let holds = |(id, worker): (usize, &Worker)| match *worker {
            Worker::Idle => false,
            Worker::Holds { ask, attempt, .. } => state.asks[ask]
                .lease
                .is_some_and(|lease| lease.claimed_by == Some(id) && lease.attempt == attempt && lease.due <= state.now + 1),
        };
        u8::try_from(state.workers.iter().enumerate().filter(|worker| holds(*worker)).count()).unwrap_or(u8::MAX)
    }

    fn crash(&self, state: &mut State, replica: usize) {
        state.left.crashes -= 1;
        state.workers[replica] = Worker::Idle;
        for (ask, of) in state.asks.iter_mut().zip(self.plan.replicas) {
            if of == replica && ask.runs() {
                ask.step = Step::Over;
            }
        }
    }

    fn is_busy(&self, state: &State, replica: usize) -> bool {
        state.workers[replica] != Worker::Idle
            || (0..ASKS).any(|ask| self.plan.replicas[ask] == replica && state.asks[ask].runs())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.plan.faults)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for ask in 0..self.plan.asks {
            actions.extend(ask::moves(self, state, ask).into_iter().map(|step| Action::Ask(ask, step)));
            actions.extend(target::moves(state, self.name(ask), ask).into_iter().map(|step| Action::Target(ask, step)));
        }
        for id in 0..REPLICAS {
            actions.extend(worker::moves(self, state, id).into_iter().map(|step| Action::Worker(id, step)));
            if state.left.crashes > 0 && self.is_busy(state, id) {
                actions.push(Action::Crash { replica: id });
            }
        }
        if state.up && state.left.outages > 0 {
            actions.push(Action::TargetFails);
        }
        if !state.up {
            actions.push(Action::TargetReturns);
        }
        if self.may_tick(state) && Self::overslept(state) <= state.left.stalls {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Tick => {
                state.left.stalls -= Self::overslept(&state);
                state.now += 1;
            }
            Action::Crash { replica } => self.crash(&mut state, replica),
            Action::TargetFails => {
                state.left.outages -= 1;
                state.up = false;
            }
            Action::TargetReturns => state.up = true,
            Action::Ask(ask, step) => ask::make(self, &mut state, ask, step),
            Action::Target(ask, step) => target::make(self, &mut state, ask, step),
            Action::Worker(id, step) => worker::make(self, &mut state, id, step),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all(self)
    }
}
