//! What a verb ends with when it does not succeed: one kind for each exit code, and always what to do next.

use domain::wire::Problem;

use crate::ambient::Glance;

/// The exit codes of the command; `exec` passes the child's own instead.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done · 1 refused by the broker, or a `policy` verb found something · 2 wrong usage or configuration · 3 broker or CI endpoint not \
reachable, or failing · 4 something on this machine failed. `exec` passes on the exit code of its command (128 + n when signal n ended it; \
127 when it was not found, 126 when it could not be started).";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The broker said no.
    Refused,
    /// An argument, a setting or the CI job's definition is wrong.
    Usage,
    /// Nobody answered, or the answer was a fault of the other side.
    Unreachable,
    /// A file, a directory or a process on this machine.
    Local,
}

impl Kind {
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Local => 4,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Local => "local",
        }
    }
}

/// Never holds a secret: it is made to be printed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) remedy: Option<String>,
    /// Why, innermost last.
    pub(crate) causes: Vec<String>,
    /// What the broker answered.
    pub(crate) problem: Option<Box<Problem>>,
    /// The token that was sent, for comparison.
    pub(crate) token: Option<Box<Glance>>,
    /// Instead of the one of its kind.
    exit_code: Option<u8>,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn new(kind: Kind, title: impl Into<String>) -> Self {
        Self { kind, title: title.into(), remedy: None, causes: Vec::new(), problem: None, token: None, exit_code: None }
    }

    pub(crate) fn usage(title: impl Into<String>) -> Self {
        Self::new(Kind::Usage, title)
    }

    pub(crate) fn unreachable(title: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, title)
    }

    pub(crate) fn local(title: impl Into<String>) -> Self {
        Self::new(Kind::Local, title)
    }

    /// The broker's own words. A fault of the broker counts as not reachable.
    pub(crate) fn problem(problem: Problem) -> Self {
        let kind = if problem.status >= 500 { Kind::Unreachable } else { Kind::Refused };
        Self { problem: Some(Box::new(problem)), ..Self::new(kind, "the broker refused") }
    }

    #[must_use]
    pub(crate) fn fix(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    #[must_use]
    pub(crate) fn about(mut self, token: Option<Glance>) -> Self {
        self.token = token.map(Box::new);
        self
    }

    #[must_use]
    pub(crate) const fn with_exit_code(mut self, code: u8) -> Self {
        self.exit_code = Some(code);
        self
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code.unwrap_or_else(|| self.kind.exit_code())
    }

    /// The refusal code, where the broker gave one.
    pub(crate) fn code(&self) -> Option<&str> {
        self.problem.as_deref().map(|problem| problem.code.as_str())
    }
}
