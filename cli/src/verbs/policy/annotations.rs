//! Findings as the annotations of a GitHub job, which stand beside their lines in a pull request.

use std::fmt::Write as _;
use std::path::Path;

use domain::policy::{Finding, Severity};

use super::check::Checked;
use crate::deliver::github::escape;
use crate::render::clean;

/// One line for each finding that nobody accepted.
pub(super) fn all(checked: &Checked) -> String {
    let mut text = String::new();
    for finding in checked.findings.iter().filter(|finding| finding.accepted.is_none()) {
        let _ = writeln!(text, "{}", one(&checked.folder, finding));
    }
    text
}

fn one(folder: &Path, finding: &Finding) -> String {
    let Finding { severity, rule, place, message, help, .. } = finding;
    let word = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let file = property(&folder.join(&place.file).display().to_string());
    // The runner shows columns of one line only.
    let columns = if place.end_line == place.line {
        format!(",col={},endColumn={}", place.column, place.end_column.max(place.column))
    } else {
        String::new()
    };
    let message = match help {
        Some(help) => format!("{message}\n{help}"),
        None => message.clone(),
    };
    let (line, end) = (place.line, place.end_line);
    let message = message.lines().map(clean).collect::<Vec<_>>().join("\n");
    format!("::{word} file={file},line={line},endLine={end}{columns},title={}::{}", property(rule), escape(&message).as_str())
}

/// A value of a property, in which the signs that separate properties mean nothing.
fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use domain::policy::Place;

    use super::*;

    #[test]
    fn what_a_file_says_cannot_end_an_annotation_or_begin_another() {
        let place = Place { file: "a,b::c\n::error::x.toml".to_owned(), line: 2, column: 3, end_line: 2, end_column: 9 };
        let finding = Finding {
            severity: Severity::Note,
            rule: "toml",
            place,
            message: "100%\r\n::error::no".to_owned(),
            help: Some("line".to_owned()),
            accepted: None,
        };
        assert_eq!(
            one(Path::new("p"), &finding),
            "::notice file=p/a%2Cb%3A%3Ac%0A%3A%3Aerror%3A%3Ax.toml,line=2,endLine=2,col=3,endColumn=9,title=toml\
             ::100%25%0A::error::no%0Aline"
        );
    }
}
