//! A MySQL or MariaDB login of the lease's own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::{Bounds, Engine, Fault, Field, Reach, Shape, settle, text};
use super::postgres::is_name;
use super::template::Site;

pub const NAME: &str = "mysql";

/// What a role says about its MySQL credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A connection of the broker, by name.
    pub connection: String,
    /// A statement set of that connection, by name.
    pub statements: String,
}

/// The engine as the policy sees it.
#[derive(Debug)]
pub struct Mysql;

static FIELDS: &[Field] = &[
    Field { name: "connection", shape: Shape::Text, required: true, site: Site::Fixed },
    Field { name: "statements", shape: Shape::Text, required: true, site: Site::Fixed },
];

impl Engine for Mysql {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn bounds(&self) -> Bounds {
        Bounds { floor: Duration::from_secs(1), ceiling: Some(Duration::from_hours(24)) }
    }

    fn normal(&self, params: Value) -> Result<Value, String> {
        settle::<Params>(params)
    }

    fn reach<'p>(&self, params: &'p Value) -> Reach<'p> {
        text(params, "connection").map_or(Reach::Unknown, Reach::Connection)
    }

    fn check(&self, params: &Value) -> Vec<Fault> {
        let name = |field: &str| params.get(field).and_then(Value::as_str).is_some_and(is_name);
        let wrong = ["connection", "statements"].into_iter().filter(|field| !name(field));
        wrong.map(|field| Fault::new(field, "expected a name: lower-case letters, digits, - and _, 63 at most")).collect()
    }
}
