//! What operators ask about versions of the policy set and about switches.

use domain::wire::{
    PolicyDetail, PolicyList, PolicyPush, PolicyPushed, PolicyShadow, PolicyTerms, PolicyWithdrawal, SwitchList, SwitchRequest,
};
use serde_json::json;

use super::Api;
use crate::failure::Result;
use crate::http::{DEADLINE, Repeat};

impl Api {
    /// Asked twice, what was made from the set before would be refused by its own first time.
    pub(crate) async fn apply_policy(&self, push: &PolicyPush) -> Result<PolicyPushed> {
        self.post(["policies"], push, Repeat::IfNotBegun).await
    }

    pub(crate) async fn policies(&self) -> Result<PolicyList> {
        self.get(self.url(["policies"])?).await
    }

    pub(crate) async fn policy(&self, hash: &str) -> Result<PolicyDetail> {
        self.get(self.url(["policies", hash])?).await
    }

    pub(crate) async fn activate_policy(&self, hash: &str, terms: &PolicyTerms) -> Result<PolicyPushed> {
        self.post(["policies", hash, "activate"], terms, Repeat::IfNotBegun).await
    }

    pub(crate) async fn approve_policy(&self, hash: &str) -> Result<PolicyPushed> {
        self.post(["policies", hash, "approve"], &json!({}), Repeat::IfNotBegun).await
    }

    /// Asked twice, the second time would be refused by the first.
    pub(crate) async fn withdraw_policy(&self, hash: &str) -> Result<PolicyWithdrawal> {
        self.post(["policies", hash, "withdraw"], &json!({}), Repeat::IfNotBegun).await
    }

    pub(crate) async fn clear_policy_shadow(&self) -> Result<PolicyShadow> {
        self.delete(self.url(["policies", "shadow"])?, DEADLINE).await
    }

    pub(crate) async fn switches(&self) -> Result<SwitchList> {
        self.get(self.url(["operator", "switches"])?).await
    }

    /// Twice is as good as once.
    pub(crate) async fn switch(&self, request: &SwitchRequest) -> Result<SwitchList> {
        self.post(["operator", "switches"], request, Repeat::Always).await
    }
}
