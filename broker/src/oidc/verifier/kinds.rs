//! One token of every kind of issuer, signed and verified: what a schema, its ages and its required claims promise is what the
//! verifier holds tokens to.

use domain::claims::Claims;
use domain::issuers::{built_in, issuer::Presence};
use domain::policy::{Ask, PolicySet, SourceFile, decide};

use super::tests::{self, NOW, Set};
use super::*;
use crate::crypto::jws::KeySet;
use crate::crypto::jws::tests::{Signer, jwks};

/// Presents the claims as a token of the kind, signed by its issuer.
fn verified(kind: &dyn Kind, signer: &Signer, claims: &Claims) -> Result<Verified, Refused> {
    let url = kind.sample().text("iss").unwrap().to_owned();
    let believed = Believed {
        name: kind.name(),
        url: &url,
        audience: "https://daypass.example.com",
        algorithms: Algorithm::DEFAULT,
        ages: kind.ages(),
        kind,
        enabled: true,
    };
    let keys = |_: &str| KeySet::admit(&jwks(&[signer.jwk()]), Algorithm::DEFAULT).ok();
    tests::decide(&Set(vec![believed]), keys, &signer.token(&serde_json::to_value(claims).unwrap()))
}

fn code(kind: &dyn Kind, signer: &Signer, claims: &Claims) -> Result<(), Code> {
    verified(kind, signer, claims).map(|_| ()).map_err(|refused| refused.refusal.code)
}

#[test]
fn the_sample_of_every_kind_is_believed_and_tells_itself_apart() {
    let signer = Signer::new("k");
    for kind in built_in() {
        let sample = kind.sample();
        let once = verified(kind, &signer, &sample).unwrap_or_else(|refused| panic!("{}: {refused}", kind.name()));
        let again = verified(kind, &signer, &sample).unwrap();
        let (believed, said) = (serde_json::to_value(&once.claims).unwrap(), serde_json::to_value(&sample).unwrap());
        assert_eq!(believed, said, "{}", kind.name());
        assert_eq!(once.token_id, again.token_id, "{}: a second signature makes no second token", kind.name());
        let next = match kind.replay_claim() {
            Some(claim) => sample.with(claim, "another"),
            None => sample.with("exp", NOW + 60),
        };
        assert_ne!(verified(kind, &signer, &next).unwrap().token_id, once.token_id, "{}", kind.name());
    }
}

#[test]
fn every_kind_refuses_a_token_that_lacks_what_makes_it_one() {
    let signer = Signer::new("k");
    for kind in built_in() {
        for required in kind.required().iter().map(|name| &**name).chain(["iat", "exp", "sub"]).chain(kind.replay_claim()) {
            let mut lacking = kind.sample();
            assert!(lacking.take(required).is_some(), "{}: {required}", kind.name());
            assert_eq!(code(kind, &signer, &lacking), Err(Code::ClaimsIncomplete), "{} without {required}", kind.name());
        }
    }
}

/// Proofs count on it that nothing else need be there (docs/proofs.md), whatever the schema says of real tokens.
#[test]
fn every_kind_believes_a_token_that_has_no_more_than_it_requires() {
    let signer = Signer::new("k");
    for kind in built_in() {
        let required: Vec<&str> = kind.required().iter().map(|name| &**name).chain(kind.replay_claim()).collect();
        let needed = |name: &str| ["iss", "aud", "sub", "iat", "exp"].contains(&name) || required.contains(&name);
        let within = |name: &str| {
            let above = format!("/{}/", name.replace('~', "~0").replace('/', "~1"));
            required.iter().any(|claim| claim.starts_with(&above))
        };
        let mut bare = kind.sample();
        let names: Vec<String> = bare.object().iter().map(|(name, _)| name.to_owned()).collect();
        for name in names.iter().filter(|name| !needed(name) && !within(name)) {
            bare.take(name);
        }
        for claim in kind.claims().iter().filter(|claim| claim.name.starts_with('/') && !needed(&claim.name)) {
            bare.take(&claim.name);
        }
        assert_eq!(code(kind, &signer, &bare), Ok(()), "{}: {bare:?}", kind.name());
    }
}

#[test]
fn every_claim_of_every_kind_has_its_type_and_optional_ones_may_be_null() {
    let signer = Signer::new("k");
    for kind in built_in() {
        for claim in kind.claims().iter().filter(|claim| !claim.name.ends_with('*')) {
            let mut odd = kind.sample();
            odd.put(&claim.name, Json::Number(1.5));
            assert_eq!(code(kind, &signer, &odd), Err(Code::ClaimsIncomplete), "{}: {}", kind.name(), claim.name);
            if claim.presence == Presence::Optional {
                let mut null = kind.sample();
                null.put(&claim.name, Json::Null);
                let believed = verified(kind, &signer, &null).unwrap_or_else(|_| panic!("{}: {}", kind.name(), claim.name));
                assert_eq!(believed.claims.get(&claim.name), None, "{}: {} is null", kind.name(), claim.name);
            }
        }
    }
}

#[test]
fn every_kind_bounds_how_old_its_tokens_are() {
    let signer = Signer::new("k");
    for kind in built_in() {
        let ages = kind.ages();
        let sample = kind.sample();
        let endless = sample.clone().with("exp", NOW + ages.lifetime + 1);
        assert_eq!(code(kind, &signer, &endless), Err(Code::TokenExpired), "{}: lifetime", kind.name());
        let old = sample.with("iat", NOW - ages.age - 1).with("exp", NOW + ages.lifetime - ages.age - 1).with("nbf", NOW - 1);
        assert_eq!(code(kind, &signer, &old), Err(Code::TokenExpired), "{}: age", kind.name());
    }
}

/// From the signature to the credential: the pins and gates that a row must have are claims that a believed token has.
#[test]
fn a_row_with_the_pin_and_gate_of_its_kind_lets_the_sample_in_and_no_other() {
    let signer = Signer::new("k");
    for kind in built_in() {
        let (name, sample) = (kind.name(), kind.sample());
        let of = |fits: fn(&domain::issuers::issuer::Claim) -> bool| {
            kind.claims().iter().find(|claim| fits(claim) && sample.text(&claim.name).is_some()).unwrap()
        };
        let (pin, gate) = (of(|claim| claim.pins_project), of(|claim| claim.gates_code));
        let mut conditions = vec![pin];
        conditions.extend(Some(gate).filter(|gate| gate.name != pin.name));
        let rows: Vec<String> =
            conditions.iter().map(|claim| format!("{:?} = {:?}", claim.name, sample.text(&claim.name).unwrap())).collect();
        let text = format!(
            "[issuer.{name}]\nkind = \"{name}\"\nurl = {:?}\naudience = \"https://daypass.example.com\"\n\
             [[role.deploy.allow]]\nissuer = \"{name}\"\n{}\n[role.deploy.credential.secret]\nengine = \"kv\"\npath = \"shop/x\"\n",
            sample.text("iss").unwrap(),
            rows.join("\n")
        );
        let set = PolicySet::load(vec![SourceFile { path: "set.toml".to_owned(), text }])
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let outcome = |claims: &Claims| {
            let believed = verified(kind, &signer, claims).unwrap();
            let now = NOW + 1;
            let ask = Ask { issuer: name, claims: &believed.claims, role: Some("deploy"), credentials: &[], ttl: None, now };
            decide(&set, &ask).map(|allowed| allowed.role).map_err(|refusal| refusal.code)
        };
        assert_eq!(outcome(&sample), Ok("deploy".to_owned()), "{name}");
        for claim in conditions {
            let mut other = sample.clone();
            other.put(&claim.name, Json::from(format!("{}x", sample.text(&claim.name).unwrap()).as_str()));
            assert!(outcome(&other).is_err(), "{name}: another {}", claim.name);
        }
    }
}
