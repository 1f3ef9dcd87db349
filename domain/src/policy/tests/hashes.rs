use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const ROWS: &[&str] = &[
    "event_name = [\"push\", \"workflow_dispatch\"]",
    "environment = { glob = \"prod-*\" }",
    "environment = { absent = true }",
    "head_ref = { present = true }",
    "repository = \"Acme/Shop \\\"x\\\" \\\\ ü\"",
    "\"repo_property_tier\" = \"gold\"",
    "waive = { self-hosted-runner = \"the farm\", pull-request = \"previews\" }",
    "job_workflow_ref = \"acme/shop/.github/workflows/deploy.yml@refs/heads/main\"",
];
const CREDENTIALS: &[&str] = &[
    "engine = \"kv\"\npath = \"shop/{repository_id}/*\"\naccess = [\"write\", \"read\"]",
    "engine = \"kv\"\npath = \"shop/registry\"\nversion = 3\nttl = \"90s\"",
    "engine = \"postgres\"\nconnection = \"shop\"\nstatements = \"readwrite\"\nttl = \"5m\"",
    "engine = \"operator\"\nrights = [\"secrets.read:shop/*\", \"audit.read\"]",
    "engine = \"aws\"\nrole_arn = \"arn:aws:iam::123456789012:role/x\"\nsession_tags = { \"a b\" = \"{ref}\", run = \"{run_id}\" }\nsession_policy = '{\"Version\": \"2012-10-17\", \"x\": [\"{run_id}\"]}'",
];
const REST: &[&str] = &[
    "[[invariant]]\nname = \"a\"\nissuer = \"github\"\nnever = { role = { glob = \"r*\" }, event_name = [\"b\", \"a\"], environment = { absent = true } }",
    "[[invariant]]\nname = \"b\"\nissuer = \"github\"\nonly = { ref_protected = \"true\" }",
    "[[owner]]\nfiles = \"nowhere/*.toml\"\nroles = [\"b\", \"a\"]\nkv = [\"x/**\", \"a\"]\nconnections = \"c\"",
    "[[case]]\nname = \"c\"\nissuer = \"github\"\nclaims = { ref = \"refs/tags/v1\", exp = 17 }\nwithout = [\"run_id\"]\nrole = \"r0\"\nttl = \"1h\"\nexpect = \"deny\"\ncode = \"role_not_allowed\"",
    "[[case]]\nname = \"d\"\nissuer = \"github\"\ncredentials = [\"z\", \"a\"]\nexpect = \"deny\"",
];

prop_compose! {
    /// Some role: which conditions and credentials it has.
    fn role()(rows in prop::collection::vec(prop::collection::btree_set(0..ROWS.len(), 0..4), 1..3),
              credentials in prop::collection::btree_set(0..CREDENTIALS.len(), 1..4),
              ttl in 900_u64..3600, uses in 1_u16..9, shadow: bool) -> (Vec<Vec<usize>>, Vec<usize>, u64, u16, bool) {
        let rows = rows.into_iter().map(|row| {
            // A claim stands once in a row.
            row.into_iter().filter(|at| *at != 2).collect()
        }).collect();
        (rows, credentials.into_iter().collect(), ttl, uses, shadow)
    }
}

type RoleParts = (Vec<Vec<usize>>, Vec<usize>, u64, u16, bool);

/// Writes the parts down. A `messy` text says the same in other words and another order.
fn write(roles: &[RoleParts], rest: &[usize], messy: bool) -> Vec<SourceFile> {
    let mut items: Vec<String> = vec![ISSUERS.to_owned()];
    for (at, (rows, credentials, ttl, uses, shadow)) in roles.iter().enumerate() {
        let mut text = format!("[role.r{at}]\nttl = \"{ttl}s\"\ntoken_uses = {uses}\nshadow = {shadow}\n");
        if messy {
            text = format!(
                "# a comment\n[ role . \"r{at}\" ] # another\n  shadow={shadow}\n\n\ttoken_uses=0x{uses:x}\n\tttl = '{}'\n",
                {
                    let seconds = *ttl;
                    format!("{}m{}s", seconds / 60, seconds % 60)
                }
            );
        }
        for row in rows {
            let mut lines: Vec<&str> = vec!["issuer = \"github\"", "repository_id = [\"2\", \"1\"]", "ref = \"refs/heads/main\""];
            lines.extend(row.iter().map(|at| ROWS[*at]));
            if messy {
                lines.reverse();
            }
            writeln!(text, "[[role.r{at}.allow]]\n{}", lines.join("\n")).unwrap();
        }
        let mut credentials: Vec<String> =
            credentials.iter().map(|which| format!("[role.r{at}.credential.c{which}]\n{}\n", CREDENTIALS[*which])).collect();
        if messy {
            credentials.reverse();
        }
        text.push_str(&credentials.concat());
        items.push(text);
    }
    items.extend(rest.iter().map(|at| REST[*at].to_owned()));
    if messy {
        items.reverse();
        return items
            .into_iter()
            .enumerate()
            .map(|(at, text)| SourceFile {
                path: format!("f{}.toml", 99 - at),
                text: text.replace("[\"2\", \"1\"]", "[ '1',\n '2', '1' ]"),
            })
            .collect();
    }
    one(&items.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn policy_parse_and_print_agree(roles in prop::collection::vec(role(), 1..4), rest in prop::collection::btree_set(0..REST.len(), 0..5)) {
        let rest: Vec<usize> = rest.into_iter().collect();
        let set = loaded(write(&roles, &rest, false));
        let printed = print(&set);
        let again = loaded(printed.clone());
        prop_assert_eq!(set.hash(), again.hash());
        prop_assert_eq!(&printed, &print(&again), "print is not a fixed point");
        let messy = loaded(write(&roles, &rest, true));
        prop_assert_eq!(set.hash(), messy.hash(), "layout changes the hash");
    }
}

#[test]
fn the_starter_set_survives_print() {
    let set = loaded(starter());
    assert_eq!(set.hash(), loaded(print(&set)).hash());
    let mut files = starter();
    files.reverse();
    assert_eq!(set.hash(), loaded(files).hash());
}

#[test]
fn every_change_of_meaning_changes_the_hash() {
    let before = loaded(starter());
    let changes = [
        ("\"9919\"", "\"9918\""),
        ("ttl         = \"30m\"", "ttl         = \"31m\""),
        ("refs/heads/main\"\nevent", "refs/heads/next\"\nevent"),
        ("\"readwrite\"", "\"readonly\""),
        ("\"shop/registry\"", "\"shop/registrx\""),
        ("shop-{run_id}", "shop-{run_number}"),
        ("\"https://daypass.example.com\"", "\"https://daypass.example.org\""),
        ("class = \"admin\"", "class = \"writer\""),
        ("max_token_age = \"10m\"", "max_token_age = \"11m\""),
        ("\"*-prod\"", "\"*-live\""),
        ("name   = \"a push to", "name   = \"some push to"),
        ("\"123456789012\"", "\"123456789013\""),
    ];
    for (old, new) in changes {
        let mut files = starter();
        assert!(files.iter().any(|file| file.text.contains(old)), "{old} is not in the starter set");
        for file in &mut files {
            file.text = file.text.replace(old, new);
        }
        if old.contains("1234") {
            for file in &mut files {
                file.text = file.text.replace("123456789012", "123456789013");
            }
        }
        assert_ne!(before.hash(), loaded(files).hash(), "{old} -> {new}");
    }
}

/// Every key that a set can have, so that `print` and the hash cannot leave one out.
#[test]
fn every_key_is_part_of_the_hash_and_of_print() {
    let whole = r#"
[issuer.own]
kind = "generic"
url = "https://id.example.com"
audience = "https://daypass.example.com"
jwks_url = "https://keys.example.com/jwks"
discovery = "https://id.example.com/.well-known/openid-configuration"
algorithms = ["ES256"]
max_token_age = "5m"
max_token_lifetime = "6m"
ca_file = "ca.pem"
allow_private_network = true
enabled = false
required = ["team"]
replay_claim = "team"
person = "sub"
claims.sub = { class = "immutable", personal = true }
claims.team = { type = "strings", presence = "optional", case = "fold-ascii", class = "admin" }
job = { project = "sub", environment = "team" }
[role.r]
description = "x"
ttl = "20m"
session_ttl = "2h"
token_uses = 3
max_leases = 5
shadow = true
[[role.r.allow]]
issuer = "own"
sub = "svc"
team = { glob = "ops-*" }
waive = { no-code-gate = "none" }
[role.r.credential.c]
engine = "aws"
ttl = "16m"
role_arn = "arn:aws:iam::123456789012:role/x"
session_tags = { a = "{sub}" }
session_name = "n-{sub}"
session_policy = '{"Version": "2012-10-17"}'
policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
source_identity = "s-{sub}"
external_id = "e-1"
region = "eu-central-1"
[role.r.credential.k]
engine = "kv"
mount = "other"
path = "a/b"
access = ["list"]
version = 4
"#;
    let changes = [
        ("https://id.example.com\"", "https://ie.example.com\""),
        ("keys.example.com", "keyz.example.com"),
        ("/.well-known/openid-configuration", "/.well-known/openid"),
        ("[\"ES256\"]", "[\"RS256\"]"),
        ("\"5m\"", "\"4m\""),
        ("\"6m\"", "\"7m\""),
        ("ca.pem", "cb.pem"),
        ("allow_private_network = true", "allow_private_network = false"),
        ("enabled = false", "enabled = true"),
        ("required = [\"team\"]", "required = [\"sub\"]"),
        ("replay_claim = \"team\"", "replay_claim = \"sub\""),
        ("person = \"sub\"", "person = \"team\""),
        ("personal = true", "personal = false"),
        ("type = \"strings\"", "type = \"string\""),
        ("presence = \"optional\"", "presence = \"always\""),
        ("case = \"fold-ascii\"", "case = \"exact\""),
        ("class = \"admin\"", "class = \"writer\""),
        ("environment = \"team\"", "workflow = \"team\""),
        ("description = \"x\"", "description = \"y\""),
        ("\"20m\"", "\"21m\""),
        ("\"2h\"", "\"3h\""),
        ("token_uses = 3", "token_uses = 4"),
        ("max_leases = 5", "max_leases = 6"),
        ("shadow = true", "shadow = false"),
        ("\"svc\"", "\"svd\""),
        ("ops-*", "ops*"),
        ("\"none\"", "\"other\""),
        ("\"16m\"", "\"17m\""),
        ("role/x", "role/y"),
        ("a = \"{sub}\"", "a = \"{sub}.\""),
        ("\"n-{sub}", "\"m-{sub}"),
        ("2012-10-17", "2008-10-17"),
        ("ReadOnlyAccess", "ViewOnlyAccess"),
        ("\"s-{sub}", "\"t-{sub}"),
        ("\"e-1", "\"e-2"),
        ("eu-central-1", "eu-central-2"),
        ("mount = \"other\"", "mount = \"secret\""),
        ("\"a/b\"", "\"a/c\""),
        ("[\"list\"]", "[\"write\"]"),
        ("version = 4", "version = 5"),
    ];
    let set = loaded(one(whole));
    let printed = print(&set);
    assert_eq!(loaded(printed.clone()).hash(), set.hash());
    for (old, new) in changes {
        assert_eq!(whole.matches(old).count(), 1, "{old}");
        let other = loaded(one(&whole.replace(old, new)));
        assert_ne!(set.hash(), other.hash(), "{old} -> {new}");
        assert_ne!(printed, print(&other), "{old} -> {new}");
    }
}

#[test]
fn the_order_of_rows_counts() {
    let row = |id: &str| format!("[[role.r.allow]]\nissuer = \"github\"\nrepository_id = \"{id}\"\nref = \"refs/heads/main\"\n");
    let set = |first: &str, second: &str| {
        loaded(one(&format!("{ISSUERS}{}{}[role.r.credential.c]\nengine = \"kv\"\npath = \"a\"\n", row(first), row(second))))
    };
    assert_ne!(set("1", "2").hash(), set("2", "1").hash());
}
