//! The worlds that are explored: who asks with which token on which replica, and what may go wrong how often.

use crate::mutants::Mutant;
use crate::state::{ASKS, Faults, Time};

/// One world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) asks: usize,
    /// By ask.
    pub(crate) tokens: [usize; ASKS],
    /// By ask.
    pub(crate) replicas: [usize; ASKS],
    /// Both asks bear the same `Idempotency-Key`.
    pub(crate) repeats: bool,
    /// Jobs give their leases back before the end.
    pub(crate) gives_back: bool,
    /// How far the second replica's clock is ahead.
    pub(crate) skew: Time,
    pub(crate) faults: Faults,
    /// Until when asks may begin and an outage may last.
    pub(crate) horizon: Time,
}

const fn faults(crashes: u8, outages: u8, stalls: u8, losses: u8) -> Faults {
    Faults { crashes, outages, stalls, losses }
}

const ONE: Plan = Plan {
    name: "one ask",
    asks: 1,
    tokens: [0, 1],
    replicas: [0, 1],
    repeats: false,
    gives_back: true,
    skew: 0,
    faults: faults(1, 1, 1, 1),
    horizon: 3,
};

const SKEW: Plan = Plan { name: "clocks that differ", skew: 1, ..ONE };
const SAME: Plan = Plan { name: "one token at two replicas", asks: 2, tokens: [0, 0], gives_back: false, ..ONE };
const REPEAT: Plan = Plan { name: "a repeat with its key", repeats: true, ..SAME };
const TWO: Plan = Plan { name: "two tokens", tokens: [0, 1], ..SAME };

impl Plan {
    /// Seconds: what every change has to pass.
    pub(crate) const SMALL: [Self; 5] = [
        ONE,
        Self { faults: faults(1, 0, 0, 1), horizon: 2, ..SKEW },
        Self { faults: faults(1, 0, 0, 1), horizon: 2, ..SAME },
        Self { faults: faults(1, 0, 0, 0), horizon: 2, ..REPEAT },
        Self { faults: faults(1, 0, 0, 0), horizon: 2, ..TWO },
    ];

    /// Minutes.
    pub(crate) const FULL: [Self; 5] = [
        Self { faults: faults(2, 1, 1, 1), ..ONE },
        Self { faults: faults(1, 1, 0, 1), ..SKEW },
        Self { faults: faults(2, 0, 0, 1), ..SAME },
        Self { faults: faults(1, 0, 0, 1), ..REPEAT },
        Self { faults: faults(1, 0, 0, 0), ..TWO },
    ];

    /// What may go wrong, in words.
    pub(crate) fn faults(&self) -> String {
        let Faults { crashes, outages, stalls, losses } = self.faults;
        let count = |number: u8, one: &str, more: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{number} {more}")),
        };
        let all = [
            count(crashes, "crash", "crashes"),
            count(outages, "outage", "outages"),
            count(stalls, "stall", "stalls"),
            count(losses, "loss", "losses"),
        ];
        all.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Mutant {
    /// The smallest world in which it can be told from the protocol.
    pub(crate) const fn world(self) -> Plan {
        match self {
            Self::CreateBeforeRow
            | Self::NoFence
            | Self::GivesUp
            | Self::AnswerBeforeActivation
            | Self::LogOutside
            | Self::NoTombstone
            | Self::NoDeadline
            | Self::StaleSettles
            | Self::SessionsFirst => ONE,
            Self::NoMargin => SKEW,
            Self::SelectThenInsert => SAME,
            // Its lease ends and its use is spent again: long runs, and no fault is needed.
            Self::UseComesBack => Plan { faults: faults(0, 0, 0, 0), ..SAME },
            Self::SharedName => TWO,
            Self::RepeatAtOnce => REPEAT,
        }
    }
}
