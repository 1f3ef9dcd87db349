//! Finding what a thing is at odds with, in a crowd, without holding each against each.

/// The least of a crowd, and the least among those that are called otherwise than that one. Together they answer for every member
/// which is the least that is called otherwise than it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Least<W, R> {
    first: Option<(W, R)>,
    other: Option<(W, R)>,
}

impl<W, R> Default for Least<W, R> {
    fn default() -> Self {
        Self { first: None, other: None }
    }
}

impl<W: PartialEq, R: Ord> Least<W, R> {
    /// Takes in a member that is called `word`.
    pub(super) fn take(&mut self, word: W, rank: R) {
        let new = Some((word, rank));
        let less = |held: &Option<(W, R)>| held.as_ref().is_none_or(|(_, held)| new.as_ref().is_some_and(|(_, new)| new < held));
        let same = self.first.as_ref().zip(new.as_ref()).is_some_and(|((held, _), (new, _))| held == new);
        if less(&self.first) {
            let was = std::mem::replace(&mut self.first, new);
            if !same {
                self.other = was;
            }
        } else if !same && less(&self.other) {
            self.other = new;
        }
    }

    /// The least that is not called `word`.
    pub(super) fn but(&self, word: &W) -> Option<&(W, R)> {
        let first = self.first.as_ref()?;
        if first.0 == *word { self.other.as_ref() } else { Some(first) }
    }
}
