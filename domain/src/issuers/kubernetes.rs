//! Kubernetes: the bound tokens of service accounts, of any cluster that publishes its keys.
//!
//! A service account's name can be given again by whoever may create one in its namespace, so rows pin its uid, which also
//! says what may run: the account is the workload's identity. Claims lie deep and their keys hold dots, so they are
//! reached by JSON pointer. A projected token is the same file until the kubelet renews it; a pod that exchanges it more
//! often than that needs a role with `token_uses`.
//!
//! Source: kubernetes.io/docs, Managing Service Accounts, schema for service account private claims.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};
use crate::refusal::Code;

pub const NAME: &str = "kubernetes";

/// Kubernetes.
#[derive(Debug)]
pub struct Kubernetes;

const NAMESPACE: &str = "/kubernetes.io/namespace";
const ACCOUNT: &str = "/kubernetes.io/serviceaccount/name";
const ACCOUNT_UID: &str = "/kubernetes.io/serviceaccount/uid";
const POD: &str = "/kubernetes.io/pod/name";
const POD_UID: &str = "/kubernetes.io/pod/uid";

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Admin).gate(),
    Claim::always("kubernetes.io", Class::Admin).of(Type::Object),
    Claim::always(NAMESPACE, Class::Admin),
    Claim::always(ACCOUNT, Class::Admin),
    Claim::always(ACCOUNT_UID, Class::Immutable).pin().gate(),
    Claim::sometimes(POD, Class::Writer),
    Claim::sometimes(POD_UID, Class::Immutable),
    Claim::sometimes("/kubernetes.io/node/name", Class::Admin),
    Claim::sometimes("/kubernetes.io/node/uid", Class::Immutable),
    Claim::sometimes("/kubernetes.io/warnafter", Class::Admin).of(Type::Integer),
];

static REQUIRED: &[Cow<'static, str>] =
    &[Cow::Borrowed("sub"), Cow::Borrowed(NAMESPACE), Cow::Borrowed(ACCOUNT), Cow::Borrowed(ACCOUNT_UID)];

static VETOES: &[Veto] = &[Veto {
    name: "no-pod",
    code: Code::EventNotAllowed,
    reason: "a token that is bound to no pod was asked of the API server by hand, and no pod's end takes it away",
    claim: POD_UID,
    passes: &[&[Test::new(POD_UID, Is::Present)]],
}];

const DOCS: &str = "kubernetes.io/docs: Managing Service Accounts";

static RELATIONS: &[Relation] = &[Relation::new(&[], &[Test::new("sub", Is::Begins("system:serviceaccount:"))], DOCS)];

impl Kind for Kubernetes {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// What a projected volume asks for unless told otherwise.
    fn ages(&self) -> Ages {
        Ages { lifetime: 3_600, age: 3_600 }
    }

    /// Clusters before 1.32 may give their tokens no `jti`.
    fn replay_claim(&self) -> Option<&str> {
        None
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let name = claims.text(NAMESPACE).zip(claims.text(ACCOUNT));
        JobView {
            project: text(ACCOUNT_UID),
            project_name: name.map(|(namespace, account)| format!("{namespace}/{account}")),
            git_ref: None,
            environment: text(NAMESPACE),
            run: text(POD),
            attempt: None,
            job: text(POD_UID),
            trigger: None,
            workflow: None,
            run_url: None,
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            NAMESPACE | ACCOUNT => &["sub", ACCOUNT_UID],
            ACCOUNT_UID => &["sub", ACCOUNT],
            POD => &[POD_UID],
            "sub" => &[NAMESPACE, ACCOUNT, ACCOUNT_UID],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[(ACCOUNT, ACCOUNT_UID), ("sub", ACCOUNT_UID)]
    }

    fn starters(&self) -> &'static [&'static str] {
        &[NAMESPACE, ACCOUNT_UID]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    /// The service account: every pod of it is the same.
    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("sub").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        let mut claims = Claims::from_verified(Object::default())
            .with("jti", "aed34954-b33a-4142-b1ec-389d6bbb4936")
            .with("iss", "https://oidc.eks.eu-central-1.amazonaws.com/id/5C0A1B2D3E4F56789A0B1C2D3E4F5678")
            .with("aud", Json::Array(vec![Json::from("https://daypass.example.com")]))
            .with("sub", "system:serviceaccount:shop:deploy")
            .with("iat", 1_790_000_000)
            .with("nbf", 1_790_000_000)
            .with("exp", 1_790_003_600);
        for (pointer, value) in [
            (NAMESPACE, "shop"),
            (ACCOUNT, "deploy"),
            (ACCOUNT_UID, "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"),
            (POD, "deploy-5c6d7f8b9-x2k4q"),
            (POD_UID, "5e0bd49b-f040-43b0-99b7-22765a53f7f3"),
            ("/kubernetes.io/node/name", "node-1"),
            ("/kubernetes.io/node/uid", "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"),
        ] {
            claims.put(pointer, Json::from(value));
        }
        claims
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        super::https_url(text).map(|_| ())
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some((namespace, account)) = claims.text(NAMESPACE).zip(claims.text(ACCOUNT)) {
            hints.push(format!("the token is of the service account {account} in the namespace {namespace}"));
        }
        hints
    }
}
