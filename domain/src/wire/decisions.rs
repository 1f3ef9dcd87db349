//! `GET /api/v1/decisions`: what was decided lately, with all that deciding it once more takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::claims::Claims;

/// Which decisions to give.
#[derive(Clone, Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DecisionQuery {
    /// Those of the last so many days; 30 unless told, 400 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// At most so many, newest first; 500 unless told, 1000 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only decisions before this one (`next` of an earlier answer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct DecisionPage {
    /// Newest first.
    pub decisions: Vec<Decision>,
    /// Where the list goes on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The beginning of the time that was asked about.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Refusals since then that were only counted, because too many of one project came in a minute, by code. They are not
    /// among the decisions. Only on the first page.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only_counted: BTreeMap<String, u64>,
}

/// One decision as it was recorded.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Decision {
    pub decision_id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The kind of its record, such as `exchange.granted`.
    pub kind: String,
    /// The issuer's name at the time.
    pub issuer: String,
    /// The refusal code, where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The role that was given, or else the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The row that let it in, counted from zero. A refusal with a row is no refusal of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
    #[serde(default)]
    pub asked: Asked,
    /// The claims of the token.
    #[schema(value_type = Object)]
    pub claims: Claims,
    /// Claims that the token had and that are not among these: they name a person and were erased, or are not for this reader.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// The project's immutable id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
}

/// What was asked beside the role.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(default)]
pub struct Asked {
    /// No role was named; the one that was found is the decision's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any_role: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// The role alone was asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub session_only: bool,
    /// When the session ends that asked for more, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ends: Option<i64>,
}
