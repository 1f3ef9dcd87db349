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
            "[surprise] is not a section; known are listen, database, seal, policy, verify, limits, reconcile, telemetry, engine, connection, hook",
            "[listen] tls is needed: without it native and operator must be loopback addresses such as 127.0.0.1:8443",
            "[database] `url` holds a password; put it in a file and name that as `password_file`",
            "[seal] file: absent.key does not exist",
            "[verify] leeway is at most 60s",
            "[connection.shop] engine \"mainframe\" is not one of aws, postgres, mysql, kv, operator",
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
        [
            "[connection] needs a name: write [connection.NAME]",
            "[limits] in_flight, connections and connections_per_address are between 1 and 1000000"
        ]
    );
}

#[test]
fn a_section_that_cannot_be_read_hides_nothing_of_the_others() {
    let text = SOUND.replace("path = \"policies\"", "path = 7").replace("root.key", "absent.key")
        + "[verify]\nleeway = 5\n[telemetry]\nlevel = \"x=y=z\"\n[engine.aws]\nregion = \"Nowhere\"\n\
           [connection.a]\nengine = 1\n[connection.b]\nengine = \"postgres\"\nurl = \"postgres://admin@db/b?sslmode=require\"\n\
           allowed_roles = [\"b-[\"]\n[connection.c]\nengine = \"postgres\"\nurl = \"postgres://admin@db/c\"\nallowed_roles = []\n\
           [connection.c.statements.rw]\ncreate = [\"commit\"]\n";
    let told = problems(&text);
    let expected =
        ["[policy]", "[verify]", "[connection.a]", "absent.key", "[telemetry] level", "engine.aws.region", "allowed_roles"];
    for words in expected.iter().chain(&["connection `b`: the sslmode", "connection `c`: statements `rw`"]) {
        assert!(told.iter().any(|problem| problem.contains(words)), "{words}: {told:#?}");
    }
    assert_eq!(told.len(), 9, "{told:#?}");
}

#[test]
fn the_database_proves_its_name_unless_it_is_on_this_machine() {
    for weak in ["daypass@db/daypass?sslmode=disable", "daypass@localhost/daypass?host=db&sslmode=require"] {
        let told = problems(&SOUND.replace("daypass@localhost/daypass", weak));
        assert!(told.len() == 1 && told[0].contains("verify-full"), "{weak}: {told:?}");
    }
    assert_eq!(problems(&SOUND.replace("daypass@localhost", "daypass@db")), Vec::<String>::new());
}

#[test]
fn paths_of_a_connection_count_from_the_files_folder() {
    let folder = tempfile::tempdir().unwrap();
    let connection = "[connection.shop]\nengine = \"postgres\"\nurl = \"postgres://admin@db/shop\"\nallowed_roles = []\nca_file = \"ca.pem\"\n";
    std::fs::write(folder.path().join("daypass.toml"), SOUND.to_owned() + connection).unwrap();
    std::fs::write(folder.path().join("ca.pem"), "").unwrap();
    let draft = Draft::read(&folder.path().join("daypass.toml"));
    let ca_file = draft.connections["shop"].settings["ca_file"].as_str().unwrap();
    assert_eq!(std::path::Path::new(ca_file), folder.path().join("ca.pem"));
    assert!(!draft.problems.iter().any(|problem| problem.contains("ca.pem")), "{:?}", draft.problems);
}

#[test]
fn a_set_comes_from_a_folder_or_from_operators() {
    let with = |policy: &str| SOUND.replace("path = \"policies\"", policy);
    for sound in ["source = \"database\"", "source = \"database\"\npath = \"policies\"\napproval = \"widening\""] {
        assert_eq!(problems(&with(sound)), Vec::<String>::new(), "{sound}");
    }
    for (wrong, told) in [
        ("source = \"folder\"", "[policy] needs path"),
        ("path = \"policies\"\napproval = \"always\"", "[policy] approval is for source"),
        ("source = \"database\"\npath = \"gone\"", "[policy] path: gone does not exist"),
        ("source = \"database\"\napproval = \"maybe\"", "[policy] unknown variant `maybe`"),
    ] {
        let problems = problems(&with(wrong));
        assert!(problems.len() == 1 && problems[0].starts_with(told), "{wrong}: {problems:?}");
    }
}
