//! What a policy set says about issuers, as the verifier and the key cache read it.

use std::path::PathBuf;

use domain::policy::{Issuer, PolicySet};

use super::keys::{Place, Source};
use super::verifier::{Believed, Issuers};
use crate::outbound::{Destination, Reach};

impl Issuers for PolicySet {
    fn believed(&self, url: &str) -> Option<Believed<'_>> {
        self.issuer_by_url(url).map(Believed::from)
    }
}

impl<'a> From<&'a Issuer> for Believed<'a> {
    fn from(issuer: &'a Issuer) -> Self {
        Self {
            name: &issuer.name,
            url: &issuer.url,
            audience: &issuer.audience,
            algorithms: &issuer.algorithms,
            ages: issuer.ages,
            kind: issuer.kind.as_ref(),
            enabled: issuer.enabled,
        }
    }
}

impl TryFrom<&Issuer> for Source {
    type Error = url::ParseError;

    fn try_from(issuer: &Issuer) -> Result<Self, url::ParseError> {
        Ok(Self {
            issuer: issuer.url.clone(),
            algorithms: issuer.algorithms.clone(),
            place: Place::of(&issuer.url, issuer.discovery.as_deref(), issuer.jwks_url.as_deref(), issuer.jwks_file.as_deref())?,
            destination: Destination {
                reach: if issuer.allow_private_network { Reach::Private } else { Reach::Public },
                ca_file: issuer.ca_file.as_ref().map(PathBuf::from),
            },
        })
    }
}

/// Where the keys of the set's issuers come from, for [`KeyCache::configure`](super::keys::KeyCache::configure).
/// Issuers that are switched off are not asked.
pub fn sources(set: &PolicySet) -> Result<Vec<Source>, url::ParseError> {
    set.issuers().iter().filter(|issuer| issuer.enabled).map(Source::try_from).collect()
}

#[cfg(test)]
mod tests {
    use domain::policy::SourceFile;

    use super::*;
    use crate::crypto::jws::Algorithm;

    /// A set of GitLab servers, each with a role of its own and the given lines in its entry.
    fn set(issuers: &[(&str, &str)]) -> PolicySet {
        let entry = |(name, lines): &(&str, &str)| {
            format!(
                "[issuer.{name}]\nkind = \"gitlab\"\nurl = \"https://gitlab.{name}.test\"\naudience = \"https://broker.test\"\n\
                 {lines}\n[role.{name}]\nttl = \"10m\"\n[[role.{name}.allow]]\nissuer = \"{name}\"\nnamespace_id = \"1\"\n\
                 project_id = \"2\"\nref = \"main\"\nref_protected = \"true\"\npipeline_source = \"push\"\n\
                 [role.{name}.credential.secret]\nengine = \"kv\"\npath = \"{name}/secret\"\n"
            )
        };
        let text = issuers.iter().map(entry).collect();
        PolicySet::load(vec![SourceFile { path: "issuers.toml".to_owned(), text }]).unwrap()
    }

    #[test]
    fn reads_whom_to_believe_and_where_the_keys_are() {
        let inside = "jwks_url = \"https://keys.inside.test/jwks\"\nalgorithms = [\"PS256\"]\nca_file = \"inside.pem\"\n\
                      allow_private_network = true";
        let set =
            set(&[("plain", ""), ("inside", inside), ("sealed", "jwks_file = \"sealed.json\""), ("off", "enabled = false")]);
        let sources = sources(&set).unwrap();
        let source = |name: &str| sources.iter().find(|source| source.issuer == format!("https://gitlab.{name}.test"));
        let plain = source("plain").unwrap();
        let document = "https://gitlab.plain.test/.well-known/openid-configuration";
        assert_eq!(plain.place, Place::Discovered(document.parse().unwrap()));
        assert_eq!((plain.destination.reach, plain.algorithms.as_slice()), (Reach::Public, Algorithm::DEFAULT));
        let inside = source("inside").unwrap();
        assert_eq!(inside.place, Place::Url("https://keys.inside.test/jwks".parse().unwrap()));
        assert_eq!((inside.destination.reach, inside.algorithms.as_slice()), (Reach::Private, &[Algorithm::Ps256][..]));
        assert!(inside.destination.ca_file.as_deref().unwrap().ends_with("inside.pem"));
        assert_eq!(source("sealed").unwrap().place, Place::File("sealed.json".into()));
        assert_eq!(source("off"), None, "an issuer that is off is not asked for keys");

        assert_eq!(set.believed("https://gitlab.inside.test").unwrap().name, "inside");
        assert!(!set.believed("https://gitlab.off.test").unwrap().enabled, "but its tokens are told so");
        assert!(set.believed("https://gitlab.inside.test/").is_none());
    }
}
