//! `daypass audit list|explain`: what the broker remembers, for operators.

use clap::{Args, Subcommand};
use domain::wire::AuditQuery;

use crate::context::Context;
use crate::explanation;
use crate::failure::Result;
use crate::render::short_moment;

/// The broker's, where none is asked for.
const USUAL_LIMIT: u32 = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List records, newest first
    List(Box<List>),
    /// Show why a decision fell as it did, every condition of it
    Explain {
        /// As a refusal or a record tells it
        decision_id: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only records of this kind, such as exchange.granted
    #[arg(long)]
    kind: Option<String>,
    /// Only tokens of this issuer, by its name in the policy set
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Only this project, by its immutable id or its name
    #[arg(long)]
    project: Option<String>,
    /// Only what was asked for or had as this role
    #[arg(long)]
    role: Option<String>,
    /// Only refusals of this code
    #[arg(long)]
    code: Option<String>,
    /// Only what concerns this decision, session or lease
    #[arg(long, value_name = "ID")]
    about: Option<String>,
    /// How many; 50 unless told, 500 at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: Option<u32>,
    /// Only records before this one
    #[arg(long, value_name = "RECORD")]
    before: Option<String>,
}

pub(crate) async fn run(context: &Context, audit: Audit) -> Result<()> {
    let api = context.operators()?;
    match audit {
        Audit::List(list) => {
            let List { kind, issuer, project, role, code, about, limit, before } = *list;
            let list = api.audit(&AuditQuery { kind, issuer, project, role, code, about, limit, before }).await?;
            if context.out.is_json() {
                return context.out.json(&list);
            }
            let full = list.records.len() >= usize::try_from(limit.unwrap_or(USUAL_LIMIT)).unwrap_or(usize::MAX);
            let last = list.records.last().map(|record| record.id.clone()).filter(|_| full);
            // What fits a table; `--format json` has every field.
            let rows: Vec<[String; 6]> = list
                .records
                .into_iter()
                .map(|record| {
                    let field = |name: &str| record.fields.get(name).cloned();
                    let [project, role, code, decision] =
                        [field("project_name").or_else(|| field("project")), field("role"), field("code"), field("decision_id")]
                            .map(|value| value.unwrap_or_else(|| "-".to_owned()));
                    [short_moment(record.at), record.kind, project, role, code, decision]
                })
                .collect();
            context.out.table(["AT (UTC)", "KIND", "PROJECT", "ROLE", "CODE", "DECISION"], &rows)?;
            if let Some(last) = last {
                context.out.note(&format!("more: --before {last}"));
            }
            Ok(())
        }
        Audit::Explain { decision_id } => explanation::show(context, &api.explain(&decision_id).await?),
    }
}
