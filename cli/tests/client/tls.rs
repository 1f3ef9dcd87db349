use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::broker::Broker;
use crate::run::{Job, Ran};

/// A broker with a certificate that only its own PEM vouches for.
fn private() -> (Broker, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    (Broker::start_tls(config), made.cert.pem())
}

#[test]
fn a_private_authority_is_believed_when_it_is_named() {
    let (broker, pem) = private();
    let job = Job::at(&broker);
    std::fs::write(job.path("ca.pem"), pem).expect("written");
    let ca = job.path("ca.pem");
    job.run(&["exec", "--ca-file", ca.to_str().expect("text"), "--", "true"]).ok();
    assert_eq!(broker.lines(), ["POST /api/v1/exchange", "DELETE /api/v1/session"]);
}

#[test]
fn another_authority_is_not_believed() {
    let ((broker, _), (_, other)) = (private(), private());
    let job = Job::at(&broker);
    std::fs::write(job.path("ca.pem"), other).expect("written");
    let ran = Ran::of(job.daypass(&["login"]).env("DAYPASS_CACERT", job.path("ca.pem")));
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("DAYPASS_CACERT"), "{}", ran.stderr);
    assert_eq!(broker.lines(), Vec::<String>::new());
}
