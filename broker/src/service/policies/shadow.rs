//! A whole set that looks on: it is asked what the active one is asked, and only remembered where it differs.

use domain::claims::{Claims, Json};
use domain::policy::{Allowed, Ask, PolicySet};
use domain::refusal::{Code, Refusal};

use crate::audit::shadowed::Shadowed;

/// What `other` says to the same ask of the issuer with this URL, unless it is the same.
pub fn compare(
    other: &PolicySet,
    issuer_url: &str,
    ask: &Ask<'_>,
    decided: &Result<Allowed, Refusal>,
    judge: impl Fn(&PolicySet, &Ask<'_>) -> Result<Allowed, Refusal>,
) -> Option<Shadowed> {
    let said = match other.issuer_by_url(issuer_url) {
        None => Err(Code::IssuerUnknown.into()),
        // The verifier has compared it with the active set's audience only.
        Some(issuer) if !is_for(ask.claims, &issuer.audience) => Err(Code::AudienceMismatch.into()),
        Some(issuer) => judge(other, &Ask { issuer: &issuer.name, ..*ask }),
    };
    let (said, decided) = (outcome(&said), outcome(decided));
    let differs = match (said, decided) {
        (Ok(said), Ok(decided)) => difference(said, decided)?,
        (Err(said), Err(decided)) if said == decided => return None,
        _ => "outcome",
    };
    Some(Shadowed {
        policy: other.hash(),
        outcome: said.map_or_else(Code::as_str, |_| "granted"),
        role: said.ok().map(|allowed| allowed.role.clone()),
        differs,
    })
}

fn is_for(claims: &Claims, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Json::Array(one)) => one.iter().all(|aud| aud.as_str() == Some(audience)),
        aud => aud.and_then(Json::as_str) == Some(audience),
    }
}

/// A role that is only rehearsed is not granted.
fn outcome(decided: &Result<Allowed, Refusal>) -> Result<&Allowed, Code> {
    match decided {
        Ok(allowed) if allowed.shadow => Err(Code::RoleNotAllowed),
        Ok(allowed) => Ok(allowed),
        Err(refusal) => Err(refusal.code),
    }
}

/// Which row let the token in makes no difference.
fn difference(said: &Allowed, decided: &Allowed) -> Option<&'static str> {
    if said.role != decided.role {
        Some("role")
    } else if said.credentials != decided.credentials {
        Some("credentials")
    } else if said.rights != decided.rights {
        Some("rights")
    } else if (said.session_ttl, said.token_uses, said.max_leases)
        != (decided.session_ttl, decided.token_uses, decided.max_leases)
    {
        Some("session")
    } else {
        None
    }
}
