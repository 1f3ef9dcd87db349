//! Addresses of PostgreSQL servers as they stand in a configuration, and what is asked of them.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

const FORM: &str = "`url` needs the form postgresql://admin@host:5432/shop";
const SESSION_ATTRS: &str = "target_session_attrs";

/// The address of a PostgreSQL server as it stands in a configuration: without a password. Errors repeat nothing of it.
pub fn address(url: &str) -> Result<PgConnectOptions, &'static str> {
    let has_password = |url: Url| url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password");
    if Url::parse(url).is_ok_and(has_password) {
        return Err("`url` holds a password; put it in a file and name that as `password_file`");
    }
    guarded(url)
}

/// As [`address`], of the broker's own database: several servers, of which one is the primary, may stand side by side.
pub fn addresses(url: &str) -> Result<Vec<PgConnectOptions>, &'static str> {
    each_host(url)?.iter().map(|url| address(url)).collect()
}

/// Where the servers are, for people: neither user nor password.
pub fn place(url: &str) -> String {
    let places = guarded_all(url).unwrap_or_default();
    let hosts = places.iter().map(|place| format!("{}:{}", place.get_host(), place.get_port())).collect::<Vec<_>>();
    if hosts.is_empty() { "of the URL".to_owned() } else { format!("at {}", hosts.join(", ")) }
}

pub(super) fn guarded_all(url: &str) -> Result<Vec<PgConnectOptions>, &'static str> {
    each_host(url)?.iter().map(|url| guarded(url)).collect()
}

/// One URL for each host, as libpq reads them: `postgres://user@one:5432,two/database`. The server that is written to is always
/// the one that is looked for, so of `target_session_attrs` only the values are taken that say so.
fn each_host(url: &str) -> Result<Vec<String>, &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut kept = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            (SESSION_ATTRS, "read-write" | "primary") => {}
            (SESSION_ATTRS, _) => return Err("target_session_attrs of `url` is read-write, or left out"),
            ("host" | "hostaddr" | "port", value) if value.contains(',') || hosts.contains(',') => {
                return Err("several hosts stand between user and database in `url`: postgres://user@db1:5432,db2:5432/daypass");
            }
            _ => kept.push(parameter),
        }
    }
    let (at, question) = (if user.is_empty() { "" } else { "@" }, if kept.is_empty() { "" } else { "?" });
    let kept = kept.join("&");
    let url = |host: &str| format!("{scheme}://{user}{at}{host}{path}{question}{kept}");
    match hosts.split(',').collect::<Vec<_>>().as_slice() {
        [one] => Ok(vec![url(one)]),
        several if several.iter().any(|host| host.is_empty()) => Err("a host of `url` is empty"),
        several => Ok(several.iter().map(|host| url(host)).collect()),
    }
}

/// The address of a PostgreSQL server, the broker's own or a target. Whoever stands in between reads every credential there is: a
/// server that is not on this machine has to prove its name by a certificate, and no parameter turns that off.
fn guarded(url: &str) -> Result<PgConnectOptions, &'static str> {
    let parsed = Url::parse(url).map_err(|_| FORM)?;
    if !["postgres", "postgresql"].contains(&parsed.scheme()) {
        return Err(FORM);
    }
    let options: PgConnectOptions = url.parse().map_err(|_| "a parameter of `url` is not valid")?;
    if is_on_this_machine(&options) {
        return Ok(options);
    }
    if !parsed.query_pairs().any(|(key, _)| ["sslmode", "ssl-mode"].contains(&key.as_ref())) {
        return Ok(options.ssl_mode(PgSslMode::VerifyFull));
    }
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull => Ok(options),
        _ => Err("the sslmode of `url` lets anybody in between read along: a server elsewhere needs sslmode=verify-full"),
    }
}

/// Judges where the connection goes in the end, which a parameter of the URL or the environment may have changed.
fn is_on_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_proves_its_name() {
        for url in ["postgres://u@db/x", "postgres://u@localhost/x?host=db", "postgres://u@localhost/x?hostaddr=10.0.0.5"] {
            assert!(matches!(address(url).unwrap().get_ssl_mode(), PgSslMode::VerifyFull), "{url}");
            for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
                let weak = format!("{url}{}sslmode={mode}", if url.contains('?') { '&' } else { '?' });
                assert!(address(&weak).unwrap_err().contains("verify-full"), "{weak}");
            }
        }
        assert!(address("postgres://u@db/x?sslmode=verify-full").is_ok());
    }

    #[test]
    fn this_machine_needs_no_certificate() {
        for url in [
            "postgres://u@localhost/x",
            "postgres://u@127.0.0.1:7/x",
            "postgres://u@[::1]/x",
            "postgres://u@%2Frun%2Fpg/x",
            "postgres://u@localhost/x?host=/run/pg",
            "postgres://u@127.0.0.1/x?sslmode=disable",
        ] {
            assert!(address(url).is_ok_and(|options| !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)), "{url}");
        }
    }

    #[test]
    fn several_servers_stand_side_by_side_and_each_proves_its_name() {
        let places = |url: &str| -> Vec<(String, u16)> {
            let addresses = addresses(url).unwrap();
            addresses.iter().map(|options| (options.get_host().to_owned(), options.get_port())).collect()
        };
        let named = |host: &str, port| (host.to_owned(), port);
        assert_eq!(places("postgres://u@one:6001,two/x"), [named("one", 6001), named("two", 5432)]);
        let url = "postgres://u@[::1]:6001,[::2]/x?target_session_attrs=read-write&sslrootcert=/ca.pem";
        assert_eq!(places(url), [named("[::1]", 6001), named("[::2]", 5432)]);
        assert_eq!(places("postgres://u@one/x?target_session_attrs=primary"), [named("one", 5432)]);
        let modes = addresses("postgres://u@127.0.0.1,elsewhere/x").unwrap();
        assert!(matches!(modes[1].get_ssl_mode(), PgSslMode::VerifyFull), "the one elsewhere");
        for (bad, why) in [
            ("postgres://u@one,two/x?sslmode=require", "verify-full"),
            ("postgres://u@one,two/x?target_session_attrs=standby", "read-write"),
            ("postgres://u@/x?host=one,two", "several hosts"),
            ("postgres://u@one,two/x?port=1,2", "several hosts"),
            ("postgres://u@one,,two/x", "empty"),
            ("postgres://u:hidden@one,two/x", "password"),
        ] {
            assert!(addresses(bad).unwrap_err().contains(why), "{bad}: {:?}", addresses(bad));
        }
    }

    #[test]
    fn errors_repeat_nothing_of_the_address() {
        for url in ["postgres://u:hunter2@db/x", "postgres://u@db/x?password=hunter2", "hunter2", "https://hunter2"] {
            assert!(!address(url).unwrap_err().contains("hunter2"), "{url}");
        }
    }
}
