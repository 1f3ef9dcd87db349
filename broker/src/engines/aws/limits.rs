//! What AWS allows in one `AssumeRole`, checked before the call. Values are not repeated in messages: they may come from a token.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::refusal::{Code, Refusal};

use super::{EngineError, Params};

/// Sessions live from fifteen minutes to twelve hours; the role may say less.
const LIFETIME: std::ops::RangeInclusive<u64> = 900..=43_200;

/// Refuses a lifetime that AWS cannot give. Too little is the caller's affair: its session may be nearly over.
pub(super) fn lifetime(ttl: Duration) -> Result<(), EngineError> {
    match ttl.as_secs() {
        seconds if LIFETIME.contains(&seconds) => Ok(()),
        seconds if seconds < *LIFETIME.start() => Err(EngineError::Refused(Refusal::new(Code::TtlBelowMinimum))),
        seconds => Err(EngineError::Misconfigured(format!("a session of {seconds} s: AWS gives 43200 s at most"))),
    }
}

/// Says what does not fit.
pub(super) fn check(params: &Params, session_name: &str) -> Result<(), String> {
    role_arn(&params.role_arn)?;
    word("the session name", session_name, 64, "+=,.@-")?;
    if let Some(identity) = &params.source_identity {
        word("`source_identity`", identity, 64, "+=,.@-")?;
        if identity.to_ascii_lowercase().starts_with("aws:") {
            return Err("`source_identity` begins with `aws:`, which AWS keeps to itself".to_owned());
        }
    }
    if let Some(id) = &params.external_id {
        word("`external_id`", id, 1224, "+=,.@:/-")?;
    }
    if let Some(name) = &params.region {
        region(name).map_err(|what| format!("`region` {what}"))?;
    }
    tags(params)?;
    policies(params)
}

/// A region's name, which becomes part of a host name.
pub(super) fn region(name: &str) -> Result<(), &'static str> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if plain && (1..=32).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') {
        Ok(())
    } else {
        Err("is no region such as eu-central-1")
    }
}

fn role_arn(arn: &str) -> Result<(), String> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let fits = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, resource]
        if partition.starts_with("aws") && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
            && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty()) && arn.len() <= 2048
            && arn.bytes().all(|byte| byte.is_ascii_graphic()));
    if fits { Ok(()) } else { Err("`role_arn` has not the form arn:aws:iam::123456789012:role/name".to_owned()) }
}

/// 2 to `most` characters of letters, digits, `_` and `more`.
fn word(what: &str, text: &str, most: usize, more: &str) -> Result<(), String> {
    if !(2..=most).contains(&text.len()) {
        return Err(format!("{what} has {} characters: AWS takes 2 to {most}", text.len()));
    }
    match text.chars().find(|&c| !(c.is_ascii_alphanumeric() || c == '_' || more.contains(c))) {
        None => Ok(()),
        Some(c) => {
            Err(format!("{what} holds {c:?}: AWS takes letters, digits and _{more} (ids such as {{repository_id}} always fit)"))
        }
    }
}

fn tags(params: &Params) -> Result<(), String> {
    if params.session_tags.len() > 50 {
        return Err(format!("{} session tags: AWS takes 50", params.session_tags.len()));
    }
    let mut seen = BTreeSet::new();
    for (key, value) in &params.session_tags {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if !(1..=128).contains(&key_length) {
            return Err(format!("a session tag's key of {key_length} characters: AWS takes 1 to 128"));
        }
        if value_length > 256 {
            return Err(format!("session tag `{key}` has a value of {value_length} characters: AWS takes 256"));
        }
        if let Some(c) = key.chars().chain(value.chars()).find(|&c| !(c.is_alphanumeric() || " _.:/=+-@".contains(c))) {
            return Err(format!("session tag `{key}` holds {c:?}: AWS takes letters, digits, spaces and _.:/=+-@"));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(format!("session tag `{key}` begins with `aws:`, which AWS keeps to itself"));
        }
        if !seen.insert(key.to_lowercase()) {
            return Err(format!("session tag `{key}` stands twice: AWS ignores case there"));
        }
    }
    Ok(())
}

fn policies(params: &Params) -> Result<(), String> {
    if params.policy_arns.len() > 10 {
        return Err(format!("{} `policy_arns`: AWS takes 10", params.policy_arns.len()));
    }
    if params.policy_arns.iter().any(|arn| !arn.starts_with("arn:") || !(20..=2048).contains(&arn.len())) {
        return Err("one of `policy_arns` is no ARN".to_owned());
    }
    let inline = params.session_policy.as_deref().unwrap_or_default();
    let length = inline.chars().count() + params.policy_arns.iter().map(String::len).sum::<usize>();
    if length > 2048 {
        return Err(format!("`session_policy` and `policy_arns` have {length} characters together: AWS takes 2048"));
    }
    if params.session_policy.is_some() && !serde_json::from_str(inline).is_ok_and(|policy: serde_json::Value| policy.is_object())
    {
        return Err("`session_policy` is no JSON object".to_owned());
    }
    Ok(())
}
