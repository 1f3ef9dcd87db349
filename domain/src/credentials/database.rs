//! A database login of the lease's own: what roles say about it is the same for every database engine.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::{Bounds, Engine, Fault, Field, Reach, Shape, settle, text};
use super::template::Site;

pub const POSTGRES: &str = "postgres";
/// MariaDB too.
pub const MYSQL: &str = "mysql";

/// The longest that a login lives.
pub const CEILING: Duration = Duration::from_hours(24);

/// What a role says about its login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A connection of the broker, by name.
    pub connection: String,
    /// A statement set of that connection, by name.
    pub statements: String,
}

/// The engine of this name as the policy sees it.
#[derive(Debug)]
pub struct Database(pub &'static str);

static FIELDS: &[Field] = &[
    Field { name: "connection", shape: Shape::Text, required: true, site: Site::Fixed },
    Field { name: "statements", shape: Shape::Text, required: true, site: Site::Fixed },
];

impl Engine for Database {
    fn name(&self) -> &'static str {
        self.0
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn bounds(&self) -> Bounds {
        Bounds { floor: Duration::from_secs(1), ceiling: Some(CEILING) }
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

/// Whether `text` can be the name of a connection or statement set.
pub fn is_name(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=63).contains(&text.len()) && text.chars().all(sign) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}
