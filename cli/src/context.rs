//! What every verb is given: the options, the surroundings, and the ways to the broker.

use std::path::PathBuf;

use url::Url;

use crate::api::{Api, no_session};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::http::{Http, trusted_url};
use crate::render::Out;
use crate::session::{Keep, Session};
use crate::surroundings::Environment;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) env: Environment,
    pub(crate) out: Out,
}

impl Context {
    pub(crate) fn keep(&self) -> Result<Keep> {
        Keep::find(&self.env, self.global.session_file.as_deref())
    }

    /// The kept session, if it is alive and was opened at the address that is meant.
    pub(crate) fn kept_session(&self) -> Result<Option<Session>> {
        // Without a place to keep it there is none kept.
        let Ok(keep) = self.keep() else { return Ok(None) };
        let Some(session) = keep.load()? else { return Ok(None) };
        let elsewhere = match &self.global.address {
            Some(address) => trusted_url(address, "--address")?.as_str() != session.address,
            None => false,
        };
        Ok((!elsewhere && !session.has_ended()).then_some(session))
    }

    /// The broker's address: the one named, else that of the kept session.
    pub(crate) fn address(&self) -> Result<Url> {
        if let Some(address) = &self.global.address {
            return trusted_url(address, "--address");
        }
        match self.kept_session()? {
            Some(session) => trusted_url(&session.address, "the kept session's address"),
            None => Err(Failure::usage("the broker's address is not known").fix("name it with --address or DAYPASS_ADDR")),
        }
    }

    /// The broker, without a session.
    pub(crate) fn broker(&self, address: &Url) -> Result<Api> {
        let http = Http::new("the broker", "--ca-file or DAYPASS_CACERT", self.global.ca_file.as_deref(), address)?;
        Ok(Api::new(http.with_notes(self.out), address.clone()))
    }

    /// The broker, with the kept session.
    pub(crate) fn broker_with_session(&self) -> Result<(Api, Session)> {
        let session = self.kept_session()?.ok_or_else(no_session)?;
        let address = trusted_url(&session.address, "the kept session's address")?;
        Ok((self.broker(&address)?.with_session(session.token.clone()), session))
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
        if self.global.operator_address.is_some() { self.operators() } else { Ok(self.broker_with_session()?.0) }
    }

    /// The operators' listener, with the kept session.
    pub(crate) fn operators(&self) -> Result<Api> {
        let address = self.operator_address()?;
        let session = self
            .kept_session()?
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
