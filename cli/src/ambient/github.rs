//! GitHub Actions: a job with `permissions: id-token: write` gets an address and a bearer token to ask for ID tokens, one
//! for each audience.

use domain::secret::Secret;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::ambient::{Found, Wanted, tidy};
use crate::deliver::github::add_mask;
use crate::failure::{Failure, Result};
use crate::http::{Call, Http, Repeat, trusted_url};
use crate::surroundings::Environment;

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

#[derive(Deserialize)]
struct Minted {
    value: String,
}

pub(super) async fn token(env: &Environment, wanted: &Wanted) -> Result<Option<Found>> {
    let (url, bearer) = match (env.var(REQUEST_URL), env.var(REQUEST_TOKEN)) {
        (Some(url), Some(bearer)) => (url, bearer),
        (None, None) if !env.in_github() => return Ok(None),
        _ => {
            return Err(Failure::usage("this GitHub job may not ask for an ID token").fix(
                "add to the job (or the workflow):\n\n  permissions:\n    id-token: write\n    contents: read\n\n\
                 it is `permissions: id-token: write` that matters; pull requests from forks never get it",
            ));
        }
    };
    let url = with_audience(trusted_url(url, REQUEST_URL)?, &wanted.audience);
    let http =
        Http::new("GitHub's ID token endpoint", "DAYPASS_CI_CACERT", wanted.ci_ca_file.as_deref(), &url)?.with_stop(&wanted.stop);
    let mut call = Call::new(Method::GET, url, Repeat::Always)
        .secret_header(AUTHORIZATION, Zeroizing::new(format!("bearer {bearer}")).as_str())?;
    call.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = http.send(&call).await?;
    if !answer.status.is_success() {
        return Err(Failure::unreachable(format!("GitHub's ID token endpoint answered {}", answer.status))
            .fix("the job's request token ends with the job; if the job is alive, try again and look at GitHub's status"));
    }
    let minted: Minted = serde_json::from_slice(&answer.body).map_err(|_| {
        Failure::unreachable("GitHub's ID token endpoint answered without a token").fix("look at GitHub's status")
    })?;
    let minted = Secret::new(minted.value);
    if env.in_github() {
        add_mask(minted.expose());
    }
    let place = "GitHub's ID token endpoint";
    Ok(Some(Found { token: tidy(minted.expose(), place)?, place: place.to_owned() }))
}

/// The address has a query already (`?api-version=…`); the audience is escaped, as an audience is an address itself.
fn with_audience(mut url: Url, audience: &str) -> Url {
    url.query_pairs_mut().append_pair("audience", audience);
    url
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request after the other as told, and returns what was asked.
    async fn endpoint(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/token?api-version=2.0", listener.local_addr().expect("an address"));
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                stream.write_all(answer.as_bytes()).await.expect("answered");
                asked.push(String::from_utf8(request).expect("text"));
            }
            asked
        });
        (address, asked)
    }

    fn http(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    fn wanted() -> Wanted {
        Wanted { audience: "https://broker.example/a&b".to_owned(), ..Wanted::default() }
    }

    #[tokio::test]
    async fn asks_as_a_runner_expects_it() {
        let (address, asked) = endpoint(vec![http("200 OK", r#"{"count":1,"value":"a.b.c"}"#)]).await;
        let env = Environment::from([(REQUEST_URL, address.as_str()), (REQUEST_TOKEN, "runner-token")]);
        let found = token(&env, &wanted()).await.expect("asked").expect("found");
        assert_eq!(found.token.expose(), "a.b.c");
        let request = asked.await.expect("served").remove(0);
        assert!(
            request.starts_with("GET /token?api-version=2.0&audience=https%3A%2F%2Fbroker.example%2Fa%26b HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\nauthorization: bearer runner-token\r\n"), "{request}");
    }

    #[tokio::test]
    async fn tries_again_after_a_fault_of_the_endpoint_but_not_after_a_denial() {
        let (address, asked) = endpoint(vec![http("503 Busy", ""), http("200 OK", r#"{"value":"a.b.c"}"#)]).await;
        let env = Environment::from([(REQUEST_URL, address.as_str()), (REQUEST_TOKEN, "t")]);
        assert!(token(&env, &wanted()).await.expect("asked").is_some());
        assert_eq!(asked.await.expect("served").len(), 2);

        let (address, asked) = endpoint(vec![http("403 Forbidden", "")]).await;
        let env = Environment::from([(REQUEST_URL, address.as_str()), (REQUEST_TOKEN, "t")]);
        assert!(token(&env, &wanted()).await.expect_err("denied").title.contains("403"));
        assert_eq!(asked.await.expect("served").len(), 1);
    }

    #[tokio::test]
    async fn names_the_missing_permission() {
        let failure = token(&Environment::from([("GITHUB_ACTIONS", "true")]), &wanted()).await.expect_err("no permission");
        assert!(failure.remedy.expect("a remedy").contains("permissions: id-token: write"));
        assert!(token(&Environment::default(), &wanted()).await.expect("not an error").is_none());
    }

    #[tokio::test]
    async fn sends_the_runner_token_nowhere_in_clear() {
        let env = Environment::from([(REQUEST_URL, "http://ci.example/token?api-version=2.0"), (REQUEST_TOKEN, "runner-token")]);
        let failure = token(&env, &wanted()).await.expect_err("not https");
        assert!(failure.title.contains("not https"), "{}", failure.title);
    }
}
