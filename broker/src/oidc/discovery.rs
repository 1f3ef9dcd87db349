//! Where an issuer publishes its keys.
//!
//! Of the discovery document only `issuer` and `jwks_uri` are read. (The usual client libraries demand members that
//! GitHub's document does not have.)

use domain::claims::{self, Json, Limits};
use url::Url;

/// Why a discovery document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryRefused {
    #[error("it is {0}")]
    Json(claims::JsonError),
    #[error("it has no issuer")]
    NoIssuer,
    #[error("its issuer is not byte for byte the configured one")]
    OtherIssuer,
    #[error("its jwks_uri is not a plain https URL")]
    BadKeysUrl,
    #[error("its jwks_uri is on another host; an explicit jwks_url in the issuer's entry would allow it")]
    OtherHost,
}

/// The address of the discovery document of an issuer (OpenID Connect Discovery 1.0, section 4).
pub fn document_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// The address of the keys, as the document fetched from `from` tells it for `issuer`.
pub fn keys_url(document: &[u8], issuer: &str, from: &Url) -> Result<Url, DiscoveryRefused> {
    let document = claims::parse(document, Limits::KEYS).map_err(DiscoveryRefused::Json)?;
    let member = |name| document.as_object().and_then(|object| object.get(name)).and_then(Json::as_str);
    if member("issuer").ok_or(DiscoveryRefused::NoIssuer)? != issuer {
        return Err(DiscoveryRefused::OtherIssuer);
    }
    let url = member("jwks_uri").and_then(|text| Url::parse(text).ok()).ok_or(DiscoveryRefused::BadKeysUrl)?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err(DiscoveryRefused::BadKeysUrl);
    }
    if (url.host(), url.port_or_known_default()) == (from.host(), from.port_or_known_default()) {
        Ok(url)
    } else {
        Err(DiscoveryRefused::OtherHost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<String, DiscoveryRefused> {
        let from = Url::parse("https://ci.example.test/.well-known/openid-configuration").unwrap();
        keys_url(document.as_bytes(), "https://ci.example.test", &from).map(String::from)
    }

    #[test]
    fn reads_the_two_members_it_needs_and_nothing_else() {
        let document =
            r#"{"issuer":"https://ci.example.test","jwks_uri":"https://ci.example.test/keys","claims_supported":[1,{}]}"#;
        assert_eq!(read(document).as_deref(), Ok("https://ci.example.test/keys"));
    }

    #[test]
    fn refuses_another_issuer_another_host_and_http() {
        let with = |issuer: &str, keys: &str| read(&format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#));
        let ours = "https://ci.example.test";
        assert_eq!(with("https://ci.example.test/", "https://ci.example.test/keys"), Err(DiscoveryRefused::OtherIssuer));
        assert_eq!(with("https://CI.example.test", "https://ci.example.test/keys"), Err(DiscoveryRefused::OtherIssuer));
        for keys in [
            "https://evil.test/keys",
            "https://ci.example.test:8443/keys",
            "https://ci.example.test.evil.test/",
            "https://10.0.0.1/",
        ] {
            assert_eq!(with(ours, keys), Err(DiscoveryRefused::OtherHost), "{keys}");
        }
        for keys in ["http://ci.example.test/keys", "file:///etc/passwd", "/keys", "https://u:p@ci.example.test/keys"] {
            assert_eq!(with(ours, keys), Err(DiscoveryRefused::BadKeysUrl), "{keys}");
        }
        assert_eq!(read("{}"), Err(DiscoveryRefused::NoIssuer));
        let twice =
            r#"{"issuer":"https://ci.example.test","jwks_uri":"https://a.test","jwks_uri":"https://ci.example.test/keys"}"#;
        assert!(matches!(read(twice), Err(DiscoveryRefused::Json(_))));
    }

    #[test]
    fn the_document_stands_below_the_issuer() {
        assert_eq!(
            document_url("https://h.test/_services/token"),
            "https://h.test/_services/token/.well-known/openid-configuration"
        );
        assert_eq!(document_url("https://h.test/"), "https://h.test/.well-known/openid-configuration");
    }
}
