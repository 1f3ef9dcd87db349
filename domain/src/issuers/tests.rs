use super::issuer::{Presence, REGISTERED, Type};
use super::*;

#[test]
fn samples_follow_their_schema() {
    for name in ["github", "gitlab"] {
        let kind = by_name(name).unwrap();
        let sample = kind.sample();
        for claim in kind.claims() {
            let value = sample.get(&claim.name);
            assert!(value.is_some() || claim.presence == Presence::Optional, "{name}: the sample lacks {}", claim.name);
            if let Some(value) = value {
                assert_eq!(value.as_int().is_some(), claim.ty == Type::Integer, "{name}: {}", claim.name);
            }
        }
        for required in kind.required() {
            assert!(sample.get(required).is_some(), "{name}: the sample lacks {required}");
        }
        for (held, _) in sample.object().iter() {
            let known = kind.claim(held).is_some() || REGISTERED.iter().any(|(registered, _)| *registered == held);
            assert!(known, "{name}: the sample has {held}, which is in no schema");
        }
        assert!(kind.check_url(sample.text("iss").unwrap()).is_ok());
        assert!(kind.person().is_none_or(|claim| kind.claim(claim).is_some_and(|claim| claim.personal)), "{name}");
        let mut names: Vec<&str> = kind.claims().iter().map(|claim| &*claim.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{name}: a claim stands twice");
    }
    assert!(by_name("generic").is_none() && by_name("GitHub").is_none());
}

#[test]
fn knows_the_forms_of_github_urls() {
    let kind = by_name("github").unwrap();
    for good in [
        "https://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/acme-corp",
        "https://ghe.example.com/_services/token",
        "https://localhost:8443/_services/token",
        "https://token.actions.acme.ghe.com",
        "https://token.actions.acme.ghe.com/acme",
    ] {
        assert_eq!(kind.check_url(good), Ok(()), "{good}");
    }
    for bad in [
        "http://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/",
        "https://token.actions.githubusercontent.com/acme/",
        "https://token.actions.githubusercontent.com/acme/x",
        "https://token.actions.githubusercontent.com.evil.example",
        "https://token.actions.githubusercontent.com@evil.example",
        "https://TOKEN.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com:443",
        "https://token.actions.githubusercontent.com?x=y",
        "https://token.actions.a.b.ghe.com",
        "https://token.actions.githubusercontent.com/_services/token",
        "https://ghe.example.com",
        "https://ghe.example.com/_services/token/",
        "token.actions.githubusercontent.com",
        "",
    ] {
        assert!(kind.check_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn knows_the_forms_of_gitlab_urls() {
    let kind = by_name("gitlab").unwrap();
    for good in ["https://gitlab.com", "https://git.example.com:8443", "https://example.com/gitlab"] {
        assert_eq!(kind.check_url(good), Ok(()), "{good}");
    }
    for bad in ["http://gitlab.com", "https://gitlab.com/", "gitlab.com", "https://user@gitlab.com", "https://gitlab.com/../x"] {
        assert!(kind.check_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn job_views_link_to_the_run() {
    let view = |name: &str, url: &str| {
        let kind = by_name(name).unwrap();
        kind.job(url, &kind.sample())
    };
    let run = "acme/shop/actions/runs/18032711405/attempts/1";
    for (url, web) in [
        (github::URL, "https://github.com"),
        ("https://token.actions.githubusercontent.com/acme", "https://github.com"),
        ("https://ghe.example.com/_services/token", "https://ghe.example.com"),
        ("https://token.actions.acme.ghe.com", "https://acme.ghe.com"),
    ] {
        assert_eq!(view("github", url).run_url, Some(format!("{web}/{run}")));
    }
    let job = view("gitlab", "https://gitlab.com");
    assert_eq!(job.run_url.as_deref(), Some("https://gitlab.com/acme/shop/-/jobs/31415"));
    assert_eq!((job.project.as_deref(), job.ends_at), (Some("4242"), Some(1_790_003_600)));
}

#[test]
fn repository_properties_are_claims() {
    let kind = by_name("github").unwrap();
    assert!(kind.claim("repo_property_tier").is_some());
    assert!(
        kind.claim("repo_property_").is_none() && kind.claim("repo_property_*").is_none() && kind.claim("repo_prop").is_none()
    );
}

#[test]
fn a_generic_job_view_takes_numbers_and_nested_claims() {
    use super::issuer::{Claim, Class};
    let schema = generic::Schema {
        claims: vec![
            Claim::always("/kubernetes.io/namespace", Class::Immutable),
            Claim::always("build", Class::Writer).of(Type::Integer),
        ],
        job: generic::JobClaims {
            project: Some("/kubernetes.io/namespace".to_owned()),
            run: Some("build".to_owned()),
            ..generic::JobClaims::default()
        },
        ..generic::Schema::default()
    };
    let kind = generic::Generic::new(schema);
    assert!(kind.claim("/kubernetes.io/namespace").unwrap().pins_project);
    let mut claims = kind.sample();
    claims.put("/kubernetes.io/namespace", "ci".into());
    let job = kind.job("https://x.example", &claims);
    assert_eq!((job.project.as_deref(), job.run.as_deref()), (Some("ci"), Some("1")));
    assert!(claims.take("/kubernetes.io/namespace").is_some() && claims.get("/kubernetes.io/namespace").is_none());
}

#[test]
fn a_claim_is_public_only_with_all_that_lies_in_it() {
    use super::issuer::{Claim, Class};
    let claims = vec![
        Claim::always("sub", Class::Immutable).personal(),
        Claim::always("user", Class::Anyone).of(Type::Object),
        Claim::always("/user/mail", Class::Anyone).personal(),
        Claim::always("users", Class::Anyone),
    ];
    let kind = generic::Generic::new(generic::Schema { claims, ..generic::Schema::default() });
    let public = |name: &str| kind.is_public(name);
    assert_eq!([public("sub"), public("user"), public("users"), public("unknown")], [false, false, true, false]);
}

#[test]
fn claims_that_follow_others_are_in_the_schema() {
    for name in ["github", "gitlab"] {
        let kind = by_name(name).unwrap();
        for claim in kind.claims() {
            let known = |other: &&str| kind.claim(other).is_some() && *other != claim.name;
            assert!(kind.follows(&claim.name).iter().all(known), "{name}: {}", claim.name);
        }
        assert!(!kind.follows("ref").is_empty());
    }
}

#[test]
fn every_sample_obeys_what_is_said_of_its_kind() {
    for kind in kinds().iter().filter_map(|name| by_name(name)) {
        let sample = kind.sample();
        for relation in kind.relations() {
            assert!(relation.holds(&sample), "{}: {relation:?}", kind.name());
            for test in relation.when.iter().chain(relation.then) {
                assert!(kind.claim(test.claim).is_some(), "{}: {}", kind.name(), test.claim);
            }
        }
    }
}
