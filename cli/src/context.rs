//! What every verb is given: the options, the surroundings, and the ways to the broker.

use std::path::PathBuf;

use url::Url;

use crate::api::{Api, no_session};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::http::{Http, trusted_url};
use crate::render::Out;
use crate::session::{Keep, Session};
use crate::stop::Stop;
use crate::surroundings::Environment;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) env: Environment,
    pub(crate) out: Out,
    pub(crate) stop: Stop,
}

impl Context {
    pub(crate) fn keep(&self) -> Result<Keep> {
        Keep::find(&self.env, self.global.session_file.as_deref())
    }

    /// The kept sessions of the broker that is meant, the one that a command without a role means first.
    pub(crate) fn kept(&self) -> Result<Vec<Session>> {
        // Without a place to keep them there are none kept.
        let Ok(keep) = self.keep() else { return Ok(Vec::new()) };
        let mut sessions = keep.sessions()?;
        if let Some(address) = &self.global.address {
            let address = trusted_url(address, "--address")?;
            sessions.retain(|session| session.address.as_deref().is_none_or(|opened_at| opened_at == address.as_str()));
        }
        Ok(sessions)
    }

    /// The broker's address: the one named, else that of the kept session.
    pub(crate) fn address(&self) -> Result<Url> {
        if let Some(address) = &self.global.address {
            return trusted_url(address, "--address");
        }
        let kept = self.kept()?.into_iter().find_map(|session| session.address);
        let kept = kept
            .ok_or_else(|| Failure::usage("the broker's address is not known").fix("name it with --address or DAYPASS_ADDR"))?;
        trusted_url(&kept, "the kept session's address")
    }

    /// The broker, without a session.
    pub(crate) fn broker(&self, address: &Url) -> Result<Api> {
        let http = Http::new("the broker", "--ca-file or DAYPASS_CACERT", self.global.ca_file.as_deref(), address)?;
        Ok(Api::new(http.with_notes(self.out).with_stop(&self.stop), address.clone()))
    }

    /// The broker where a session was opened, with it. A session that knows only the operators' listener goes where the user
    /// names the broker.
    pub(crate) fn broker_with(&self, session: &Session) -> Result<Api> {
        let address = match &session.address {
            Some(address) => trusted_url(address, "the kept session's address")?,
            None => self.address()?,
        };
        Ok(self.broker(&address)?.with_session(session.token.clone()))
    }

    /// The broker, with the kept session.
    pub(crate) fn broker_with_session(&self) -> Result<Api> {
        let session = self.kept()?.into_iter().next().ok_or_else(no_session)?;
        self.broker_with(&session)
    }

    /// Where the operators' listener is.
    pub(crate) fn operator_address(&self) -> Result<Url> {
        let address = self.global.operator_address.as_deref().ok_or_else(|| {
            Failure::usage("the operators' address is not known").fix("name it with --operator-address or DAYPASS_OPERATOR_ADDR")
        })?;
        trusted_url(address, "--operator-address")
    }

    /// Where stored secrets are asked for, with the kept session: the operators' listener where it is known, else the
    /// broker, which lets a job at what its role reaches.
    pub(crate) fn secrets(&self) -> Result<Api> {
        if self.global.operator_address.is_some() { self.operators() } else { self.broker_with_session() }
    }

    /// The operators' listener, with the kept session.
    pub(crate) fn operators(&self) -> Result<Api> {
        let address = self.operator_address()?;
        let fits = |session: &Session| session.operators.as_deref().is_none_or(|opened_at| opened_at == address.as_str());
        let session = self
            .kept()?
            .into_iter()
            .find(fits)
            .ok_or_else(|| no_session().fix("run `daypass login --role ROLE` with a role for operators first"))?;
        Ok(self.broker(&address)?.with_session(session.token))
    }

    /// The file that gives variables to the job's later steps.
    pub(crate) fn github_env(&self) -> Result<PathBuf> {
        self.env.var("GITHUB_ENV").map(PathBuf::from).ok_or_else(|| {
            Failure::usage("there is no GITHUB_ENV: this is not a step of a GitHub job")
                .fix("leave --github out and eval the output")
        })
    }
}
