//! What Daypass knows about a kind of CI issuer: which claims its tokens carry, of which type, and who controls them.

use std::borrow::Cow;
use std::fmt::Debug;

use super::rule::{AnyOf, Relation, any_holds};
use crate::claims::Claims;
use crate::refusal::Code;

/// The JSON type of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    String,
    Integer,
    Boolean,
    /// An array of strings.
    Strings,
    /// An object, reached by JSON pointer.
    Object,
}

/// Whether every CI token of the issuer carries the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Always,
    Optional,
}

/// How values of the claim are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Exact,
    /// The issuer itself does not tell `Acme` from `acme`.
    FoldAscii,
}

/// Who decides what stands in the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// An id that is never given to another.
    Immutable,
    /// Administrators of the project.
    Admin,
    /// Everyone who can write to the repository.
    Writer,
    /// Everyone, outsiders included.
    Anyone,
}

/// One claim of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name, or a JSON pointer for a nested claim.
    pub name: Cow<'static, str>,
    pub ty: Type,
    pub presence: Presence,
    pub case: Case,
    pub class: Class,
    /// Names a person: it is remembered as a salted hash only.
    pub personal: bool,
    /// Pins the project for good, so that a row with it speaks of that project alone.
    pub pins_project: bool,
    /// Tells which code may run (a ref or an environment).
    pub gates_code: bool,
}

impl Claim {
    /// A string that every token carries, compared exactly.
    pub const fn always(name: &'static str, class: Class) -> Self {
        Self {
            name: Cow::Borrowed(name),
            ty: Type::String,
            presence: Presence::Always,
            case: Case::Exact,
            class,
            personal: false,
            pins_project: false,
            gates_code: false,
        }
    }

    /// A string that some tokens carry.
    pub const fn sometimes(name: &'static str, class: Class) -> Self {
        let mut claim = Self::always(name, class);
        claim.presence = Presence::Optional;
        claim
    }

    #[must_use]
    pub const fn of(mut self, ty: Type) -> Self {
        self.ty = ty;
        self
    }

    /// The issuer does not tell upper from lower case here.
    #[must_use]
    pub const fn folded(mut self) -> Self {
        self.case = Case::FoldAscii;
        self
    }

    #[must_use]
    pub const fn personal(mut self) -> Self {
        self.personal = true;
        self
    }

    #[must_use]
    pub const fn pin(mut self) -> Self {
        self.pins_project = true;
        self
    }

    #[must_use]
    pub const fn gate(mut self) -> Self {
        self.gates_code = true;
        self
    }
}

/// Claims that the verifier settles for every token. They are no conditions, yet samples and cases carry them.
pub const REGISTERED: &[(&str, Type)] = &[
    ("iss", Type::String),
    ("aud", Type::String),
    ("jti", Type::String),
    ("iat", Type::Integer),
    ("nbf", Type::Integer),
    ("exp", Type::Integer),
];

/// How long a token may live and how old it may be, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// The most that `exp - iat` may be.
    pub lifetime: i64,
    /// The most that `now - iat` may be.
    pub age: i64,
}

/// The same view of every issuer's job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobView {
    /// The immutable id of the project.
    pub project: Option<String>,
    pub project_name: Option<String>,
    pub git_ref: Option<String>,
    pub environment: Option<String>,
    pub run: Option<String>,
    pub attempt: Option<String>,
    pub job: Option<String>,
    pub trigger: Option<String>,
    /// The workflow or pipeline definition that the job runs.
    pub workflow: Option<String>,
    /// Where a person can look at the run.
    pub run_url: Option<String>,
    /// When the job ends at the latest, where the issuer tells (Unix seconds).
    pub ends_at: Option<i64>,
}

/// A condition under which a token is refused unless the row waives it by name and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Veto {
    /// The name that a `waive` table uses.
    pub name: &'static str,
    pub code: Code,
    /// Why it exists, in one sentence.
    pub reason: &'static str,
    /// The claim it looks at, for explanations.
    pub claim: &'static str,
    /// It strikes every token but those that pass one of these; a claim that is missing makes it strike.
    pub passes: AnyOf,
}

impl Veto {
    /// Whether it strikes this token.
    pub fn strikes(&self, claims: &Claims) -> bool {
        !any_holds(self.passes, claims)
    }
}

/// A kind of issuer. One file per kind; the list is in `issuers/mod.rs`.
pub trait Kind: Debug + Send + Sync {
    /// The word in `kind = "…"`.
    fn name(&self) -> &'static str;

    /// Every claim that a policy may name.
    fn claims(&self) -> &[Claim];

    /// Claims beside `iss`, `aud`, `iat` and `exp` without which a token is no CI token.
    fn required(&self) -> &[Cow<'static, str>];

    fn ages(&self) -> Ages;

    /// The claim that tells one token from another; without one the token's own hash does.
    fn replay_claim(&self) -> Option<&str> {
        Some("jti")
    }

    fn job(&self, issuer_url: &str, claims: &Claims) -> JobView;

    fn vetoes(&self) -> &[Veto];

    /// What every real token of this kind obeys, beside the schema. Proofs leave out tokens that do not.
    fn relations(&self) -> &[Relation] {
        &[]
    }

    /// The claims of a typical harmless token: a push to the main branch.
    fn sample(&self) -> Claims;

    /// Whether `url` can be the issuer URL of this kind; the error says what it should look like.
    fn check_url(&self, url: &str) -> Result<(), String>;

    /// The schema of one claim. A kind whose claims include a family of names answers for each of them.
    fn claim(&self, name: &str) -> Option<&Claim> {
        self.claims().iter().find(|claim| claim.name == name)
    }

    /// Whether the claim, with all that lies in it, may be remembered and shown in clear: it is known and names no person.
    fn is_public(&self, name: &str) -> bool {
        let below = |pointer: &str| {
            let first = pointer.strip_prefix('/').and_then(|pointer| pointer.split('/').next());
            first.is_some_and(|first| first.replace("~1", "/").replace("~0", "~") == name)
        };
        let of_it = |claim: &&Claim| claim.name == name || below(&claim.name);
        self.claim(name).is_some()
            && !self.claim(name).into_iter().chain(self.claims().iter().filter(of_it)).any(|claim| claim.personal)
    }

    /// Claims that change with this one in real tokens, for those who ask what another value would do.
    fn follows(&self, name: &str) -> &'static [&'static str] {
        let _ = name;
        &[]
    }

    /// Names that another project can be given, each with the id that none can.
    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The claims that a first policy for a job like that of a token asks for, as far as the token has them.
    fn starters(&self) -> &'static [&'static str] {
        &[]
    }

    /// Claims that a first policy asks to be absent where the token lacks them: with them it would be another kind of job.
    fn absences(&self) -> &'static [&'static str] {
        &[]
    }

    /// Who a token speaks for where two are told apart: the person who caused the job, or the workload that signs in by itself. It
    /// is the same text whatever the same one does next; none where tokens of this kind do not tell.
    fn person(&self, claims: &Claims) -> Option<String> {
        let _ = claims;
        None
    }

    /// What a caller can be told about its own token when it is refused, whatever the policy says.
    fn hints(&self, claims: &Claims) -> Vec<String> {
        let _ = claims;
        Vec::new()
    }

    /// The schema as the policy set gives it, for kinds that have none of their own.
    fn schema(&self) -> Option<&super::generic::Schema> {
        None
    }
}
