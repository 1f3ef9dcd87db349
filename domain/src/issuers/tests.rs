use super::issuer::{Class, Presence, REGISTERED, Type};
use super::*;
use crate::claims::{Claims, Json, Object};

mod machines;
mod pipelines;

#[test]
fn samples_follow_their_schema() {
    for kind in built_in() {
        let (name, sample) = (kind.name(), kind.sample());
        for claim in kind.claims() {
            let value = sample.get(&claim.name);
            assert!(value.is_some() || claim.presence == Presence::Optional, "{name}: the sample lacks {}", claim.name);
            if let Some(value) = value {
                assert!(crate::policy::typed(claim.ty, value), "{name}: {}", claim.name);
            }
        }
        for required in kind.required() {
            assert!(sample.get(required).is_some(), "{name}: the sample lacks {required}");
            let optional = kind.claim(required).is_some_and(|claim| claim.presence == Presence::Optional);
            assert!(!optional, "{name}: {required} is required and yet optional");
        }
        if let Some(replay) = kind.replay_claim() {
            assert!(kind.required().iter().any(|required| required == replay), "{name}: {replay} tells tokens apart");
        }
        for (held, _) in sample.object().iter() {
            let below = format!("/{held}/");
            let known = kind.claim(held).is_some()
                || kind.claims().iter().any(|claim| claim.name.starts_with(&below))
                || REGISTERED.iter().any(|(registered, _)| *registered == held);
            assert!(known, "{name}: the sample has {held}, which is in no schema");
        }
        let of = |claim: &str| sample.get(claim).and_then(Json::as_int).unwrap();
        assert!(of("exp") - of("iat") <= kind.ages().lifetime, "{name}: the sample lives too long");
        assert!(kind.check_url(sample.text("iss").unwrap()).is_ok(), "{name}");
        let mut names: Vec<&str> = kind.claims().iter().map(|claim| &*claim.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{name}: a claim stands twice");
        assert!(kind.claims().iter().any(|claim| claim.pins_project && claim.class == Class::Immutable), "{name} pins nothing");
        assert!(kind.claims().iter().any(|claim| claim.gates_code), "{name} gates nothing");
        let job = kind.job(sample.text("iss").unwrap(), &sample);
        assert!(job.project.is_some() && job.project_name.is_some() || name == "bitbucket", "{name}: {job:?}");
    }
    assert!(by_name("generic").is_none() && by_name("GitHub").is_none());
    assert_eq!(kinds().len(), built_in().count() + 1);
}

#[test]
fn a_person_stays_the_same_from_job_to_job_and_is_not_guessed() {
    let told: Vec<(&str, Option<String>)> = built_in().map(|kind| (kind.name(), kind.person(&kind.sample()))).collect();
    for (name, claim) in [("github", "actor_id"), ("gitlab", "user_id"), ("kubernetes", "sub"), ("google", "sub"), ("aws", "sub")]
    {
        let kind = by_name(name).unwrap();
        let sample = kind.sample();
        let other = sample.clone().with("ref", "refs/heads/other").with("jti", "another").with("run_id", "2");
        let person = kind.person(&sample);
        assert!(person.is_some() && person.as_deref() == sample.text(claim), "{name}: {told:?}");
        assert_eq!(kind.person(&other), person, "{name}");
        assert_ne!(kind.person(&sample.clone().with(claim, "7")), person, "{name}");
        assert_eq!(kind.person(&Claims::from_verified(Object::default()).with("jti", "x")), None, "{name}");
    }
    // Their subjects tell the commit, the step or the phase.
    for name in ["buildkite", "bitbucket", "terraform"] {
        assert!(told.contains(&(name, None)), "{told:?}");
    }
    let circleci = by_name("circleci").unwrap();
    let of = |sub: &str| circleci.person(&circleci.sample().with("sub", sub));
    assert_eq!(of("org/o/project/p/user/u1/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/a").as_deref(), Some("u1"));
    assert_eq!(of("org/o/project/p/user/u1/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/b").as_deref(), Some("u1"));
    // What a writer names is no user.
    for sub in ["org/o/project/p", "org/o/project/p/vcs-ref/user/u2", "org/o/project/p/user/", "org/o/project/p/user"] {
        assert_eq!(of(sub), None, "{sub}");
    }
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
    use super::issuer::Claim;
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
    use super::issuer::Claim;
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
    for kind in built_in() {
        for claim in kind.claims() {
            let known = |other: &&str| kind.claim(other).is_some() && *other != claim.name;
            assert!(kind.follows(&claim.name).iter().all(known), "{}: {}", kind.name(), claim.name);
        }
    }
}

#[test]
fn names_have_ids_that_stay_and_first_policies_know_what_to_ask_for() {
    for kind in built_in() {
        let (name, sample) = (kind.name(), kind.sample());
        for (of, id) in kind.ids() {
            let claim = |claim: &str| kind.claim(claim).unwrap_or_else(|| panic!("{name}: {claim} is in no schema"));
            assert!(claim(of).class != Class::Immutable || *of == "enterprise", "{name}: {of} is an id itself");
            assert_eq!((claim(id).class, claim(id).ty), (Class::Immutable, Type::String), "{name}: {id}");
        }
        let starters: Vec<_> = kind.starters().iter().map(|starter| (starter, kind.claim(starter))).collect();
        for (starter, claim) in &starters {
            assert!(claim.is_some_and(|claim| !claim.personal && claim.ty == Type::String), "{name}: {starter}");
        }
        let has = |wanted: fn(&issuer::Claim) -> bool| {
            starters.iter().any(|(starter, claim)| sample.text(starter).is_some() && claim.is_some_and(wanted))
        };
        assert!(has(|claim| claim.pins_project), "{name}: a first policy pins nothing");
        assert!(has(|claim| claim.gates_code), "{name}: a first policy gates nothing");
        for absence in kind.absences() {
            let optional = kind.claim(absence).is_some_and(|claim| claim.presence == Presence::Optional);
            assert!(optional && kind.starters().contains(absence), "{name}: {absence}");
        }
    }
}

#[test]
fn every_sample_obeys_what_is_said_of_its_kind() {
    for kind in built_in() {
        let sample = kind.sample();
        let vetoes = kind.vetoes().iter().flat_map(|veto| veto.passes).flat_map(|tests| tests.iter());
        for test in vetoes.chain(kind.relations().iter().flat_map(|relation| relation.when.iter().chain(relation.then))) {
            let ty = kind.claim(test.claim).unwrap_or_else(|| panic!("{}: {}", kind.name(), test.claim)).ty;
            let boolean = matches!(test.is, rule::Is::Flag(_));
            let any = matches!(test.is, rule::Is::Present | rule::Is::Absent);
            assert!(any || ty == if boolean { Type::Boolean } else { Type::String }, "{}: {}", kind.name(), test.claim);
            if let rule::Is::SameAs(other) = test.is {
                assert!(kind.claim(other).is_some(), "{}: {other}", kind.name());
            }
        }
        for relation in kind.relations() {
            assert!(relation.holds(&sample), "{}: {relation:?}", kind.name());
            let mut tests = relation.when.iter().chain(relation.then);
            let presence = tests.any(|test| matches!(test.is, rule::Is::Present | rule::Is::Absent));
            assert!(!presence, "{}: what must be there is for the verifier: {relation:?}", kind.name());
        }
    }
}
