//! How much a comparison or a proof may cost. What costs more is not decided, and that counts against the change.
//!
//! A unit is about a nanosecond of a fast machine. Nothing is measured while it runs, so that the same question has the same answer
//! everywhere and at any time.

use super::language::TooLarge;

/// What is left to spend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// For everything that is still to be asked.
    work: u64,
    /// For the question that is being asked.
    question: u64,
    /// Bytes, of what is remembered from one question to the next.
    memory: usize,
}

impl Budget {
    /// All of a comparison, or of the proofs of a set.
    pub(super) const ALL: u64 = 4_000_000_000;
    /// One question of it, so that a hard one leaves something to the others.
    const QUESTION: u64 = 1_500_000_000;
    const MEMORY: usize = 128 << 20;

    pub(super) const fn new(work: u64) -> Self {
        Self { work, question: 0, memory: Self::MEMORY }
    }

    /// What is left for everything.
    pub(super) const fn left(self) -> u64 {
        self.work
    }

    /// Begins another question.
    pub(super) fn ask(&mut self) {
        self.question = self.work.min(Self::QUESTION);
    }

    pub(super) fn spend(&mut self, units: usize) -> Result<(), TooLarge> {
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let (work, question) = (self.work.checked_sub(units), self.question.checked_sub(units));
        (self.work, self.question) = (work.unwrap_or(0), question.unwrap_or(0));
        if work.is_some() && question.is_some() { Ok(()) } else { Err(TooLarge) }
    }

    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.memory = self.memory.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }
}
