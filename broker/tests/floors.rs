//! Imports run down only: this reads the `use` lines of the broker and fails when one runs up or sideways.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail like the test itself")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room with its floor, as in docs/house.md. A room may use rooms of lower floors and itself.
const FLOORS: &[(&str, u8)] = &[
    ("failpoint", 1),
    ("outbound", 1),
    ("panics", 1),
    ("system", 1),
    ("telemetry", 1),
    ("crypto", 2),
    ("oidc", 3),
    ("store", 3),
    ("audit", 4),
    ("engines", 4),
    ("config", 6),
    ("service", 5),
    ("dev", 6),
    ("http", 6),
    ("workers", 6),
    ("app", 7),
    ("main", 8),
];

/// What a room may use beside lower floors, with the reason.
const DOORS_AND_WORKERS_SEE: &[&str] = &["service", "system", "telemetry", "failpoint", "panics"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn room_of(path: &Path, root: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Every room that a line names after `crate::`, groups such as `crate::{a, b::c}` included.
fn named_rooms(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut part = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(word(&std::mem::take(&mut part))),
                    _ => {}
                }
                if depth == 0 && c != ',' && c != '}' {
                    part.push(c);
                }
            }
            rooms.push(word(&part));
        } else {
            rooms.push(word(rest));
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn imports_run_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut arrows = 0;
    let mut wrong = Vec::new();
    for file in files {
        let room = room_of(&file, &root);
        if room == "lib" || room == "main" {
            continue;
        }
        let own = floor(&room).unwrap_or_else(|| panic!("{} is in no room; add it to FLOORS", file.display()));
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in named_rooms(code) {
                let Some(below) = floor(&used) else { continue };
                if used == room {
                    continue;
                }
                arrows += 1;
                let sees = !matches!(room.as_str(), "http" | "workers") || DOORS_AND_WORKERS_SEE.contains(&used.as_str());
                if below >= own || !sees {
                    wrong.push(format!("{}:{}: {room} (floor {own}) uses {used} (floor {below})", file.display(), number + 1));
                }
            }
        }
    }
    assert!(arrows > 30, "only {arrows} imports were seen; does this test still read the sources?");
    assert!(wrong.is_empty(), "imports that run up:\n{}", wrong.join("\n"));
}

#[test]
fn sql_stands_in_the_store_and_in_engines_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let room = room_of(&file, &root);
        let text = fs::read_to_string(&file).unwrap();
        // Tests ask databases of their own.
        let is_test = file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
        let has_sql = text.contains("sqlx::query") && !is_test;
        assert!(!has_sql || matches!(room.as_str(), "store" | "engines"), "{} has SQL", file.display());
        assert!(!text.contains("#[allow("), "{} allows a lint; expect it with a reason", file.display());
    }
}

#[test]
fn files_stay_small() {
    let broker = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for room in ["src", "../domain/src", "../cli/src"] {
        sources(&broker.join(room), &mut files);
    }
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let ceiling =
            if file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests") { 900 } else { 400 };
        assert!(lines <= ceiling, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_alarm_is_explained_to_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(root.join("../docs/configuration.md")).unwrap();
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let mut kinds = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split(".alarm(\"").skip(1) {
            let kind = rest.split('"').next().unwrap();
            kinds += 1;
            assert!(docs.contains(&format!("\n| `{kind}` |")), "docs/configuration.md does not say what the alarm {kind} means");
        }
    }
    assert!(kinds > 5, "no alarms were found");
}
