//! Findings as SARIF 2.1.0, which code scanning reads.

use std::collections::BTreeMap;
use std::path::Path;

use domain::policy::lint::{LINTS, UNUSED_ACCEPT};
use domain::policy::{Finding, RULES, Severity};
use serde_json::{Value, json};

use super::check::Checked;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The whole log: one run of one tool.
pub(super) fn log(checked: &Checked) -> Value {
    let rules = rules();
    let at: BTreeMap<&str, usize> =
        rules.iter().enumerate().filter_map(|(at, rule)| Some((rule.get("id")?.as_str()?, at))).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let results: Vec<Value> = checked
        .findings
        .iter()
        .map(|finding| {
            let fingerprint = finding.fingerprint();
            let nth = seen.entry(fingerprint.clone()).or_default();
            *nth += 1;
            result(&checked.folder, finding, at.get(finding.rule).copied(), &format!("{fingerprint}:{nth}"))
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "daypass policy check",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": true, "exitCode": u8::from(!checked.is_sound()) }],
            "results": results,
        }],
    })
}

/// Every lint and every rule of the loader, whether it found something or not, so that rules keep their places.
fn rules() -> Vec<Value> {
    let lints = LINTS.iter().map(|lint| {
        let help = format!("{}\n\n{}", lint.reason, lint.remedy);
        let example = format!("{help}\n\n```toml\n# found\n{}```\n\n```toml\n# not found\n{}```\n", lint.bad, lint.good);
        json!({
            "id": lint.name,
            "shortDescription": { "text": lint.summary },
            "fullDescription": { "text": lint.reason },
            "help": { "text": help, "markdown": example },
            "defaultConfiguration": { "level": level(lint.severity) },
            "properties": { "tags": lint.threats },
        })
    });
    let loader = RULES.iter().map(|(name, meaning)| {
        let severity = if *name == UNUSED_ACCEPT { Severity::Warning } else { Severity::Error };
        json!({
            "id": name,
            "shortDescription": { "text": meaning },
            "help": { "text": meaning },
            "defaultConfiguration": { "level": level(severity) },
        })
    });
    lints.chain(loader).collect()
}

fn result(folder: &Path, finding: &Finding, rule: Option<usize>, fingerprint: &str) -> Value {
    let place = &finding.place;
    let message = match &finding.help {
        Some(help) => format!("{}\n{help}", finding.message),
        None => finding.message.clone(),
    };
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": message },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&folder.join(&place.file)) },
            "region": {
                "startLine": place.line.max(1),
                "startColumn": place.column.max(1),
                "endLine": place.end_line.max(place.line).max(1),
                "endColumn": place.end_column.max(1),
            },
        }}],
        "partialFingerprints": { "daypassFinding/v1": fingerprint },
    });
    if let Some(object) = result.as_object_mut() {
        if let Some(rule) = rule {
            object.insert("ruleIndex".to_owned(), json!(rule));
        }
        if let Some(reason) = &finding.accepted {
            object.insert("suppressions".to_owned(), json!([{ "kind": "inSource", "justification": reason }]));
        }
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

/// A file as a URI: relative where the folder was named so, since readers know the checkout by themselves.
fn uri(path: &Path) -> String {
    if let Ok(absolute) = url::Url::from_file_path(path) {
        return absolute.into();
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let text = path.to_string_lossy().replace('\\', "/");
    let text = text.trim_start_matches("./");
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri(Path::new("./policies/team a/ü.toml")), "policies/team%20a/%C3%BC.toml");
        assert_eq!(uri(Path::new("/srv/p/a#b.toml")), "file:///srv/p/a%23b.toml");
    }
}
