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

/// The same for the same person under the same salt, whichever issuer of the kind vouches for them: an account can have several
/// URLs. None where the token names nobody.
pub(super) fn person(holder: &Holder, salt: Uuid) -> Option<[u8; 32]> {
    let kind = holder.subject.kind.as_ref()?;
    let person = kind.person(&holder.subject.claims)?;
    Some(bearer::sha256(format!("{salt}\n{}\n{person}", kind.name()).as_bytes()))
}

/// What is kept of an author: of nobody's what no approver can be.
pub(super) fn kept(holder: &Holder, salt: Uuid) -> [u8; 32] {
    person(holder, salt).unwrap_or_else(|| bearer::sha256(salt.as_bytes()))
}
