//! `export NAME='value'` lines that a POSIX shell reads back exactly.

use zeroize::Zeroizing;

use crate::deliver::naming::Variable;
use crate::failure::{Failure, Result};

/// A line for `eval` that takes variables away.
pub(crate) fn unset(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("unset {}\n", names.join(" ")) }
}

/// Lines for `eval`. A value holding NUL cannot be a variable and is refused.
pub(crate) fn exports(variables: &[Variable]) -> Result<Zeroizing<String>> {
    let mut lines = Zeroizing::new(String::new());
    for variable in variables {
        refuse_nul(variable)?;
        lines.push_str("export ");
        lines.push_str(&variable.name);
        lines.push('=');
        quote(variable.value.expose(), &mut lines);
        lines.push('\n');
    }
    Ok(lines)
}

pub(crate) fn refuse_nul(variable: &Variable) -> Result<()> {
    if variable.value.expose().contains('\0') {
        return Err(Failure::usage(format!(
            "the value for {} holds a NUL byte, which no environment variable can hold",
            variable.name
        ))
        .fix("use exec --files, or `daypass read`"));
    }
    Ok(())
}

/// Single quotes keep everything literal but the single quote itself.
fn quote(value: &str, into: &mut String) {
    into.push('\'');
    for part in value.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(before) => {
                into.push_str(before);
                into.push_str("'\\''");
            }
            None => into.push_str(part),
        }
    }
    into.push('\'');
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use domain::secret::Secret;
    use proptest::prelude::*;

    use super::*;

    fn read_back_by_a_shell(value: &str) -> String {
        let variable = Variable { name: "VALUE".to_owned(), value: Secret::from(value) };
        let script = format!("{}printf '%s.' \"$VALUE\"", exports(&[variable]).expect("quoted").as_str());
        let output = Command::new("sh").arg("-c").arg(script).output().expect("a shell");
        assert!(output.status.success());
        let mut text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(text.pop(), Some('.'));
        text
    }

    #[test]
    fn hard_values_survive_the_shell() {
        for value in
            ["", "'", "''", "a'b", "\\", "$(id)", "`id`", "a\nb\n", "-n", "!!", "é✓", "\"", "a\\'b", "%s", "\r", "#x", " "]
        {
            assert_eq!(read_back_by_a_shell(value), value);
        }
    }

    #[test]
    fn refuses_what_no_variable_can_hold() {
        assert!(exports(&[Variable { name: "V".to_owned(), value: Secret::from("a\0b") }]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_value_survives_the_shell(value in "[^\0]{0,40}") {
            prop_assert_eq!(read_back_by_a_shell(&value), value);
        }
    }
}
