//! What the broker issued, with every value as a secret from the moment it is read.

use domain::secret::Secret;
use domain::wire::ExchangeAnswer;
use time::OffsetDateTime;

#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) decision_id: String,
    pub(crate) role: String,
    pub(crate) session_id: String,
    /// Only in the answer to an exchange.
    pub(crate) session_token: Option<Secret<String>>,
    pub(crate) ends_at: OffsetDateTime,
    /// In the order in which they were asked for, otherwise by name.
    pub(crate) credentials: Vec<Credential>,
}

#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) engine: String,
    pub(crate) lease_id: Option<String>,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) revocable: bool,
    fields: Vec<(String, Secret<String>)>,
}

impl Credential {
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|(name, value)| Field { name, value, confidential: is_confidential(&self.engine, name) })
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Secret<String>> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub(crate) fn field_names(&self) -> Vec<&str> {
        self.fields.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a Secret<String>,
    /// Whether it must be hidden in output. A host name or a region must not: hiding it would only garble logs.
    pub(crate) confidential: bool,
}

impl Issued {
    /// Takes an answer over, in the order of `wanted`.
    pub(crate) fn new(answer: ExchangeAnswer, wanted: &[String]) -> Self {
        let mut credentials: Vec<Credential> = answer
            .credentials
            .into_iter()
            .map(|(name, credential)| Credential {
                name,
                engine: credential.engine,
                lease_id: credential.lease_id,
                expires_at: credential.expires_at,
                revocable: credential.revocable,
                fields: credential.values.into_iter().map(|(field, value)| (field, Secret::new(value))).collect(),
            })
            .collect();
        credentials.sort_by_key(|credential| wanted.iter().position(|name| *name == credential.name).unwrap_or(usize::MAX));
        Self {
            decision_id: answer.decision_id,
            role: answer.role,
            session_id: answer.session.id,
            session_token: answer.session.token.map(Secret::new),
            ends_at: answer.session.ends_at,
            credentials,
        }
    }

    /// Every value that must be hidden.
    pub(crate) fn confidential(&self) -> impl Iterator<Item = &Secret<String>> {
        self.credentials.iter().flat_map(Credential::fields).filter(|field| field.confidential).map(|field| field.value)
    }
}

fn is_confidential(engine: &str, field: &str) -> bool {
    match engine {
        "aws" => !matches!(field, "region" | "account"),
        "postgres" => !matches!(field, "username" | "host" | "port" | "database" | "sslmode"),
        "mysql" => !matches!(field, "username" | "host" | "port" | "database" | "ssl_mode"),
        _ => true,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A credential as the broker would issue it.
    pub(crate) fn credential(name: &str, engine: &str, fields: &[(&str, &str)]) -> Credential {
        Credential {
            name: name.to_owned(),
            engine: engine.to_owned(),
            lease_id: None,
            expires_at: None,
            revocable: false,
            fields: fields.iter().map(|(field, value)| ((*field).to_owned(), Secret::from(*value))).collect(),
        }
    }

    #[test]
    fn keeps_the_order_that_was_asked_for() {
        let answer: ExchangeAnswer = serde_json::from_value(serde_json::json!({
            "decision_id": "d", "role": "r",
            "session": {"id": "s", "token": "dps_x", "ends_at": "2026-01-01T00:00:00Z"},
            "credentials": {
                "a": {"engine": "kv", "values": {}, "revocable": false},
                "b": {"engine": "kv", "values": {"k": "v"}, "revocable": false},
                "c": {"engine": "kv", "values": {}, "revocable": false},
            },
        }))
        .expect("an answer");
        let issued = Issued::new(answer, &["c".to_owned(), "b".to_owned()]);
        let names: Vec<&str> = issued.credentials.iter().map(|credential| credential.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert!(!format!("{issued:?}").contains("dps_x"));
    }

    #[test]
    fn places_are_no_secrets() {
        let db = credential("db", "postgres", &[("host", "h"), ("password", "p"), ("url", "u")]);
        let hidden: Vec<&str> = db.fields().filter(|field| field.confidential).map(|field| field.name).collect();
        assert_eq!(hidden, ["password", "url"]);
    }
}
