//! Rows beside the line that a lint draws, on either side of it.

use super::found;

const ID: &str = "repository_id = \"637712\"\n";
const MAIN: &str = "repository_id = \"637712\"\nref = \"refs/heads/main\"\n";

/// The lints that rows of one GitHub role give, `allow` tables written as `---`.
fn rules(rows: &str) -> Vec<&'static str> {
    let rows: Vec<String> = rows.split("---\n").map(|row| format!("[[role.r.allow]]\nissuer = \"github\"\n{row}")).collect();
    found(&rows.concat()).iter().map(|finding| finding.rule).collect()
}

#[test]
fn what_can_never_match_is_told_from_what_can() {
    let cases: &[(&str, &[&str])] = &[
        ("event_name = { glob = \"p*\" }", &[]),
        ("event_name = { glob = \"pull_request_t*\" }", &[]),
        ("event_name = [\"push\", \"pull_request\", \"workflow_run\"]", &["vetoed-value", "vetoed-value"]),
        ("runner_environment = \"self-hosted\"", &["vetoed-value"]),
        ("runner_environment = \"self-hosted\"\nwaive = { self-hosted-runner = \"the farm\" }", &[]),
        ("environment = { absent = true }\nenvironment_node_id = { present = true }", &[]),
        ("ref_type = \"tag\"", &["never-matches"]),
        ("ref_type = [\"branch\", \"tag\"]", &["never-matches"]),
        ("ref_protected = [\"true\", \"yes\"]", &["never-matches"]),
        ("ref_protected = { glob = \"t*\" }", &[]),
        ("ref_protected = { glob = \"y*\" }", &["never-matches"]),
        ("repository_owner_id = { glob = \"99*\" }", &[]),
        ("repository_owner_id = { glob = \"acme-*\" }", &["never-matches"]),
    ];
    for (row, expected) in cases {
        assert_eq!(rules(&format!("{MAIN}{row}\n")), *expected, "{row}");
    }
    let pull = |git_ref: &str| {
        rules(&format!("{ID}ref = {git_ref}\nevent_name = \"pull_request\"\nwaive = {{ pull-request = \"previews\" }}\n"))
    };
    assert_eq!(pull("{ glob = \"refs/pull/*/merge\" }"), [""; 0]);
    // A pull request that was merged shows the branch that it went into.
    assert_eq!(pull("[\"refs/heads/main\", \"refs/pull/7/merge\"]"), [""; 0]);
}

#[test]
fn a_row_is_covered_by_one_that_asks_no_more() {
    let covered = |wide: &str, narrow: &str| rules(&format!("{wide}---\n{narrow}")).contains(&"covered-row");
    let with = |more: &str| format!("{MAIN}{more}\n");
    assert!(covered(MAIN, MAIN));
    assert!(covered(MAIN, &with("event_name = \"push\"")) && covered(&with("event_name = \"push\""), MAIN));
    assert!(!covered(&with("event_name = \"push\""), &with("event_name = \"schedule\"")));
    assert!(!covered(&with("event_name = \"push\""), &with("environment = \"production\"")));
    assert!(covered(&with("event_name = [\"push\", \"schedule\"]"), &with("event_name = \"push\"")));
    assert!(covered(&with("event_name = { glob = \"p*\" }"), &with("event_name = [\"push\"]")));
    assert!(!covered(&with("environment = \"test\""), &with("environment = { glob = \"t*\" }\nevent_name = \"push\"")));
    // Environments are the same in any case of letters, refs are not.
    assert!(covered(&with("environment = \"Production\""), &with("environment = \"production\"")));
    assert!(!covered(MAIN, &MAIN.replace("main", "Main")));
    // The narrower row lets more runners in.
    let waive = "waive = { self-hosted-runner = \"the farm\" }";
    assert!(!covered(MAIN, &with(&format!("event_name = \"push\"\n{waive}"))));
    assert!(covered(&with(waive), &with("event_name = \"push\"")));
}

#[test]
fn a_waiver_is_in_vain_only_when_nothing_is_left_to_waive() {
    let idle = |row: &str| rules(&format!("{MAIN}{row}\n")).contains(&"waiver-in-vain");
    let waive = "waive = { self-hosted-runner = \"the farm\" }";
    assert!(!idle(waive));
    assert!(idle(&format!("runner_environment = \"github-hosted\"\n{waive}")));
    assert!(!idle(&format!("runner_environment = {{ glob = \"*-hosted\" }}\n{waive}")));
    assert!(!idle(&format!("runner_environment = [\"github-hosted\", \"self-hosted\"]\n{waive}")));
    assert!(idle("waive = { no-project-pin = \"once it had none\" }"));
}

#[test]
fn workflows_say_their_ref() {
    let open = |workflow: &str| rules(&format!("{MAIN}job_workflow_ref = {workflow}\n")).contains(&"workflow-without-ref");
    let file = "acme/p/.github/workflows/d.yml";
    for wide in ["", "@*", "@refs/heads/*", "@refs/heads/**", "@refs/**", "@**"] {
        let glob = if wide.is_empty() { format!("\"{file}\"") } else { format!("{{ glob = \"{file}{wide}\" }}") };
        // A star does not cross a /, and ** stands behind one only.
        if wide != "@**" {
            assert!(open(&glob), "{glob}");
        }
    }
    for told in ["@refs/heads/main", "@refs/tags/v1.2", "@4f5a1c7e9b2d8036f1e4a7c5d9b30e628f71a4c2"] {
        assert!(!open(&format!("\"{file}{told}\"")), "{told}");
    }
    assert!(!open(&format!("{{ glob = \"{file}@refs/tags/v*\" }}")));
    assert!(!open(&format!("{{ glob = \"{file}@*\" }}\njob_workflow_sha = \"4f5a1c7e9b2d8036f1e4a7c5d9b30e628f71a4c2\"")));
}

#[test]
fn a_ref_in_the_wrong_form_comes_with_the_right_one() {
    let help = |kind: &str, condition: &str| {
        let pins = if kind == "gitlab" { "project_id = \"1\"\nref_protected = \"true\"\n" } else { ID };
        let row = format!("[[role.r.allow]]\nissuer = \"{kind}\"\n{pins}{condition}\n");
        let wrong = found(&row).into_iter().find(|finding| finding.rule == "wrong-ref-form");
        wrong.and_then(|finding| finding.help).unwrap_or_else(|| panic!("{condition} is not found"))
    };
    assert_eq!(help("github", "ref = \"main\""), "write `refs/heads/main`; a tag is `refs/tags/main`");
    assert_eq!(help("github", "ref = \"tags/v1\""), "write `refs/tags/v1`");
    assert_eq!(help("gitlab", "ref_path = \"main\""), "write `refs/heads/main`; a tag is `refs/tags/main`");
    assert_eq!(help("gitlab", "ref = \"refs/heads/main\""), "write `ref_path = \"refs/heads/main\"`: `ref` is the name alone");
}

#[test]
fn names_beside_their_ids_are_no_finding() {
    assert_eq!(rules(&format!("{MAIN}repository = \"acme/shop\"\nrepository_owner = \"acme\"\n")), [""; 0]);
    let waive = "waive = { no-project-pin = \"x\" }";
    let owner = format!("repository_owner_id = \"9919\"\nref = \"refs/heads/main\"\n{waive}\n");
    assert_eq!(rules(&owner), ["whole-organisation"]);
    assert_eq!(rules(&format!("{owner}repository = {{ glob = \"acme/*\" }}\n")), ["name-as-id"]);
    // A run's number is an id, and pins nobody.
    let run = format!("run_id = \"7\"\nref = \"refs/heads/main\"\n{waive}\n");
    assert_eq!(rules(&run), ["no-immutable-claim", "run-pin"]);
}

#[test]
fn a_servers_own_address_is_the_audience_of_careless_jobs() {
    let shared = |kind: &str, url: &str, audience: &str| {
        let pins =
            if kind == "gitlab" { "project_id = \"1\"\nref_path = \"refs/heads/main\"\nref_protected = \"true\"" } else { MAIN };
        let row = format!("[[role.r.allow]]\nissuer = \"own\"\n{pins}\n");
        let issuer = format!("[issuer.own]\nkind = \"{kind}\"\nurl = \"{url}\"\naudience = \"{audience}\"\n");
        found(&format!("{issuer}{row}")).iter().any(|finding| finding.rule == "shared-audience")
    };
    assert!(shared("github", "https://ghes.acme.example/_services/token", "https://ghes.acme.example/acme"));
    assert!(shared("github", "https://token.actions.acme.ghe.com", "https://acme.ghe.com/acme"));
    assert!(shared("gitlab", "https://git.acme.example", "https://git.acme.example"));
    assert!(!shared("gitlab", "https://git.acme.example", "https://git.acme.example:8443"));
    assert!(!shared("github", "https://ghes.acme.example/_services/token", "https://daypass.acme.example"));
}
