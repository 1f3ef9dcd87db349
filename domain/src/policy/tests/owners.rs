use super::*;

fn set(team: &str) -> Vec<SourceFile> {
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    vec![
        file("issuers.toml", ISSUERS),
        file(
            "owners.toml",
            "[[owner]]\nfiles = \"teams/shop/*.toml\"\nroles = { glob = \"shop-*\" }\nconnections = [\"shop\"]\nkv = [\"shop/**\"]\naws_accounts = [\"123456789012\"]\n",
        ),
        file("teams/shop/roles.toml", team),
    ]
}

fn role(name: &str, credential: &str) -> String {
    format!(
        "[[role.{name}.allow]]\nissuer = \"github\"\nrepository_id = \"1\"\nref = \"refs/heads/main\"\n[role.{name}.credential.x]\n{credential}\n"
    )
}

#[test]
fn a_team_speaks_of_what_it_owns() {
    for credential in [
        "engine = \"postgres\"\nconnection = \"shop\"\nstatements = \"rw\"",
        "engine = \"kv\"\npath = \"shop/a/b\"",
        "engine = \"kv\"\npath = \"shop/*\"",
        "engine = \"kv\"\npath = \"shop/{environment}/x\"",
        "engine = \"kv\"\npath = \"shop/**\"",
        "engine = \"aws\"\nrole_arn = \"arn:aws:iam::123456789012:role/x\"",
    ] {
        let found = problems(set(&role("shop-x", credential)));
        assert!(found.is_empty(), "{credential}\n{}", lines(&found));
    }
}

#[test]
fn a_file_beyond_its_owner_is_refused() {
    for credential in [
        "engine = \"postgres\"\nconnection = \"billing\"\nstatements = \"rw\"",
        "engine = \"kv\"\npath = \"billing/a\"",
        "engine = \"kv\"\npath = \"*/a\"",
        "engine = \"kv\"\npath = \"{environment}/a\"",
        "engine = \"kv\"\npath = \"**\"",
        "engine = \"kv\"\npath = \"shop\"",
        "engine = \"kv\"\nmount = \"other\"\npath = \"shop/a\"",
        "engine = \"aws\"\nrole_arn = \"arn:aws:iam::999999999999:role/x\"",
        "engine = \"operator\"\nrights = [\"policy.write\"]",
    ] {
        let found = problems(set(&role("shop-x", credential)));
        assert!(found.len() == 1 && found[0].rule == "owner", "{credential}\n{}", lines(&found));
        assert_eq!(found[0].file, "teams/shop/roles.toml");
    }
    let kv = "engine = \"kv\"\npath = \"shop/a\"";
    assert_eq!(problems(set(&role("billing-x", kv))).len(), 1);
    let owner = "[[owner]]\nfiles = \"teams/shop/*.toml\"\nroles = { glob = \"*\" }\n";
    let invariant = "[[invariant]]\nname = \"x\"\nissuer = \"github\"\nnever = { event_name = \"push\" }\n";
    let case = "[[case]]\nname = \"x\"\nissuer = \"github\"\nrole = \"billing\"\nexpect = \"deny\"\n";
    let issuer = "[issuer.gitlab]\nkind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"x\"\n";
    for more in [owner, invariant, case, issuer] {
        let found = problems(set(&format!("{}{more}", role("shop-x", kv))));
        assert!(found.iter().any(|problem| problem.rule == "owner"), "{more}\n{}", lines(&found));
    }
}
