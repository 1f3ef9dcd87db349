use super::*;

fn problems(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("root.key"), "x").unwrap();
    let file = folder.path().join("daypass.toml");
    std::fs::write(&file, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    load(&file)
        .map_or_else(|wrong| wrong.problems.into_iter().map(|problem| problem.replace(&prefix, "")).collect(), |_| Vec::new())
}

const SOUND: &str = r#"
[listen]
native = "127.0.0.1:8443"
operator = "127.0.0.1:8444"
metrics = "127.0.0.1:9090"
[database]
url = "postgres://daypass@localhost/daypass"
[seal]
file = "root.key"
[policy]
path = "policies"
"#;

#[test]
fn accepts_a_sound_file() {
    assert_eq!(problems(SOUND), Vec::<String>::new());
}

#[test]
fn tells_every_problem_at_once() {
    let text = SOUND
        .replace("native = \"127.0.0.1:8443\"", "native = \"0.0.0.0:8443\"")
        .replace("daypass@localhost", "daypass:hunter2@localhost")
        .replace("root.key", "absent.key")
        + "[verify]\nleeway = \"5m\"\n[connection.shop]\nengine = \"mainframe\"\nurl = \"postgres://admin@db/shop\"\nallowed_roles = []\n[surprise]\n";
    let told = problems(&text);
    assert_eq!(
        told,
        [
            "[surprise] is not a section; known are listen, database, seal, policy, verify, limits, telemetry, engine, connection",
            "absent.key does not exist",
            "[listen] tls is needed: without it native and operator must be loopback addresses such as 127.0.0.1:8443",
            "[verify] leeway is at most 60s",
            "[database] url holds a password; put it in a file and name it as password_file",
            "[connection.shop] engine \"mainframe\" is not one of aws, postgres, kv, operator",
        ]
    );
    assert!(!told.iter().any(|problem| problem.contains("hunter2")));
}

#[test]
fn names_missing_sections_and_unknown_keys() {
    assert_eq!(
        problems("[listen]\nnative = 1\n[seal]\nfyle = \"x\"\n"),
        [
            "[listen] invalid type: integer `1`, expected socket address in `native`",
            "[database] is missing",
            "[seal] unknown field `fyle`, expected `file` or `environment`",
            "[policy] is missing",
        ]
    );
}

#[test]
fn refuses_limits_that_no_machine_has_and_connections_without_a_name() {
    let text = SOUND.to_owned() + "[limits]\nin_flight = 4611686018427387904\n[[connection]]\nengine = \"postgres\"\n";
    assert_eq!(
        problems(&text),
        ["[connection] needs a name: write [connection.NAME]", "[limits] in_flight and connections are between 1 and 1000000"]
    );
}
