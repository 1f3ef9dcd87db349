//! A policy set that was found sound: whom we believe, who may become what, and what must hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pattern::{Condition, Pattern};
use super::problem::{Place, Places, Problem, SourceFile};
use super::table::Table;
use crate::claims::{Claims, Json};
use crate::credentials::engine::{Engine, Reach};
use crate::credentials::template::Template;
use crate::issuers::issuer::{Ages, Kind};
use crate::refusal::Code;

/// A whole set, unchangeable. Made by [`PolicySet::load`] only.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) files: Vec<SourceFile>,
    pub(super) issuers: Vec<Issuer>,
    /// By name.
    pub(super) roles: Vec<Role>,
    pub(super) invariants: Vec<Invariant>,
    pub(super) owners: Vec<Owner>,
    pub(super) cases: Vec<Case>,
    pub(super) table: Table,
    pub(super) role_index: HashMap<String, usize>,
    pub(super) hash: [u8; 32],
}

/// An issuer that is believed.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub name: String,
    /// Byte for byte the `iss` of its tokens.
    pub url: String,
    /// The one audience that its tokens must have.
    pub audience: String,
    pub kind: Arc<dyn Kind>,
    pub discovery: Option<String>,
    pub jwks_url: Option<String>,
    pub jwks_file: Option<String>,
    pub algorithms: Vec<Algorithm>,
    pub ages: Ages,
    pub ca_file: Option<String>,
    pub allow_private_network: bool,
    /// The kill switch.
    pub enabled: bool,
    pub accept: Vec<Accept>,
    pub keys: Places,
    pub place: Place,
}

/// A finding that the set lets stand, with the reason. It changes no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The name of the lint.
    pub lint: String,
    pub reason: String,
    pub place: Place,
}

/// A signature algorithm that an issuer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    pub const ALL: &'static [Self] =
        &[Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::EdDsa];
    /// What an issuer may use when its table names none.
    pub const DEFAULT: &'static [Self] = &[Self::Rs256, Self::Es256];

    /// The word of the JOSE registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What a job may become.
#[derive(Clone, Debug)]
pub struct Role {
    pub name: String,
    pub description: Option<String>,
    /// The most that a credential of the role lives.
    pub ttl: Duration,
    pub session_ttl: Duration,
    /// How often one token may be exchanged.
    pub token_uses: u16,
    pub max_leases: u32,
    /// Decided and recorded, but nothing is handed out.
    pub shadow: bool,
    /// In the order of the file; any one suffices.
    pub rows: Vec<Row>,
    /// By name.
    pub credentials: Vec<Credential>,
    /// What is accepted of the role, its rows and its credentials.
    pub accept: Vec<Accept>,
    pub keys: Places,
    pub place: Place,
}

/// One way into a role: every condition must hold.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name of the issuer whose tokens it speaks of.
    pub issuer: String,
    pub(super) issuer_at: usize,
    /// Every condition could be read, so that what is missing is missing from the file too.
    pub(super) whole: bool,
    /// By claim.
    pub conditions: Vec<Condition>,
    /// Reason by the name of the veto or rule that is lifted.
    pub waive: BTreeMap<String, String>,
    pub accept: Vec<Accept>,
    pub keys: Places,
    pub place: Place,
}

/// What a role yields.
#[derive(Clone, Debug)]
pub struct Credential {
    pub name: String,
    pub engine: &'static dyn Engine,
    /// In normal form, templates unfilled.
    pub params: Value,
    pub ttl: Option<Duration>,
    pub(super) holes: Vec<Hole>,
    pub accept: Vec<Accept>,
    pub keys: Places,
    pub place: Place,
}

/// A text inside the parameters that claims are put in.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    /// A JSON pointer into the parameters.
    pub pointer: String,
    pub template: Template,
}

/// What must never become possible, whoever edits the roles.
#[derive(Clone, Debug)]
pub struct Invariant {
    pub name: String,
    pub issuer: String,
    pub bound: Bound,
    /// Which roles it speaks of.
    pub role: Pattern,
    pub conditions: Vec<Condition>,
    pub place: Place,
}

/// How an invariant binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// No token with all the conditions gets the role.
    Never,
    /// Every token that gets the role satisfies the conditions.
    Only,
}

/// Which files may speak of what.
#[derive(Clone, Debug)]
pub struct Owner {
    pub files: Pattern,
    pub roles: Option<Pattern>,
    pub connections: BTreeSet<String>,
    pub kv: Vec<super::glob::Glob>,
    pub aws_accounts: BTreeSet<String>,
    pub place: Place,
}

/// An example that must keep holding.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub issuer: String,
    /// The claims are the whole token but for its `iss` and `aud`, instead of a change to the issuer's sample.
    pub whole: bool,
    /// Put into the issuer's sample token.
    pub claims: Vec<(String, Json)>,
    /// Taken out of it.
    pub without: Vec<String>,
    pub role: Option<String>,
    pub credentials: Vec<String>,
    pub ttl: Option<Duration>,
    /// What must come out: allowed, or refused with this code, or refused whatever the code.
    pub expect: Expect,
    pub place: Place,
}

/// The outcome that a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Allow,
    Deny(Option<Code>),
}

impl PolicySet {
    /// Reads a whole set. Every problem is reported at once, in the order of files and lines.
    pub fn load(files: Vec<SourceFile>) -> Result<Self, Vec<Problem>> {
        super::load::load(files)
    }

    /// SHA-256 over the canonical form: the same for the same rules, however they are laid out or commented.
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The files it was read from.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    pub fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.name == name)
    }

    /// The issuer whose URL is byte for byte `iss`.
    pub fn issuer_by_url(&self, iss: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.url == iss)
    }

    /// By name.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(*self.role_index.get(name)?)
    }

    pub fn invariants(&self) -> &[Invariant] {
        &self.invariants
    }

    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// The owners of the file that a role stands in.
    pub(super) fn owners_of(&self, role: &Role) -> Vec<&Owner> {
        self.owners.iter().filter(|owner| owner.files.takes_text(&role.place.file)).collect()
    }

    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The connections that roles use, with the statement sets that they name.
    pub fn connections(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for credential in self.roles.iter().flat_map(|role| &role.credentials) {
            if let Reach::Connection(name) = credential.engine.reach(&credential.params) {
                let statements = credential.params.get("statements").and_then(Value::as_str);
                used.entry(name).or_default().extend(statements);
            }
        }
        used
    }
}

impl Role {
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }

    /// What operators of this role may do.
    pub fn rights(&self) -> Vec<String> {
        let operators = self.credentials.iter().filter(|credential| credential.is_operator());
        let lists = operators.filter_map(|credential| credential.params.get("rights")?.as_array());
        lists.flatten().filter_map(|right| right.as_str().map(str::to_owned)).collect()
    }
}

impl Credential {
    pub fn is_operator(&self) -> bool {
        self.engine.name() == crate::credentials::operator::NAME
    }
}

impl Case {
    /// The token: the issuer's sample with what the case says, or what the case says alone.
    pub fn token(&self, issuer: &Issuer) -> Claims {
        let mut claims = if self.whole { Claims::default() } else { issuer.kind.sample() };
        claims.put("iss", Json::from(issuer.url.as_str()));
        claims.put("aud", Json::from(issuer.audience.as_str()));
        for (name, value) in &self.claims {
            claims.put(name, value.clone());
        }
        for name in &self.without {
            claims.take(name);
        }
        claims
    }
}
