//! What a set says of a token before any row is asked: whose it is, whom it was made for, what it must carry. The verifier holds
//! tokens to the same; here it is asked of claims whose signature nobody has looked at.

use super::set::Issuer;
use crate::claims::{Claims, Json};
use crate::refusal::Code;

/// Why a token with these claims would not come as far as the rows. `there` says which of the required claims it has.
pub fn refused_before(issuer: &Issuer, claims: &Claims, there: impl Fn(&str) -> bool) -> Option<Code> {
    let for_us = |audience: &Json| audience.as_str() == Some(issuer.audience.as_str());
    let meant = match claims.get("aud") {
        Some(Json::Array(audiences)) => matches!(audiences.as_slice(), [only] if for_us(only)),
        Some(audience) => for_us(audience),
        None => false,
    };
    if !meant {
        return Some(Code::AudienceMismatch);
    }
    (!issuer.kind.required().iter().all(|name| there(name))).then_some(Code::ClaimsIncomplete)
}
