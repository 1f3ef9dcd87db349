//! What was decided, looked at again before it is handed out: making a credential takes up to ten seconds, and operators may have
//! switched something off meanwhile.

use domain::policy;
use domain::refusal::{Code, Refusal};

use super::Exchange;
use crate::service::case::Case;

impl Exchange {
    /// Whether it would be decided so once more, by the stops and the policy set of this moment.
    pub(super) fn still_allowed(&self, case: &Case<'_>) -> Result<(), Refusal> {
        let Case { subject, allowed, asked, .. } = *case;
        let rooms = &self.rooms;
        rooms.stops.issuer(&subject.issuer)?;
        rooms.stops.check(subject, allowed)?;
        let set = rooms.policies.active();
        if set.hash() == case.set.hash() {
            return Ok(());
        }
        let issuer = set.issuer(&subject.issuer).filter(|issuer| issuer.url == subject.issuer_url).ok_or(Code::IssuerUnknown)?;
        if !issuer.enabled {
            return Err(Code::IssuerDisabled.into());
        }
        let ask = policy::Ask {
            issuer: &subject.issuer,
            claims: &subject.claims,
            role: Some(&allowed.role),
            credentials: asked.credentials,
            ttl: asked.ttl,
            now: case.now.unix_timestamp(),
        };
        let again = if case.opens {
            policy::decide(&set, &ask)
        } else {
            policy::decide_in_session(&set, &ask, case.ends_at.unix_timestamp())
        }?;
        if again.shadow {
            return Err(Refusal::new(Code::RoleNotAllowed).hint(policy::SHADOW));
        }
        // What the set gives now is another thing than what was made under the one before: asked again, it is made anew.
        if again.credentials != allowed.credentials {
            return Err(Refusal::new(Code::CredentialNotAvailable).retry_after(1).hint("the policy set has just changed"));
        }
        Ok(())
    }
}
