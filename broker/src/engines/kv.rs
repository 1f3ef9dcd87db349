//! Stored secrets. Nothing is made outside this process and nothing has to be taken back, so no lease stands for them.

use std::collections::BTreeMap;

use domain::credentials::kv::{self, Access, Params, is_glob, reaches};
use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use serde_json::Value;
use serde_json::value::RawValue;

use super::engine::{Ask, Bench, Engine, EngineError, Issued, Order, Plan, Revoked};
use crate::store::secrets::{SecretError, members};

/// The engine.
#[derive(Clone, Copy, Debug)]
pub struct Kv;

impl Engine for Kv {
    const NAME: &'static str = kv::NAME;
    const ORDER: Order = Order::Local;
    type Params = Params;

    async fn plan(&self, _: &Bench, ask: &Ask<'_, Params>) -> Result<Plan, EngineError> {
        path(ask)?;
        Ok(Plan { upstream: None, connection: None, handle: Secret::new(Vec::new()), revocable: false, leased: false })
    }

    async fn issue(&self, bench: &Bench, ask: &Ask<'_, Params>, _: &Plan) -> Result<Issued, EngineError> {
        let path = path(ask)?;
        let read = bench.secrets.read(&ask.params.mount, path, ask.params.version).await.map_err(refuse)?;
        let values = members(&read.data).map_err(refuse)?.into_iter().map(|(name, value)| Ok((name, text(value)?)));
        Ok(Issued {
            values: values.collect::<Result<_, EngineError>>()?,
            native_expiry: None,
            facts: BTreeMap::from([
                ("mount".to_owned(), ask.params.mount.clone()),
                ("path".to_owned(), path.to_owned()),
                ("version".to_owned(), read.version.to_string()),
            ]),
        })
    }

    async fn revoke(&self, _: &Bench, _: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        Ok(Revoked::Gone)
    }
}

/// Which secret is asked for: the one of the role, or, where the role speaks of many, the one that the caller names.
fn path<'a>(ask: &'a Ask<'_, Params>) -> Result<&'a str, Refusal> {
    let named = match ask.input {
        None => None,
        Some(Value::Object(input)) if input.keys().all(|key| key == "path") => match input.get("path") {
            None => None,
            Some(Value::String(path)) => Some(path.as_str()),
            Some(_) => return Err(Refusal::new(Code::RequestMalformed).hint("input.path is a text")),
        },
        Some(_) => return Err(Refusal::new(Code::RequestMalformed).hint("the input of a kv credential is {\"path\": \"…\"}")),
    };
    let path = match named {
        Some(path) => path,
        None if is_glob(&ask.params) => {
            let hint = format!(
                "the role reaches the secrets {}; ask with the session's token, naming one as input.path",
                ask.params.path
            );
            return Err(Refusal::new(Code::RequestMalformed).hint(hint));
        }
        None => &ask.params.path,
    };
    if reaches(&ask.params, path, Access::Read) {
        Ok(path)
    } else {
        // The same answer as for a secret that does not exist: what lies beyond the role is nobody's business.
        Err(Refusal::new(Code::SecretUnknown))
    }
}

fn refuse(error: SecretError) -> EngineError {
    match error {
        SecretError::Unknown => Refusal::new(Code::SecretUnknown).into(),
        SecretError::Deleted => Refusal::new(Code::SecretDeleted).into(),
        other => EngineError::Fault(Box::new(other)),
    }
}

/// A text as it is; any other JSON as its text.
fn text(value: &RawValue) -> Result<Secret<String>, EngineError> {
    if value.get().starts_with('"') {
        return serde_json::from_str(value.get())
            .map(Secret::new)
            .map_err(|_| EngineError::Fault(Box::new(SecretError::NotAnObject("a member is no text".to_owned()))));
    }
    Ok(Secret::new(value.get().to_owned()))
}

#[cfg(test)]
mod tests;
