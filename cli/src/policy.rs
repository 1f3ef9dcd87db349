//! A policy set from a folder, and the token that a question about it speaks of. Deciding is the domain's; no broker is asked.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::claims::{Claims, Json, Limits, parse};
use domain::issuers::issuer::{REGISTERED, Type};
use domain::policy::{Issuer, PolicySet, SourceFile};

use crate::failure::{Failure, Result};

/// Every `.toml` below `folder`, in the order of names. What begins with a dot is left out.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<SourceFile>> {
    if !folder.is_dir() {
        let wrong = if folder.exists() { "is a file" } else { "does not exist" };
        return Err(Failure::usage(format!("{} {wrong}", folder.display()))
            .fix("name the folder of the policy set; `policies` is taken where none is named"));
    }
    let mut files = Vec::new();
    descend(folder, "", &mut files)?;
    if files.is_empty() {
        return Err(Failure::usage(format!("the folder {} holds no .toml file", folder.display()))
            .fix("name the folder of the policy set"));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn descend(folder: &Path, below: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let unreadable =
        |path: &Path, error: &std::io::Error| Failure::usage(format!("{} cannot be read", path.display())).because(error);
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let kind = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if kind.is_dir() {
            descend(&path, &format!("{below}{name}/"), files)?;
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            files.push(SourceFile { path: format!("{below}{name}"), text });
        }
    }
    Ok(())
}

/// The claims of a token, **unverified**: an explanation tells what the policy would say if they were true.
pub(crate) fn claims_of_token(token: &str) -> Result<Claims> {
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let payload =
        payload.ok_or_else(|| Failure::usage("this is no token: a token is three parts of base64url with dots between"))?;
    claims_of_json(&payload)
}

pub(crate) fn claims_of_json(text: &[u8]) -> Result<Claims> {
    match parse(text, Limits::TOKEN) {
        Ok(Json::Object(object)) => Ok(Claims::from_verified(object)),
        Ok(_) => Err(Failure::usage("the claims are not a JSON object")),
        Err(error) => Err(Failure::usage("the claims cannot be read").because(&error)),
    }
}

/// The issuer that the user named, else the one that the claims name, else the only one.
pub(crate) fn issuer<'s>(set: &'s PolicySet, named: Option<&str>, claims: Option<&Claims>) -> Result<&'s Issuer> {
    let known = || set.issuers().iter().map(|issuer| issuer.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = named {
        return set
            .issuer(name)
            .ok_or_else(|| Failure::usage(format!("there is no issuer {name}")).fix(format!("name one of: {}", known())));
    }
    if let Some(url) = claims.and_then(|claims| claims.text("iss")) {
        return set.issuer_by_url(url).ok_or_else(|| {
            Failure::usage(format!("no issuer of the set has the URL {url}")).fix(format!("name one with --issuer: {}", known()))
        });
    }
    match set.issuers() {
        [only] => Ok(only),
        _ => {
            Err(Failure::usage("it is not known whose token this is").fix(format!("name the issuer with --issuer: {}", known())))
        }
    }
}

/// A typical token of the issuer: the same that cases start from.
pub(crate) fn sample(issuer: &Issuer) -> Claims {
    issuer.kind.sample().with("iss", issuer.url.as_str()).with("aud", issuer.audience.as_str())
}

/// Refuses a claim that tokens of the issuer's kind do not carry: an explanation of a typing mistake would be about nothing.
pub(crate) fn known(issuer: &Issuer, claim: &str) -> Result<()> {
    let kind = &issuer.kind;
    if kind.claim(claim).is_some() || REGISTERED.iter().any(|(name, _)| *name == claim) {
        return Ok(());
    }
    let names: Vec<&str> = kind.claims().iter().map(|claim| claim.name.as_ref()).collect();
    Err(Failure::usage(format!("tokens of {} carry no claim {claim}", issuer.name))
        .fix(format!("known are {}", names.join(", "))))
}

/// A claim's value as JSON.
pub(crate) fn json_of(claim: &str, text: &str) -> Result<Json> {
    parse(text.as_bytes(), Limits::TOKEN).map_err(|error| Failure::usage(format!("{claim} is not JSON")).because(&error))
}

/// A claim's value as the command line gives it, typed as the issuer types it.
pub(crate) fn typed(issuer: &Issuer, claim: &str, text: &str) -> Result<Json> {
    let wrong = |what: &str| Failure::usage(format!("{claim} of {} is {what}, not {text}", issuer.name));
    let as_json = || parse(text.as_bytes(), Limits::TOKEN).ok();
    match issuer.kind.claim(claim).map(|claim| &claim.ty) {
        Some(Type::String) | None => Ok(Json::from(text)),
        Some(Type::Integer) => text.parse::<i64>().map(Json::from).map_err(|_| wrong("an integer")),
        Some(Type::Boolean) => text.parse::<bool>().map(Json::from).map_err(|_| wrong("true or false")),
        Some(Type::Strings) => {
            as_json().filter(|value| value.as_array().is_some()).ok_or_else(|| wrong(r#"a list such as ["a", "b"]"#))
        }
        Some(Type::Object) => as_json().filter(|value| value.as_object().is_some()).ok_or_else(|| wrong("a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_folder_in_a_fixed_order_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("cases")).expect("made");
        std::fs::create_dir_all(folder.path().join(".git")).expect("made");
        for name in ["b.toml", "a.toml", "cases/c.toml", "notes.md", ".hidden.toml", ".git/x.toml"] {
            std::fs::write(folder.path().join(name), name).expect("written");
        }
        let files = read_folder(folder.path()).expect("read");
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a.toml", "b.toml", "cases/c.toml"]);
        assert!(read_folder(&folder.path().join(".git/none")).is_err());
    }

    #[test]
    fn reads_tokens_as_strictly_as_the_broker() {
        let token = |payload: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(claims_of_token(&token(r#"{"iss":"i"}"#)).expect("claims").text("iss"), Some("i"));
        assert!(claims_of_token(&token(r#"{"iss":"i","iss":"j"}"#)).is_err());
        assert!(claims_of_token("no token").is_err());
    }
}
