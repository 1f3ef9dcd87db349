//! Protocols that look right and are not. Each must be caught: a model that finds no fault in them would find none at all.

/// A way in which the protocol can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mutant {
    /// The credential is made first and recorded after.
    CreateBeforeRow,
    /// No deadline at the target, and no tombstone in place of a login that is not there.
    NoFence,
    /// The sweep and the tombstone allow nothing for clocks that differ.
    NoMargin,
    /// Whether the token was used is looked up first and written down after.
    SelectThenInsert,
    /// Taking back ends after a number of tries.
    GivesUp,
    /// The answer leaves before the second transaction.
    AnswerBeforeActivation,
    /// What is remembered is written in a transaction of its own.
    LogOutside,
    /// Two leases share a login.
    SharedName,
    /// A deadline at the target, but no tombstone.
    NoTombstone,
    /// A tombstone, but no deadline at the target.
    NoDeadline,
    /// What a worker did is written down whoever has the claim by then.
    StaleSettles,
    /// Sessions are ended before the login is shut.
    SessionsFirst,
    /// A repeat does not wait until what the first attempt made is gone.
    RepeatAtOnce,
    /// A token gets its use back with its lease, though something was granted.
    UseComesBack,
}

impl Mutant {
    /// The first eight bear the letters of the table in which they were first tried.
    pub(crate) const ALL: [Self; 14] = [
        Self::CreateBeforeRow,
        Self::NoFence,
        Self::NoMargin,
        Self::SelectThenInsert,
        Self::GivesUp,
        Self::AnswerBeforeActivation,
        Self::LogOutside,
        Self::SharedName,
        Self::NoTombstone,
        Self::NoDeadline,
        Self::StaleSettles,
        Self::SessionsFirst,
        Self::RepeatAtOnce,
        Self::UseComesBack,
    ];

    pub(crate) const fn letter(self) -> char {
        match self {
            Self::CreateBeforeRow => 'A',
            Self::NoFence => 'B',
            Self::NoMargin => 'C',
            Self::SelectThenInsert => 'D',
            Self::GivesUp => 'E',
            Self::AnswerBeforeActivation => 'F',
            Self::LogOutside => 'G',
            Self::SharedName => 'H',
            Self::NoTombstone => 'I',
            Self::NoDeadline => 'J',
            Self::StaleSettles => 'K',
            Self::SessionsFirst => 'L',
            Self::RepeatAtOnce => 'M',
            Self::UseComesBack => 'N',
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CreateBeforeRow => "create before the row",
            Self::NoFence => "no deadline, no tombstone",
            Self::NoMargin => "clocks differ, no margin",
            Self::SelectThenInsert => "use looked up, then written",
            Self::GivesUp => "gives up after two tries",
            Self::AnswerBeforeActivation => "answers before activation",
            Self::LogOutside => "log outside the transaction",
            Self::SharedName => "two leases share a login",
            Self::NoTombstone => "deadline, but no tombstone",
            Self::NoDeadline => "tombstone, but no deadline",
            Self::StaleSettles => "a stale worker settles",
            Self::SessionsFirst => "sessions ended before the login is shut",
            Self::RepeatAtOnce => "a repeat does not wait",
            Self::UseComesBack => "a granted use comes back",
        }
    }
}
