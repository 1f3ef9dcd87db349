//! CircleCI, cloud and server.
//!
//! Each organization is an issuer of its own. A job has its tokens from its start and cannot ask for newer ones with the
//! default audience; `circleci run oidc get` makes one for the broker. Forks get tokens when a project passes secrets to
//! them, and the token does not name the project's own repository, so pull requests are vetoed and rows pin the ref.
//!
//! Source: circleci.com/docs/openid-connect-tokens and discuss.circleci.com on its newer claims.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};
use crate::refusal::Code;

pub const NAME: &str = "circleci";

/// CircleCI.
#[derive(Debug)]
pub struct CircleCi;

const PROJECT: &str = "oidc.circleci.com/project-id";
const ORIGIN: &str = "oidc.circleci.com/vcs-origin";
const REF: &str = "oidc.circleci.com/vcs-ref";
const RERUN: &str = "oidc.circleci.com/ssh-rerun";

/// A context gates no code: unless administrators restrict it, any job may name one.
static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Writer).personal(),
    Claim::always(PROJECT, Class::Immutable).pin(),
    Claim::sometimes("oidc.circleci.com/org-id", Class::Immutable),
    Claim::sometimes(ORIGIN, Class::Writer),
    Claim::sometimes(REF, Class::Writer).gate(),
    Claim::sometimes("oidc.circleci.com/context-ids", Class::Writer).of(Type::Strings),
    Claim::sometimes(RERUN, Class::Writer).of(Type::Boolean),
    Claim::sometimes("oidc.circleci.com/pipeline-id", Class::Immutable),
    Claim::sometimes("oidc.circleci.com/pipeline-definition-id", Class::Immutable),
    Claim::sometimes("oidc.circleci.com/workflow-id", Class::Immutable),
    Claim::sometimes("oidc.circleci.com/job-id", Class::Immutable),
];

static REQUIRED: &[Cow<'static, str>] = &[Cow::Borrowed("sub"), Cow::Borrowed(PROJECT)];

static VETOES: &[Veto] = &[
    Veto {
        name: "ssh-rerun",
        code: Code::EventNotAllowed,
        reason: "a person works inside a job that is run again with SSH",
        claim: RERUN,
        passes: &[&[Test::new(RERUN, Is::Flag(false))]],
    },
    Veto {
        name: "pull-request",
        code: Code::EventNotAllowed,
        reason: "a pull request, those of forks included, runs code that nobody has accepted yet",
        claim: REF,
        passes: &[&[
            Test::new(REF, Is::BeginsNot("refs/pull/")),
            Test::new(REF, Is::BeginsNot("refs/heads/pull/")),
            Test::new(REF, Is::BeginsNot("pull/")),
        ]],
    },
];

const DOCS: &str = "circleci.com/docs: Using OpenID Connect tokens in jobs";

static RELATIONS: &[Relation] = &[Relation::new(&[], &[Test::new("sub", Is::Begins("org/"))], DOCS)];

impl Kind for CircleCi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// An hour, from shortly before the job starts.
    fn ages(&self) -> Ages {
        Ages { lifetime: 3_600, age: 3_600 }
    }

    /// The documentation names no id of a token.
    fn replay_claim(&self) -> Option<&str> {
        None
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let pipeline = text("oidc.circleci.com/pipeline-id");
        let workflow = text("oidc.circleci.com/workflow-id");
        JobView {
            project: text(PROJECT),
            project_name: text(ORIGIN),
            git_ref: text(REF),
            environment: None,
            run_url: workflow.as_ref().map(|workflow| format!("https://app.circleci.com/pipelines/workflows/{workflow}")),
            run: workflow.or(pipeline),
            attempt: None,
            job: text("oidc.circleci.com/job-id"),
            trigger: None,
            workflow: text("oidc.circleci.com/pipeline-definition-id"),
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            PROJECT => &["sub", ORIGIN],
            ORIGIN | REF => &["sub"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[(ORIGIN, PROJECT)]
    }

    fn starters(&self) -> &'static [&'static str] {
        &[PROJECT, ORIGIN, REF, "oidc.circleci.com/pipeline-definition-id"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    /// The user who caused the pipeline, whose id stands in `sub` before everything that a writer can name.
    fn person(&self, claims: &Claims) -> Option<String> {
        let mut parts = claims.text("sub")?.split('/').skip(4);
        let id = (parts.next() == Some("user")).then(|| parts.next()).flatten()?;
        (!id.is_empty()).then(|| id.to_owned())
    }

    fn sample(&self) -> Claims {
        let (organization, project) = ("5f2b3c4d-1111-4222-8333-9a8b7c6d5e4f", "8c7d6e5f-2222-4333-8444-1a2b3c4d5e6f");
        let user = "0a1b2c3d-3333-4444-8555-6f7e8d9c0b1a";
        let origin = "github.com/acme/shop";
        let subject = format!("org/{organization}/project/{project}/user/{user}/vcs-origin/{origin}/vcs-ref/refs/heads/main");
        let contexts = Json::Array(vec![Json::from("7d6c5b4a-4444-4555-8666-3c2b1a0f9e8d")]);
        Claims::from_verified(Object::default())
            .with("iss", format!("https://oidc.circleci.com/org/{organization}").as_str())
            .with("aud", "https://daypass.example.com")
            .with("sub", subject.as_str())
            .with("iat", 1_790_000_000)
            .with("exp", 1_790_003_600)
            .with("oidc.circleci.com/org-id", organization)
            .with(PROJECT, project)
            .with(ORIGIN, origin)
            .with(REF, "refs/heads/main")
            .with("oidc.circleci.com/context-ids", contexts)
            .with(RERUN, false)
            .with("oidc.circleci.com/pipeline-id", "1b2c3d4e-5555-4666-8777-0f9e8d7c6b5a")
            .with("oidc.circleci.com/pipeline-definition-id", "2c3d4e5f-6666-4777-8888-1a0f9e8d7c6b")
            .with("oidc.circleci.com/workflow-id", "3d4e5f6a-7777-4888-8999-2b1a0f9e8d7c")
            .with("oidc.circleci.com/job-id", "4e5f6a7b-8888-4999-8aaa-3c2b1a0f9e8d")
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        let url = super::https_url(text)?;
        let organization = url.path().strip_prefix("/org/").is_some_and(super::is_uuid);
        if organization { Ok(()) } else { Err("expected https://oidc.circleci.com/org/ and the organization's id".to_owned()) }
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if claims.get(REF).is_none() {
            hints.push(format!("the token has no {REF}: a custom webhook started the pipeline"));
        }
        hints
    }
}
