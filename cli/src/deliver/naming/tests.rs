use super::*;
use crate::issued::tests::credential;

fn names(credentials: &[Credential], prefix: bool) -> Vec<String> {
    let mut names: Vec<String> = variables(credentials, prefix).all.into_iter().map(|variable| variable.name).collect();
    names.sort();
    names
}

#[test]
fn names_what_programs_expect() {
    let db = credential("db", "postgres", &[("username", "u"), ("password", "p"), ("host", "h"), ("url", "postgres://")]);
    let cloud = credential(
        "cloud",
        "aws",
        &[("access_key_id", "A"), ("secret_access_key", "S"), ("session_token", "T"), ("account", "1")],
    );
    let registry = credential("registry-eu", "kv", &[("pass-word", "x")]);
    assert_eq!(
        names(&[cloud, db, registry], false),
        [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "DATABASE_URL",
            "DAYPASS_CLOUD_ACCESS_KEY_ID",
            "DAYPASS_CLOUD_ACCOUNT",
            "DAYPASS_CLOUD_SECRET_ACCESS_KEY",
            "DAYPASS_CLOUD_SESSION_TOKEN",
            "DAYPASS_DB_HOST",
            "DAYPASS_DB_PASSWORD",
            "DAYPASS_DB_URL",
            "DAYPASS_DB_USERNAME",
            "DAYPASS_REGISTRY_EU_PASS_WORD",
            "PGHOST",
            "PGPASSWORD",
            "PGUSER",
            "REGISTRY_EU_PASS_WORD",
        ]
    );
}

#[test]
fn names_what_the_programs_of_mysql_expect() {
    let fields =
        [("username", "u"), ("password", "p"), ("host", "h"), ("port", "3306"), ("database", "d"), ("ssl_mode", "REQUIRED")];
    let named = variables(&[credential("db", "mysql", &fields)], false);
    let usual: Vec<&str> =
        named.all.iter().map(|variable| variable.name.as_str()).filter(|name| !name.starts_with("DAYPASS_")).collect();
    assert_eq!(usual, ["MYSQL_USER", "MYSQL_PWD", "MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_DATABASE"]);
    assert!(named.displaced.iter().any(|name| name == "MYSQL_UNIX_PORT"));
}

#[test]
fn only_a_mode_that_needs_no_certificate_is_set() {
    for (mode, set) in [("disable", true), ("prefer", true), ("require", true), ("verify-ca", false), ("verify-full", false)] {
        let named = names(&[credential("db", "postgres", &[("sslmode", mode)])], false);
        assert_eq!(named.iter().any(|name| name == "PGSSLMODE"), set, "{mode}");
        assert!(named.iter().any(|name| name == "DAYPASS_DB_SSLMODE"), "{mode}");
    }
}

#[test]
fn the_first_of_one_engine_gets_the_usual_names_and_the_rest_are_said() {
    let pair = [credential("a", "postgres", &[("password", "1")]), credential("b", "postgres", &[("password", "2")])];
    let named = variables(&pair, false);
    let usual = named.all.iter().find(|variable| variable.name == "PGPASSWORD").expect("named");
    assert_eq!(usual.value.expose(), "1");
    assert!(named.notes.iter().any(|note| note.starts_with("b is the second postgres")), "{:?}", named.notes);
    assert_eq!(names(&pair, true), ["A_PGPASSWORD", "B_PGPASSWORD", "DAYPASS_A_PASSWORD", "DAYPASS_B_PASSWORD"]);
}

#[test]
fn a_stored_secret_cannot_steer_programs() {
    for (name, field) in [
        ("ld", "preload"),
        ("git", "ssh_command"),
        ("git", "external_diff"),
        ("git-config", "count"),
        ("aws", "config"),
        ("aws", "config_file"),
        ("pip", "index_url"),
        ("docker", "host"),
        ("node", "options"),
        ("jdk", "java-options"),
        ("java", "tool.options"),
        ("cargo", "build_rustc_wrapper"),
        ("ssh", "askpass"),
        ("https", "proxy"),
        ("http", "proxy"),
        ("all", "proxy"),
        ("bash", "env"),
        ("python", "breakpoint"),
        ("github", "env"),
        ("dyld", "insert_libraries"),
    ] {
        let named = variables(&[credential(name, "kv", &[(field, "x")])], false);
        let set: Vec<&str> = named.all.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(set, [exact(name, field)], "{name} {field}");
        assert_eq!(named.notes.len(), 1, "it is said");
    }
    for (name, field) in [("github", "token"), ("npm", "token"), ("registry", "password"), ("database", "url")] {
        assert_eq!(names(&[credential(name, "kv", &[(field, "x")])], false).len(), 2, "{name} {field}");
    }
    // A credential "operator" with a field "addr" must not redirect this tool.
    assert!(names(&[credential("operator", "kv", &[("addr", "https://evil")])], false) == ["OPERATOR_ADDR"]);
}

#[test]
fn what_programs_would_prefer_is_taken_away_unless_names_have_a_prefix() {
    let issued = [credential("cloud", "aws", &[]), credential("db", "postgres", &[])];
    let displaced = variables(&issued, false).displaced;
    for name in ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "PGSERVICE", "PGHOSTADDR"] {
        assert!(displaced.iter().any(|displaced| displaced == name), "{name}");
    }
    assert!(variables(&issued, true).displaced.is_empty());
    assert!(variables(&[credential("registry", "kv", &[("password", "x")])], false).displaced.is_empty());
}
