//! Files that look like a part of the set and are none, because their names do not end in `.toml`.

use std::path::Path;

use domain::policy::Report;

/// What begins a table of a policy file.
const TABLES: &[&str] = &["[issuer.", "[role.", "[[role.", "[[invariant]]", "[[owner]]", "[[case]]"];
/// No policy file is larger.
const LARGEST: u64 = 1 << 20;

/// Such files below the folder, where the set lacks what others name.
pub(super) fn of(folder: &Path, report: &Report) -> Vec<String> {
    let lacks = report.problems.iter().any(|problem| matches!(problem.rule, "unknown-issuer" | "unknown-role" | "unused-issuer"));
    let mut found = Vec::new();
    if lacks {
        descend(folder, &mut found);
    }
    found.sort();
    found
}

/// What cannot be read is passed over: this only adds to what is told anyway.
fn descend(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
        let Ok(kind) = std::fs::metadata(&path) else { continue };
        if hidden {
            continue;
        }
        if kind.is_dir() {
            descend(&path, found);
        } else if kind.is_file() && kind.len() <= LARGEST && path.extension().is_none_or(|end| end != "toml") && looks(&path) {
            found.push(path.display().to_string());
        }
    }
}

fn looks(path: &Path) -> bool {
    let begins = |line: &str| TABLES.iter().any(|table| line.trim_start().starts_with(table));
    std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(begins))
}
