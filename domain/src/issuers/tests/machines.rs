//! The kinds of workloads that are no CI jobs: URLs, vetoes, nested claims, people kept apart from machines.

use super::pipelines::{strikes, struck, urls};
use super::*;

#[test]
fn kubernetes_claims_are_reached_by_pointer() {
    let kind = by_name("kubernetes").unwrap();
    let sample = kind.sample();
    assert_eq!(sample.text("/kubernetes.io/namespace"), Some("shop"));
    let job = kind.job("https://x.example", &sample);
    assert_eq!(job.project.as_deref(), sample.text("/kubernetes.io/serviceaccount/uid"));
    assert_eq!(job.project_name.as_deref(), Some("shop/deploy"));
    // A dotted path or a flattened name is no claim.
    for name in ["kubernetes.io.namespace", "/kubernetes.io.namespace", "/kubernetes/io/namespace", "namespace"] {
        assert!(kind.claim(name).is_none(), "{name}");
    }
    assert!(kind.is_public("kubernetes.io"));
}

#[test]
fn a_kubernetes_token_without_a_pod_is_vetoed() {
    let mut bare = by_name("kubernetes").unwrap().sample();
    assert!(strikes("kubernetes", &bare).is_empty());
    bare.take("/kubernetes.io/pod");
    assert_eq!(strikes("kubernetes", &bare), ["no-pod"]);
    assert_eq!(struck("kubernetes", "/kubernetes.io/pod/uid", Json::Null), ["no-pod"]);
    assert_eq!(struck("kubernetes", "kubernetes.io", "flat"), ["no-pod"]);
    urls(
        "kubernetes",
        &[
            "https://oidc.eks.eu-central-1.amazonaws.com/id/5C0A1B2D3E4F56789A0B1C2D3E4F5678",
            "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
            "https://westeurope.oic.prod-aks.azure.com/t/g/",
            "https://kubernetes.default.svc.cluster.local",
        ],
        &["kubernetes/serviceaccount", "http://kubernetes.default.svc", "https://kubernetes.default.svc?x=y"],
    );
}

#[test]
fn people_who_log_in_at_google_are_no_service_accounts() {
    let client = "32555940559.apps.googleusercontent.com";
    assert_eq!(struck("google", "azp", client), ["person"]);
    assert!(struck("google", "azp", "deploy@acme-shop.iam.gserviceaccount.com").is_empty());
    let person = by_name("google").unwrap().sample().with("azp", client).with("email", "sidney@acme.example").without("google");
    assert_eq!(strikes("google", &person), ["person"]);
    // Neither claim can be left out to look like a machine.
    assert_eq!(strikes("google", &person.clone().without("email").without("azp")), ["person"]);
    assert_eq!(strikes("google", &person.without("sub")), ["person"]);
    urls("google", &["https://accounts.google.com"], &["accounts.google.com", "https://accounts.google.com/"]);
}

#[test]
fn azure_tokens_are_of_one_tenant_and_of_the_identity_itself() {
    assert_eq!(struck("azure", "sub", "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"), ["person"]);
    let tenant = "9c0a1b2d-1111-4222-8333-4f5e6d7c8b9a";
    urls(
        "azure",
        &[
            &format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            &format!("https://login.microsoftonline.us/{tenant}/v2.0"),
            &format!("https://sts.windows.net/{tenant}/"),
        ],
        &[
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/organizations/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            &format!("https://login.microsoftonline.com/{tenant}"),
            &format!("https://login.microsoftonline.com/{tenant}/v2.0/"),
            &format!("https://sts.windows.net/{tenant}"),
            &format!("https://sts.windows.net/{}/", tenant.to_uppercase()),
            &format!("https://evil.example/{tenant}/v2.0"),
        ],
    );
}

#[test]
fn aws_tags_are_families_and_requests_prove_nothing() {
    let kind = by_name("aws").unwrap();
    let own = "/https:~1~1sts.amazonaws.com~1";
    assert_eq!(kind.sample().text(&format!("{own}/aws_account")), Some("123456789012"));
    let class = |claim: &str| kind.claim(&format!("{own}/{claim}")).map(|claim| claim.class);
    assert_eq!(class("principal_tags/team"), Some(Class::Admin));
    assert_eq!(class("request_tags/job-id"), Some(Class::Anyone));
    for name in ["principal_tags/", "principal_tags/*", "principal_tags/a/b", "request_tags/*", "ou_path"] {
        assert_eq!(class(name), None, "{name}");
    }
    assert!(!kind.is_public("https://sts.amazonaws.com/"), "it holds claims that name people");
    urls(
        "aws",
        &["https://4f1d2c3b-2222-4333-8444-7d8c9b0a1e2f.tokens.sts.global.api.aws"],
        &[
            "https://tokens.sts.global.api.aws",
            "https://a.b.tokens.sts.global.api.aws",
            "https://x.tokens.sts.global.api.aws/",
            "https://x.tokens.sts.global.api.aws:8443",
            "https://x.tokens.sts.global.api.aws.evil.example",
            "https://sts.amazonaws.com",
        ],
    );
}

#[test]
fn a_subject_that_is_no_spiffe_id_is_vetoed() {
    for (subject, veto) in [
        ("spiffe://acme.example/ns/shop/sa/deploy", None),
        ("spiffe://", Some("no-spiffe-id")),
        ("SPIFFE://acme.example/x", Some("no-spiffe-id")),
        ("deploy", Some("no-spiffe-id")),
    ] {
        assert_eq!(struck("spiffe", "sub", subject), Vec::from_iter(veto), "{subject}");
    }
    let kind = by_name("spiffe").unwrap();
    assert_eq!(kind.job("https://x.example", &kind.sample()).environment.as_deref(), Some("acme.example"));
}
