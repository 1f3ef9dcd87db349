//! GitLab CI: the keyword `id_tokens:` puts a token into an environment variable when the job starts. It cannot be asked for
//! again, so its audience is fixed in the job's definition.

use crate::ambient::{Found, Wanted, tidy};
use crate::failure::{Failure, Result};
use crate::surroundings::Environment;

const VARIABLE: &str = "DAYPASS_ID_TOKEN";

pub(super) fn token(env: &Environment, wanted: &Wanted) -> Result<Option<Found>> {
    let name = wanted.token_env.as_deref().unwrap_or(VARIABLE);
    if let Some(value) = env.var(name) {
        let place = format!("the variable {name}");
        return Ok(Some(Found { token: tidy(value, &place)?, place }));
    }
    if env.is_true("GITLAB_CI") {
        return Err(Failure::usage(format!("this GitLab job has no variable {name}")).fix(format!(
            "add the keyword `id_tokens:` to the job:\n\n  id_tokens:\n    {name}:\n      aud: {}\n",
            wanted.audience
        )));
    }
    if wanted.token_env.is_some() {
        return Err(Failure::usage(format!("the variable {name} is not set"))
            .fix("set it to the job's OIDC token, or leave --token-env out"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(token_env: Option<&str>) -> Wanted {
        Wanted { audience: "https://broker.example".to_owned(), token_env: token_env.map(str::to_owned), ..Wanted::default() }
    }

    #[test]
    fn reads_the_variable_that_the_job_defines() {
        let env = Environment::from([("GITLAB_CI", "true"), ("DAYPASS_ID_TOKEN", "a.b.c"), ("OTHER", "d.e.f")]);
        assert_eq!(token(&env, &wanted(None)).expect("read").expect("found").token.expose(), "a.b.c");
        assert_eq!(token(&env, &wanted(Some("OTHER"))).expect("read").expect("found").token.expose(), "d.e.f");
    }

    #[test]
    fn shows_the_keyword_when_a_gitlab_job_has_none() {
        let failure = token(&Environment::from([("GITLAB_CI", "true")]), &wanted(None)).expect_err("no variable");
        let remedy = failure.remedy.expect("a remedy");
        assert!(remedy.contains("id_tokens:\n    DAYPASS_ID_TOKEN:\n      aud: https://broker.example"), "{remedy}");
    }

    #[test]
    fn leaves_other_surroundings_alone() {
        assert!(token(&Environment::default(), &wanted(None)).expect("not an error").is_none());
        assert!(token(&Environment::default(), &wanted(Some("NAMED"))).is_err());
    }
}
