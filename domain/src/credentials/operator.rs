//! The rights of an operator. They are no credential that leaves the broker: the session holds them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::{Bounds, Engine, Fault, Field, Reach, Shape, settle};
use super::template::Site;
use crate::policy::{Glob, nearest};

pub const NAME: &str = "operator";

/// What a role says about its operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `area.verb`, with `:` and a glob over objects where the right speaks of objects.
    #[serde(deserialize_with = "each_once")]
    pub rights: Vec<String>,
}

/// Every right, and whether it can be narrowed to objects.
pub const RIGHTS: &[(&str, bool)] = &[
    ("audit.read", false),
    ("connections.read", false),
    ("connections.write", false),
    ("exchanges.stop", false),
    ("leases.read", false),
    ("leases.reconcile", false),
    ("leases.renew", false),
    ("leases.revoke", false),
    ("policy.approve", false),
    ("policy.explain", false),
    ("policy.read", false),
    ("policy.write", false),
    ("secrets.delete", true),
    ("secrets.list", true),
    ("secrets.read", true),
    ("secrets.write", true),
];

fn each_once<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let mut rights: Vec<String> = Vec::deserialize(deserializer)?;
    rights.sort();
    rights.dedup();
    Ok(rights)
}

/// Whether `rights` hold `right`, for `object` where it speaks of one. A right without a glob holds for every object; one
/// with a glob holds for no ask that names none.
pub fn allows<S: AsRef<str>>(rights: &[S], right: &str, object: Option<&str>) -> bool {
    rights.iter().any(|held| match (held.as_ref().split_once(':'), object) {
        (None, _) => held.as_ref() == right,
        (Some((name, pattern)), Some(object)) => {
            name == right && (pattern == object || Glob::new(pattern).is_ok_and(|glob| glob.matches(object, false)))
        }
        (Some(_), None) => false,
    })
}

/// The engine as the policy sees it.
#[derive(Debug)]
pub struct Operator;

static FIELDS: &[Field] = &[Field { name: "rights", shape: Shape::Texts, required: true, site: Site::Fixed }];

impl Engine for Operator {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn bounds(&self) -> Bounds {
        Bounds { floor: Duration::ZERO, ceiling: None }
    }

    fn normal(&self, params: Value) -> Result<Value, String> {
        settle::<Params>(params)
    }

    /// The rights of operators belong to the session; there is nothing to make for them.
    fn is_given_unasked(&self, _params: &Value) -> bool {
        false
    }

    fn reach<'p>(&self, _params: &'p Value) -> Reach<'p> {
        Reach::Broker
    }

    fn check(&self, params: &Value) -> Vec<Fault> {
        let Ok(Params { rights }) = serde_json::from_value(params.clone()) else {
            return vec![Fault::new("rights", "expected a list of rights such as \"leases.revoke\"")];
        };
        let mut faults: Vec<Fault> = rights.iter().filter_map(|right| wrong(right)).collect();
        if rights.is_empty() {
            faults.push(Fault::new("rights", "expected at least one right"));
        }
        faults
    }
}

fn wrong(right: &str) -> Option<Fault> {
    let (name, pattern) = right.split_once(':').map_or((right, None), |(name, pattern)| (name, Some(pattern)));
    let Some((_, narrows)) = RIGHTS.iter().find(|(known, _)| *known == name) else {
        let near = nearest(name, RIGHTS.iter().map(|(known, _)| *known));
        let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Some(Fault::new("rights", format!("`{}` is no right{help}", name.escape_debug())));
    };
    match pattern {
        Some(_) if !narrows => Some(Fault::new("rights", format!("`{name}` cannot be narrowed to objects"))),
        Some(pattern) => {
            Glob::new(pattern).err().map(|reason| Fault::new("rights", format!("`{}`: {reason}", right.escape_debug())))
        }
        None => None,
    }
}
