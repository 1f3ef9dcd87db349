//! AWS principals, by the tokens of `sts:GetWebIdentityToken` (outbound identity federation).
//!
//! An account is an issuer of its own once its administrators have switched the feature on. The principal's ARN holds the
//! account's number, and who else is to bear it only that account decides; so rows pin `sub`, which also says what may
//! run. AWS's own claims lie under a key that is a URL, so in a JSON pointer its slashes are written `~1`. The caller
//! chooses `request_tags`; they prove nothing. Nothing is vetoed: the ARN itself tells roles, users and people's roles
//! (`aws-reserved/sso.amazonaws.com`) apart. `ou_path` is a string in the documentation and a list in real tokens, so no
//! policy can name it. A token signed with ES384 needs `algorithms = ["ES384"]` at the issuer.
//!
//! Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};

pub const NAME: &str = "aws";

/// AWS principals.
#[derive(Debug)]
pub struct Aws;

/// The key of AWS's own claims, and how it is written in a JSON pointer.
const OWN: &str = "https://sts.amazonaws.com/";
const ACCOUNT: &str = "/https:~1~1sts.amazonaws.com~1/aws_account";
const REGION: &str = "/https:~1~1sts.amazonaws.com~1/source_region";
const ORGANIZATION: &str = "/https:~1~1sts.amazonaws.com~1/org_id";
const FUNCTION: &str = "/https:~1~1sts.amazonaws.com~1/lambda_source_function_arn";
const PRINCIPAL_TAGS: &str = "/https:~1~1sts.amazonaws.com~1/principal_tags/";
const REQUEST_TAGS: &str = "/https:~1~1sts.amazonaws.com~1/request_tags/";

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Immutable).pin().gate(),
    Claim::always(OWN, Class::Admin).of(Type::Object),
    Claim::always(ACCOUNT, Class::Immutable),
    Claim::always(REGION, Class::Writer),
    Claim::sometimes(ORGANIZATION, Class::Immutable),
    Claim::sometimes("/https:~1~1sts.amazonaws.com~1/principal_id", Class::Immutable),
    Claim::sometimes("/https:~1~1sts.amazonaws.com~1/source_identity", Class::Writer).personal(),
    Claim::sometimes("/https:~1~1sts.amazonaws.com~1/federated_provider", Class::Admin),
    Claim::sometimes("/https:~1~1sts.amazonaws.com~1/identity_store_user_id", Class::Immutable).personal(),
    Claim::sometimes("/https:~1~1sts.amazonaws.com~1/original_session_exp", Class::Admin),
    Claim::sometimes(FUNCTION, Class::Admin),
    PRINCIPAL_TAG,
    REQUEST_TAG,
];

/// Stands for every tag of the principal and its session.
const PRINCIPAL_TAG: Claim = Claim::sometimes("/https:~1~1sts.amazonaws.com~1/principal_tags/*", Class::Admin);
static PRINCIPAL_TAG_CLAIM: Claim = PRINCIPAL_TAG;
/// Stands for every tag of the request, which its caller chooses.
const REQUEST_TAG: Claim = Claim::sometimes("/https:~1~1sts.amazonaws.com~1/request_tags/*", Class::Anyone);
static REQUEST_TAG_CLAIM: Claim = REQUEST_TAG;

static REQUIRED: &[Cow<'static, str>] = &[Cow::Borrowed("sub"), Cow::Borrowed("jti"), Cow::Borrowed(ACCOUNT)];

const DOCS: &str = "docs.aws.amazon.com: IAM User Guide, Understanding token claims";

static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("sub", Is::Begins("arn:aws"))], DOCS),
    Relation::new(&[], &[Test::new(ACCOUNT, Is::Digits)], DOCS),
    Relation::new(&[], &[Test::new(ORGANIZATION, Is::Begins("o-"))], DOCS),
];

impl Kind for Aws {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn claim(&self, name: &str) -> Option<&Claim> {
        let tag = |rest: &str| !matches!(rest, "" | "*") && !rest.contains('/');
        if let Some(rest) = name.strip_prefix(PRINCIPAL_TAGS) {
            return Some(&PRINCIPAL_TAG_CLAIM).filter(|_| tag(rest));
        }
        if let Some(rest) = name.strip_prefix(REQUEST_TAGS) {
            return Some(&REQUEST_TAG_CLAIM).filter(|_| tag(rest));
        }
        CLAIMS.iter().find(|claim| claim.name == name)
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// Five minutes unless the caller asks for up to an hour.
    fn ages(&self) -> Ages {
        Ages { lifetime: 3_600, age: 3_600 }
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        JobView {
            project: text("sub"),
            project_name: text("sub"),
            git_ref: None,
            environment: text(ACCOUNT),
            run: text(FUNCTION),
            attempt: None,
            job: None,
            trigger: None,
            workflow: None,
            run_url: None,
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "sub" => &[ACCOUNT, "/https:~1~1sts.amazonaws.com~1/principal_id"],
            ACCOUNT => &["sub", ORGANIZATION],
            _ => &[],
        }
    }

    fn starters(&self) -> &'static [&'static str] {
        &[ORGANIZATION, ACCOUNT, "sub", FUNCTION]
    }

    fn vetoes(&self) -> &[Veto] {
        &[]
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    /// The principal: everybody who may be the same role is the same.
    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("sub").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        let role = "arn:aws:iam::123456789012:role/shop-deploy";
        let mut claims = Claims::from_verified(Object::default())
            .with("jti", "5d0f2a1b-1111-4222-8333-6c7b8a9d0e1f")
            .with("iss", "https://4f1d2c3b-2222-4333-8444-7d8c9b0a1e2f.tokens.sts.global.api.aws")
            .with("aud", "https://daypass.example.com")
            .with("sub", role)
            .with("iat", 1_790_000_000)
            .with("exp", 1_790_000_300);
        claims.put(ACCOUNT, Json::from("123456789012"));
        claims.put(REGION, Json::from("eu-central-1"));
        claims.put(ORGANIZATION, Json::from("o-a1b2c3d4e5"));
        claims.put("/https:~1~1sts.amazonaws.com~1/principal_id", Json::from(role));
        claims
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        let url = super::https_url(text)?;
        let host = url.host_str().unwrap_or_default();
        let account = host
            .strip_suffix(".tokens.sts.global.api.aws")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        if account && url.path() == "/" && !text.ends_with('/') && url.port().is_none() {
            return Ok(());
        }
        Err("expected https://ID.tokens.sts.global.api.aws, as aws iam get-outbound-web-identity-federation-info tells it"
            .to_owned())
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(principal) = claims.text("sub") {
            hints.push(format!("the token is of the principal {principal}"));
        }
        hints
    }
}
