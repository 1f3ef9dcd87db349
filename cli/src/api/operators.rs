//! What operators ask about leases and stops.

use domain::wire::{
    DecisionPage, DecisionQuery, FindAnswer, GivenPage, GivenSearch, KillAnswer, KillRequest, LeaseDetail, LeasePage,
    LeaseSearch, RenewAnswer, RenewRequest, RevocationProgress, RevokeAnswer, RevokeRequest, StopList,
};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Api, asking, with_body};
use crate::failure::Result;
use crate::http::{Call, DEADLINE, Repeat};

/// `wire::FindRequest` from the sending side: it borrows the string instead of owning a second copy.
#[derive(Serialize)]
struct Find<'a> {
    text: &'a str,
}

impl Api {
    /// What was decided lately, one page of it.
    pub(crate) async fn decisions(&self, query: &DecisionQuery) -> Result<DecisionPage> {
        self.get(asking(self.url(["decisions"])?, query)?).await
    }

    pub(crate) async fn search_leases(&self, search: &LeaseSearch) -> Result<LeasePage> {
        self.post(["operator", "leases", "search"], search, Repeat::Always).await
    }

    pub(crate) async fn lease_detail(&self, id: &str) -> Result<LeaseDetail> {
        self.get(self.url(["operator", "leases", id])?).await
    }

    /// Asked twice, what was asked first is on its way already.
    pub(crate) async fn revoke_leases(&self, request: &RevokeRequest) -> Result<RevokeAnswer> {
        self.post(["operator", "leases", "revoke"], request, Repeat::Always).await
    }

    pub(crate) async fn revocation(&self, id: &str) -> Result<RevocationProgress> {
        self.get(self.url(["operator", "revocations", id])?).await
    }

    /// Whose it is. The string goes into the body and nowhere else.
    pub(crate) async fn find_owner(&self, text: &str) -> Result<FindAnswer> {
        self.post(["operator", "leases", "find"], &Find { text }, Repeat::Always).await
    }

    /// One of the session's own leases, or any for operators. A renewal that comes twice changes nothing more.
    pub(crate) async fn renew_lease(&self, id: &str, request: &RenewRequest, operators: bool) -> Result<RenewAnswer> {
        let path: &[&str] = if operators { &["operator", "leases", id, "renew"] } else { &["leases", id, "renew"] };
        self.post(path.iter().copied(), request, Repeat::Always).await
    }

    /// A stop that is asked for twice would stand twice.
    pub(crate) async fn kill(&self, request: &KillRequest) -> Result<KillAnswer> {
        self.post(["operator", "stops"], request, Repeat::IfNotBegun).await
    }

    pub(crate) async fn stops(&self) -> Result<StopList> {
        self.get(self.url(["operator", "stops"])?).await
    }

    pub(crate) async fn lift_stop(&self, id: &str) -> Result<StopList> {
        self.delete(self.url(["operator", "stops", id])?, DEADLINE).await
    }

    pub(crate) async fn given(&self, search: &GivenSearch) -> Result<GivenPage> {
        self.post(["operator", "given"], search, Repeat::Always).await
    }

    pub(super) async fn post<'s, T: DeserializeOwned>(
        &self,
        path: impl IntoIterator<Item = &'s str>,
        body: &impl Serialize,
        repeat: Repeat,
    ) -> Result<T> {
        let call = Call::new(Method::POST, self.url(path)?, repeat);
        self.run(with_body(self.authorised(call)?, body)?).await
    }
}
