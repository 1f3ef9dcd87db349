//! `policy prove` and `policy diff`, as a pull request's job runs them.

use crate::policy::starter;
use crate::run::{Job, Ran};

/// What the starter set's row about GitLab says of the ref.
const REF: &str =
    "ref_path        = \"refs/heads/main\"               # not ref: a tag may be called main too\nref_protected   = \"true\"\n";

fn offline(words: &[&str]) -> Ran {
    let job = Job::at_address("");
    Ran::of(job.bare(words).env_remove("DAYPASS_ADDR"))
}

/// A folder with the starter set in `policies`, one of its files edited.
fn edited(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("policies")).expect("made");
    for name in ["issuers.toml", "shop.toml", "internal.toml", "operators.toml", "invariants.toml"] {
        let text = std::fs::read_to_string(format!("{}/{name}", starter())).expect("read");
        assert!(name != file || text.contains(from), "{file} has no {from}");
        let text = if name == file { text.replacen(from, to, 1) } else { text };
        std::fs::write(folder.path().join("policies").join(name), text).expect("written");
    }
    folder
}

#[test]
fn the_starter_set_is_proven() {
    let ran = offline(&["policy", "prove", &starter()]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("3 of 3 invariants hold"), "{}", ran.stdout);
}

#[test]
fn a_counterexample_can_be_explained_as_it_stands() {
    let folder = edited("shop.toml", REF, "ref_path = { glob = \"refs/heads/release/*\" }\n");
    let path = folder.path().join("policies");
    let path = path.to_str().expect("text");
    let ran = offline(&["policy", "prove", path]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let command = ran.stdout.lines().map(str::trim).find(|line| line.starts_with("daypass policy explain")).expect("a command");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let explained = offline(&words);
    assert_eq!(explained.code, Some(0), "{command}: {}{}", explained.stdout, explained.stderr);
    let json: serde_json::Value =
        serde_json::from_str(&offline(&["--format", "json", "policy", "prove", path]).stdout).expect("json");
    assert_eq!(json["holds"], false);
    assert_eq!(json["proofs"][2]["counterexamples"][0]["claims"]["ref_protected"], "false");
}

#[test]
fn the_page_about_proofs_shows_what_is_printed() {
    let page = std::fs::read_to_string(format!("{}/../docs/proofs.md", starter())).expect("read");
    let shown = page.split("```\n").find(|block| block.starts_with('✗')).expect("a broken invariant");
    let folder = edited("shop.toml", "ref_protected   = \"true\"\n", "");
    let job = Job::at_address("");
    let ran = Ran::of(job.bare(&["policy", "prove", "policies"]).env_remove("DAYPASS_ADDR").current_dir(folder.path()));
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(shown), "{}", ran.stdout);
}

#[test]
fn a_change_is_told_by_a_token() {
    let folder = edited("shop.toml", "environment         = \"production\"\n", "");
    let path = folder.path().join("policies");
    let path = path.to_str().expect("text");
    let ran = offline(&["policy", "diff", &starter(), path]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("newly allowed  shop-deploy-prod  github, row 1"), "{}", ran.stdout);
    let strict = offline(&["policy", "diff", "--exit-code", &starter(), path]);
    assert_eq!(strict.code, Some(1));
    let page = offline(&["--format", "markdown", "policy", "diff", path, path]).ok();
    assert!(page.contains("no token's outcome changes"), "{page}");
    let nowhere = offline(&["policy", "diff", "no-such-thing", path]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}
