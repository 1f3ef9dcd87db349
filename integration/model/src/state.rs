//! Everything that there is at one moment: what processes are doing, what the database holds, what stands at the target.
//!
//! Two asks and two replicas: the smallest world in which everything that can meet does meet. Ask `n` runs on the
//! replica that its plan names and has at most one lease, whose login bears its number as a name.

/// Asks in the world, and so names of logins.
pub(crate) const ASKS: usize = 2;
/// Replicas, each with one worker.
pub(crate) const REPLICAS: usize = 2;

/// Time in ticks; one is about five seconds.
pub(crate) type Time = u8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Time,
    /// Faults that may still happen.
    pub(crate) left: Faults,
    /// Whether the target answers.
    pub(crate) up: bool,
    pub(crate) asks: [Ask; ASKS],
    /// The table of token uses: by token, the ask whose session spent it.
    pub(crate) uses: [Option<usize>; ASKS],
    /// By name.
    pub(crate) logins: [Login; ASKS],
    pub(crate) workers: [Worker; REPLICAS],
    /// What must never happen and has.
    pub(crate) wrong: Wrong,
}

/// How often each fault may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// A replica dies, with all that it was doing.
    pub(crate) crashes: u8,
    /// The target stops answering.
    pub(crate) outages: u8,
    /// A worker sleeps longer than its claim holds.
    pub(crate) stalls: u8,
    /// An acknowledgement or an answer is lost, a transaction is rolled back, a drop is refused.
    pub(crate) losses: u8,
}

/// One request of a job, with the rows that came of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any may hold without the others")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ask {
    pub(crate) step: Step,
    /// When its create must have begun, by the clock of its replica. Fixed when it is planned.
    pub(crate) deadline: Time,
    pub(crate) lease: Option<Lease>,
    /// The records "asked" and "granted".
    pub(crate) asked: bool,
    pub(crate) granted: bool,
    /// Its create on the way to the target and back.
    pub(crate) wire: Wire,
    /// The job has the credential.
    pub(crate) answered: bool,
    /// The job has a session open at the target.
    pub(crate) inside: bool,
}

/// Where the process that serves an ask stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Not begun.
    Waiting,
    /// Verified, decided, planned; nothing is written.
    Planned,
    /// Only in a broken protocol: it has seen that the use is free.
    Looked,
    /// Waits until what this earlier ask made is taken back.
    Repeating(usize),
    /// The first transaction is committed.
    Recorded,
    /// The create is sent.
    Creating,
    /// The target said that it is made.
    Made,
    /// Only in a broken protocol: active, and not yet in the log.
    Unlogged,
    /// The second transaction is committed.
    Granted,
    /// It gives its lease back and answers an error.
    Yielding,
    /// The process has ended, however.
    Over,
}

/// A row of the table of leases. When it ends stands in its ask's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) state: LeaseState,
    /// When a worker looks at it; 0 once it is over.
    pub(crate) due: Time,
    pub(crate) attempt: u8,
    pub(crate) claimed_by: Option<usize>,
    /// It has been given back.
    pub(crate) unwanted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LeaseState {
    Pending,
    Active,
    Revoking,
    Fenced,
    Revoked,
}

/// A create between the replica and the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wire {
    Nothing,
    /// It will arrive at some time, whoever still waits for it.
    Sent,
    /// The target works on it.
    Begun,
    Done,
    Failed,
}

/// A name at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Login {
    Absent,
    /// In a transaction that is not committed: it holds the name and nobody sees it.
    Making(usize),
    /// Whoever has the password of this ask's credential gets in.
    Open(usize),
    /// Nobody gets in; who is in may still be.
    Shut(usize),
    /// Holds the name of a login that was never made.
    Tombstone,
}

/// The worker of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    Idle,
    Holds { ask: usize, attempt: u8, stage: Stage },
}

/// How far a worker is with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Claimed,
    /// The login is shut.
    Shut,
    /// Its sessions are ended.
    Ended,
    /// To be written down.
    Gone,
    Fenced,
    Retry,
}

/// Seen by the model at the moment at which it happens; no later state would show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    /// A login was shut while its lease was active, wanted and not over.
    pub(crate) early: bool,
    /// The row of a lease that was over was changed.
    pub(crate) reopened: bool,
}

impl State {
    pub(crate) fn new(left: Faults) -> Self {
        Self {
            now: 0,
            left,
            up: true,
            asks: [Ask::NEW; ASKS],
            uses: [None; ASKS],
            logins: [Login::Absent; ASKS],
            workers: [Worker::Idle; REPLICAS],
            wrong: Wrong::default(),
        }
    }

    /// Whether the lease of an ask exists and is not over.
    pub(crate) fn is_open(&self, ask: usize) -> bool {
        self.asks[ask].lease.is_some_and(|lease| lease.is_open())
    }

    /// Whether somebody who has the credential of an ask gets in.
    pub(crate) fn is_alive(&self, ask: usize) -> bool {
        self.logins.contains(&Login::Open(ask))
    }
}

impl Ask {
    const NEW: Self = Self {
        step: Step::Waiting,
        deadline: 0,
        lease: None,
        asked: false,
        granted: false,
        wire: Wire::Nothing,
        answered: false,
        inside: false,
    };

    /// Whether a process works on it.
    pub(crate) const fn runs(&self) -> bool {
        !matches!(self.step, Step::Waiting | Step::Over)
    }
}

impl Lease {
    pub(crate) fn is_open(&self) -> bool {
        self.state != LeaseState::Revoked
    }
}
