//! A stored secret.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::{Bounds, Engine, Fault, Field, Reach, Shape, settle, text};
use super::template::Site;
use crate::policy::Glob;

pub const NAME: &str = "kv";

/// What a role says about the secrets that it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    #[serde(default = "default_mount")]
    pub mount: String,
    /// A path, or a glob over paths.
    pub path: String,
    #[serde(default = "default_access", deserialize_with = "each_once")]
    pub access: Vec<Access>,
    /// One version for good, instead of the newest.
    #[serde(default)]
    pub version: Option<u32>,
}

/// What may be done with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Read,
    List,
    Write,
}

/// The number of the last version that a secret can have.
const MOST_VERSIONS: u64 = i32::MAX.unsigned_abs() as u64;

/// The mount that is meant where none is named.
pub const DEFAULT_MOUNT: &str = "secret";

fn default_mount() -> String {
    DEFAULT_MOUNT.to_owned()
}

fn default_access() -> Vec<Access> {
    vec![Access::Read]
}

fn each_once<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Access>, D::Error> {
    let mut access = Vec::deserialize(deserializer)?;
    access.sort();
    access.dedup();
    Ok(access)
}

/// Whether the credential reaches the secret at `path` in that way.
pub fn reaches(params: &Params, path: &str, access: Access) -> bool {
    params.access.contains(&access) && is_path(path) && covers(&params.path, path)
}

/// Whether the parameters speak of many secrets, so that an ask must name one.
pub fn is_glob(params: &Params) -> bool {
    params.path.contains('*')
}

fn covers(pattern: &str, path: &str) -> bool {
    pattern == path || Glob::new(pattern).is_ok_and(|glob| glob.matches(path, false))
}

/// Whether `text` is the path of one secret: segments of harmless characters, none of them a step.
pub fn is_path(text: &str) -> bool {
    let segment = |step: &str| !step.is_empty() && step != "." && step != ".." && step.chars().all(|c| Site::Segment.takes(c));
    text.len() <= 512 && text.split('/').all(segment)
}

/// The engine as the policy sees it.
#[derive(Debug)]
pub struct Kv;

static FIELDS: &[Field] = &[
    Field { name: "mount", shape: Shape::Text, required: false, site: Site::Fixed },
    Field { name: "path", shape: Shape::Text, required: true, site: Site::Segment },
    Field { name: "access", shape: Shape::Texts, required: false, site: Site::Fixed },
    Field { name: "version", shape: Shape::Integer, required: false, site: Site::Fixed },
];

impl Engine for Kv {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    /// A stored secret does not end by itself.
    fn bounds(&self) -> Bounds {
        Bounds { floor: Duration::ZERO, ceiling: None }
    }

    fn normal(&self, params: Value) -> Result<Value, String> {
        settle::<Params>(params)
    }

    /// Which of many is meant, and what is to be written, only the caller can say.
    fn is_given_unasked(&self, params: &Value) -> bool {
        serde_json::from_value(params.clone())
            .is_ok_and(|params: Params| !is_glob(&params) && params.access.contains(&Access::Read))
    }

    fn reach<'p>(&self, params: &'p Value) -> Reach<'p> {
        let secrets = text(params, "mount").zip(text(params, "path"));
        secrets.map_or(Reach::Unknown, |(mount, path)| Reach::Secrets { mount, path })
    }

    fn check(&self, params: &Value) -> Vec<Fault> {
        let version = params.get("version").and_then(Value::as_u64);
        if version.is_some_and(|version| !(1..=MOST_VERSIONS).contains(&version)) {
            return vec![Fault::new("version", format!("versions count from 1 to {MOST_VERSIONS}"))];
        }
        let Ok(params) = serde_json::from_value::<Params>(params.clone()) else {
            return vec![Fault::new("access", "expected any of \"read\", \"list\" and \"write\"")];
        };
        let mut faults = Vec::new();
        if !super::database::is_name(&params.mount) {
            faults.push(Fault::new("mount", "expected a name: lower-case letters, digits, - and _"));
        }
        let glob = is_glob(&params);
        if glob && let Err(reason) = Glob::new(&params.path) {
            faults.push(Fault::new("path", reason));
        }
        if !is_path(&params.path.replace('*', "x")) {
            faults.push(Fault::new(
                "path",
                "expected segments of letters, digits and _.@-=+ with / between them, no first or last /",
            ));
        }
        if params.access.is_empty() {
            faults.push(Fault::new("access", "expected at least one of \"read\", \"list\" and \"write\""));
        }
        if glob && params.version.is_some() {
            faults.push(Fault::new("version", "a version belongs to one secret, not to a glob"));
        }
        faults
    }
}
