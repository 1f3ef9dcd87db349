//! docs/lints.md, made from the lints themselves.

use std::fmt::Write;

use super::{LINTS, Lint, THREATS};
use crate::policy::rules::RULES;

/// The whole page.
pub fn page() -> String {
    let mut page = String::from(
        "# Lints\n\nWhat `daypass policy check` looks for in a policy set. This page is generated: `./dev generate`.\n\n\
         An **error** keeps a set from becoming active, in the broker too. A **warning** fails a check with `--strict`; a **note** fails \
         none. A finding that is meant is accepted where it stands, by name and with a reason, in an issuer, a role (for its rows and \
         credentials too), a row or a credential:\n\n\
         ```toml\naccept = { environment-without-ref = \"the environment allows the release branches only, see the runbook\" }\n```\n\n\
         Accepting changes no decision, unlike `waive`, but it is part of the set's hash: it is what its reviewers agreed to. An accepted finding \
         is still listed, with its reason; an acceptance that nothing needs any more is a finding itself (`unused-accept`).\n\n\
         | lint | severity | threats | what it finds |\n|---|---|---|---|\n",
    );
    for lint in LINTS {
        let threats = lint.threats.join(", ");
        put(
            &mut page,
            format_args!("| [`{0}`](#{0}) | {1} | {threats} | {2} |\n", lint.name, lint.severity.as_str(), lint.summary),
        );
    }
    page.push_str("\n## Threats\n\n| | what it is |\n|---|---|\n");
    for (threat, what) in THREATS {
        put(&mut page, format_args!("| {threat} | {what} |\n"));
    }
    page.push_str("\n## The lints\n");
    for lint in LINTS {
        entry(&mut page, lint);
    }
    page.push_str(
        "\n## What refuses a set at once\n\nThese cannot be accepted; the two rules `no-project-pin` and `no-code-gate` can be waived by a \
         row, since that is part of what it says.\n\n| rule | what it means |\n|---|---|\n",
    );
    for (rule, meaning) in RULES {
        put(&mut page, format_args!("| `{rule}` | {meaning} |\n"));
    }
    page
}

fn entry(page: &mut String, lint: &Lint) {
    let Lint { name, severity, summary, reason, remedy, bad, good, .. } = lint;
    let severity = severity.as_str();
    put(page, format_args!("\n### {name}\n\n**{summary}** ({severity})\n\n{reason}\n\n{remedy}\n\n"));
    put(page, format_args!("```toml\n# found\n{bad}```\n\n```toml\n# not found\n{good}```\n"));
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = page.write_fmt(text);
}
