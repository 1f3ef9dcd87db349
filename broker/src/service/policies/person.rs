//! Who an operator is, to others and to the rule that nobody approves what is their own.

use uuid::Uuid;

use crate::service::bearer;
use crate::service::sessions::Holder;
use crate::store::policies::Author;

/// As the token names them, where that names no person; the audit trail knows more of the session.
pub(super) fn author(holder: &Holder) -> Author {
    let subject = &holder.subject;
    let public = subject.kind.as_ref().is_some_and(|kind| kind.is_public("sub"));
    let sub = subject.claims.text("sub").filter(|_| public);
    let name = sub.map_or_else(|| subject.issuer.clone(), |sub| format!("{} {sub}", subject.issuer));
    Author { name, session: holder.session.id }
}

/// The same for the same person under the same salt. By the claim that names the person where the issuer has one: everybody who
/// starts the same job has the same `sub`, and the same person can start another.
pub(super) fn person(holder: &Holder, salt: Uuid) -> [u8; 32] {
    let subject = &holder.subject;
    let claim = subject.kind.as_ref().and_then(|kind| kind.person());
    let named = claim.and_then(|claim| Some((claim, subject.claims.text(claim)?)));
    let (claim, value) = named.or_else(|| Some(("sub", subject.claims.text("sub")?))).unwrap_or(("issuer", &subject.issuer));
    let issuer = if subject.issuer_url.is_empty() { &subject.issuer } else { &subject.issuer_url };
    bearer::sha256(format!("{salt}\n{issuer}\n{claim}\n{value}").as_bytes())
}
