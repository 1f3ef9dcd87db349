//! Who an ask is about: the verified claims with the issuer's view of the job.

use std::sync::Arc;

use domain::claims::Claims;
use domain::issuers::issuer::{JobView, Kind};
use domain::policy::PolicySet;
use domain::refusal::{Code, Refusal};

use uuid::Uuid;

use super::error::Error;
use crate::audit::asked::Asked;
use crate::audit::log::About;
use crate::oidc::Verified;
use crate::store::sessions::Session;

/// The subject of a decision.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The issuer's name in the policy set.
    pub issuer: String,
    pub issuer_url: String,
    /// The issuer's kind, where the policy set still has it.
    pub kind: Option<Arc<dyn Kind>>,
    pub claims: Claims,
    pub job: JobView,
    /// The key that signed and how old the key set was, where a token was just verified.
    pub key: Option<(String, u64)>,
}

impl Subject {
    pub fn of_token(set: &PolicySet, verified: &Verified) -> Result<Self, Error> {
        let issuer = set.issuer(&verified.issuer).ok_or(Code::IssuerUnknown)?;
        let job = issuer.kind.job(&issuer.url, &verified.claims);
        Ok(Self {
            issuer: verified.issuer.clone(),
            issuer_url: issuer.url.clone(),
            kind: Some(issuer.kind.clone()),
            claims: verified.claims.clone(),
            job,
            key: Some((verified.key_id.clone(), verified.keys_age.as_secs())),
        })
    }

    /// A session speaks for its stored claims as long as its issuer is still believed. A name that the policy set has given
    /// to another issuer since is no longer the session's.
    pub fn of_session(set: &PolicySet, session: &Session) -> Result<Self, Refusal> {
        let issuer = set.issuer(&session.issuer).ok_or(Code::IssuerUnknown)?;
        if session.claims.text("iss") != Some(issuer.url.as_str()) {
            return Err(Code::IssuerUnknown.into());
        }
        if !issuer.enabled {
            return Err(Code::IssuerDisabled.into());
        }
        // Of claims that were erased in part nothing can be decided any more.
        if session.erased {
            return Err(Code::SessionUnknown.into());
        }
        let claims = session.claims.clone();
        let job = issuer.kind.job(&issuer.url, &claims);
        Ok(Self {
            issuer: session.issuer.clone(),
            issuer_url: issuer.url.clone(),
            kind: Some(issuer.kind.clone()),
            claims,
            job,
            key: None,
        })
    }

    /// A token whose signature was good but that was refused before policy.
    pub fn of_refused(set: &PolicySet, name: &str, claims: Claims) -> Self {
        let issuer = set.issuer(name);
        Self {
            issuer: name.to_owned(),
            issuer_url: issuer.map(|issuer| issuer.url.clone()).unwrap_or_default(),
            job: issuer.map(|issuer| issuer.kind.job(&issuer.url, &claims)).unwrap_or_default(),
            kind: issuer.map(|issuer| issuer.kind.clone()),
            claims,
            key: None,
        }
    }

    /// Someone of whom only the name is known.
    pub fn nobody(name: &str) -> Self {
        let (claims, job) = (Claims::default(), JobView::default());
        Self { issuer: name.to_owned(), issuer_url: String::new(), kind: None, claims, job, key: None }
    }

    /// What a record about this subject says.
    pub fn about<'a>(
        &'a self,
        decision: Uuid,
        session: Option<Uuid>,
        policy: [u8; 32],
        role: Option<&'a str>,
        row: Option<usize>,
    ) -> About<'a> {
        let key = self.key.as_ref().map(|(key, age)| (key.as_str(), *age));
        About {
            decision,
            session,
            issuer: &self.issuer,
            kind: self.kind.as_deref(),
            claims: &self.claims,
            job: &self.job,
            key,
            policy,
            role,
            row,
            asked: Asked::default(),
            shadow: None,
        }
    }

    /// What limits and counts go by: the project, or nothing where the issuer names none.
    pub fn project(&self) -> &str {
        self.job.project.as_deref().unwrap_or_default()
    }
}
