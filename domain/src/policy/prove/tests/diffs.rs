//! Changes whose effect can be told by thinking.

use super::*;

const ROW: &str = "repository_id = \"637712\"\nref = \"refs/heads/main\"\nenvironment = \"production\"";

fn compared(old: &str, new: &str) -> Diff {
    let load = |text: &str| PolicySet::load(one(text)).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    diff(&load(old), &load(new))
}

fn rows(old: &str, new: &str) -> Diff {
    compared(&with_row(old)[0].text, &with_row(new)[0].text)
}

/// Each token that moved: which way, what of it is not as in the sample, and why.
fn told(diff: &Diff) -> Vec<String> {
    let change = |change: &Change| format!("{}={}", change.claim, change.token.as_ref().and_then(Json::as_str).unwrap_or("-"));
    let one = |moved: &Moved| {
        let changes: Vec<String> = moved.changes.iter().map(change).collect();
        format!("{:?} {}: {}", moved.now, changes.join(" "), moved.because)
    };
    diff.moved.iter().map(one).collect()
}

#[test]
fn a_row_that_asks_for_less_lets_tokens_in() {
    let diff = rows(ROW, "repository_id = \"637712\"\nref = \"refs/heads/main\"");
    assert_eq!(told(&diff), ["Allowed : before row 1 asked for environment = \"production\""]);
    assert!(diff.widens() && !diff.outcomes_stay());
    let back = rows("repository_id = \"637712\"\nref = \"refs/heads/main\"", ROW);
    assert_eq!(told(&back), ["Denied : now row 1 asks for environment = \"production\""]);
    assert!(!back.widens());
}

#[test]
fn what_is_only_written_otherwise_moves_nothing() {
    // Environments are compared without regard to case, and a list of one is one.
    let other = ROW.replace("\"production\"", "[\"PRODUCTION\"]");
    assert!(rows(ROW, &other).is_empty());
    // What every believed token has is no difference: its runner is one of two, and nobody needs to ask that there is one.
    assert!(rows(ROW, &format!("{ROW}\nrun_id = {{ present = true }}")).outcomes_stay());
    assert!(rows(ROW, &format!("{ROW}\nrunner_environment = [\"github-hosted\", \"self-hosted\"]")).outcomes_stay());
    // Two rows that say together what one says.
    let both = ROW.replace("\"production\"", "[\"production\", \"staging\"]");
    let split = format!("{ROW}\n[[role.deploy.allow]]\nissuer = \"github\"\n{}", ROW.replace("production", "staging"));
    assert!(rows(&both, &split).is_empty(), "{:?}", told(&rows(&both, &split)));
}

#[test]
fn a_token_may_lack_whatever_is_not_required() {
    // The schema says of these that every token has them; the verifier does not insist, and a row that asks does.
    for claim in ["ref_protected", "ref_type", "repository_visibility"] {
        for asked in ["{ present = true }", "[\"true\", \"false\", \"branch\", \"tag\", \"public\", \"private\", \"internal\"]"] {
            let with = format!("{ROW}\n{claim} = {asked}");
            let wider = rows(&with, ROW);
            assert!(wider.widens() && wider.moved.len() == 1, "{claim}: {:?}", told(&wider));
            assert_eq!(wider.moved[0].claims.get(claim), None, "{claim}");
            assert!(
                told(&wider)[0]
                    .starts_with(&format!("Allowed environment=production {claim}=-: before row 1 asked for {claim} = "))
            );
        }
    }
    // A generic schema's claims are called always there unless it says otherwise; that requires none.
    let set = |row: &str| {
        format!(
            "[issuer.x]\nkind = \"generic\"\nurl = \"https://x.example\"\naudience = \"https://d.example\"\nrequired = [\"sub\"]\n\
             [issuer.x.claims]\nsub = {{ class = \"immutable\" }}\napproved_by = {{ class = \"admin\" }}\n\
             [role.r.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
             [[role.r.allow]]\nissuer = \"x\"\nsub = \"a\"\n{row}\nwaive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n"
        )
    };
    let wider = compared(&set("approved_by = { present = true }"), &set(""));
    assert_eq!(told(&wider), ["Allowed approved_by=- sub=a: before row 1 asked for approved_by = { present = true }"]);
}

#[test]
fn waiving_a_veto_lets_in_what_it_kept_out() {
    let diff = rows(ROW, &format!("{ROW}\nwaive = {{ self-hosted-runner = \"the farm\" }}"));
    assert_eq!(
        told(&diff),
        ["Allowed environment=production runner_environment=self-hosted: before row 1 did not waive self-hosted-runner"]
    );
}

#[test]
fn a_narrower_glob_shuts_out_and_a_wider_one_lets_in() {
    let diff = rows(
        "repository_id = \"637712\"\nref = { glob = \"refs/heads/release/*\" }",
        "repository_id = \"637712\"\nref = { glob = \"refs/heads/release/v*\" }",
    );
    assert_eq!(told(&diff), ["Denied ref=refs/heads/release/x: now row 1 asks for ref = { glob = \"refs/heads/release/v*\" }"]);
}

#[test]
fn roles_in_shadow_and_disabled_issuers_let_nobody_in() {
    let live = with_row(ROW)[0].text.clone();
    let shadow = live.replace("[[role.deploy.allow]]", "[role.deploy]\nshadow = true\n[[role.deploy.allow]]");
    assert_eq!(told(&compared(&shadow, &live)), ["Allowed environment=production: before the role was in shadow"]);
    assert_eq!(told(&compared(&live, &shadow)), ["Denied environment=production: now the role is in shadow"]);
    let disabled = live.replace("kind     =", "enabled = false\nkind =");
    assert_eq!(told(&compared(&disabled, &live)), ["Allowed environment=production: before the issuer was disabled"]);
    let renamed = live.replace("issuer.github", "issuer.hub").replace("issuer = \"github\"", "issuer = \"hub\"");
    assert!(compared(&live, &renamed).outcomes_stay());
    assert!(compared(&live, &renamed).widens(), "what is switched off by its name is switched on by another");
    let audience = live.replace("daypass.example.com", "other.example.com");
    assert_eq!(compared(&live, &audience).moved.len(), 2);
    assert!(compared(&live, &audience).widens());
}

#[test]
fn a_claim_that_is_no_longer_required_lets_in_tokens_without_it() {
    let set = |required: &str| {
        format!(
            "[issuer.x]\nkind = \"generic\"\nurl = \"https://x.example\"\naudience = \"https://d.example\"\nrequired = [{required}]\n\
             [issuer.x.claims]\nsub = {{ class = \"immutable\" }}\nteam = {{ class = \"admin\", presence = \"optional\" }}\n\
             [role.r.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n\
             [[role.r.allow]]\nissuer = \"x\"\nsub = \"a\"\nwaive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n"
        )
    };
    let diff = compared(&set("\"sub\", \"team\""), &set("\"sub\""));
    assert_eq!(told(&diff), ["Allowed sub=a: before the token was refused for a claim that it lacks"]);
    assert_eq!(compared(&set("\"sub\""), &set("\"sub\", \"team\"")).moved[0].now, Now::Denied);
}

#[test]
fn what_a_role_gives_is_compared() {
    let with = |more: &str| format!("{}\n{more}", with_row(ROW)[0].text);
    let fields = |diff: &Diff| -> Vec<(String, bool)> {
        diff.differences.iter().map(|difference| (difference.field.clone(), difference.widens)).collect()
    };
    let more = compared(
        &with("[role.deploy]\nttl = \"10m\""),
        &with("[role.deploy]\nttl = \"20m\"\n[role.deploy.credential.two]\nengine = \"kv\"\npath = \"x\""),
    );
    assert_eq!(fields(&more), [("ttl".to_owned(), true), ("credential.two".to_owned(), true)]);
    assert!(more.outcomes_stay() && more.widens());
    let less = compared(&with("[role.deploy]\nttl = \"20m\""), &with("[role.deploy]\nttl = \"10m\""));
    assert_eq!((fields(&less), less.widens()), (vec![("ttl".to_owned(), false)], false));
    let rights = |list: &str| with(&format!("[role.deploy.credential.rights]\nengine = \"operator\"\nrights = [{list}]"));
    let (one, two) = (rights("\"audit.read\""), rights("\"audit.read\", \"leases.read\""));
    assert!(compared(&one, &two).widens() && !compared(&two, &one).widens());
}

#[test]
fn a_guard_that_goes_widens() {
    let guarded =
        format!("{}\n[[invariant]]\nname = \"i\"\nissuer = \"github\"\nnever = {{ ref = \"x\" }}", with_row(ROW)[0].text);
    let plain = &with_row(ROW)[0].text;
    assert!(compared(&guarded, plain).widens() && compared(&guarded, plain).outcomes_stay());
    assert!(!compared(plain, &guarded).widens());
}
