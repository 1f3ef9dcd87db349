//! Many at once with one token, and the same request again.

use integration::ci::Ci;
use integration::ground::{Ground, deploy_claims};
use integration::replica::PATIENCE;
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn database() -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_racers_with_one_token_on_two_replicas_one_wins_every_round() {
    const ROUNDS: usize = 4;
    let ground = Ground::new().await.unwrap();
    let replicas = [ground.start().await.unwrap(), ground.start().await.unwrap()];
    // Keys are fetched on the first ask; a crowd that comes before them is told to come again.
    for replica in &replicas {
        let stranger = Ci::shared().unwrap().github(&json!({"repository_id": "1"})).unwrap();
        assert_eq!(replica.native.exchange(&stranger, database()).await.unwrap().status, 403);
    }
    for round in 1..=ROUNDS {
        let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
        let mut racers = JoinSet::new();
        for racer in 0..64 {
            let (door, token) = (replicas[racer % 2].native.clone(), token.clone());
            racers.spawn(async move { door.exchange(&token, database()).await.unwrap() });
        }
        let answers = racers.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        for answer in lost {
            assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (401, "token_already_used"), "round {round}");
        }
        assert_eq!(ground.databases.logins().await.unwrap().len(), round, "one login a round");
        let values = &won[0].granted().unwrap().credentials["database"].values;
        assert!(ground.login(values).await.is_ok(), "the winner's login works");
    }
    let rounds = i64::try_from(ROUNDS).unwrap();
    assert_eq!(ground.databases.count("leases").await.unwrap(), rounds, "the losers left nothing behind");
    assert_eq!(ground.databases.count("audit_records where kind = 'exchange.granted'").await.unwrap(), rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_with_the_same_key_gets_a_new_login_and_the_first_is_gone() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let ask = async |key| replica.native.exchange_with(&token, database(), key).await.unwrap();
    let first = ask(Some("deploy-1")).await.granted().unwrap();
    for other in [Some("deploy-2"), None] {
        let answer = ask(other).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_already_used"), "{other:?}");
    }
    let first = &first.credentials["database"].values;
    assert!(ground.login(first).await.is_ok(), "those who were refused have done nothing");

    let second = ask(Some("deploy-1")).await.granted().unwrap();
    let second = &second.credentials["database"].values;
    assert_ne!(first["username"], second["username"]);
    assert!(ground.login(second).await.is_ok());
    assert!(ground.login(first).await.is_err());
    assert_eq!(ground.databases.logins().await.unwrap(), [second["username"].clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_while_the_first_attempt_runs_is_told_to_wait() {
    let ground = Ground::new().await.unwrap();
    let settings =
        integration::ground::Settings { failpoints: "exchange::after_create=delay:1500".to_owned(), ..Default::default() };
    let replica = ground.start_with(&settings).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let (door, first_token) = (replica.native.clone(), token.clone());
    let first = tokio::spawn(async move { door.exchange_with(&first_token, database(), Some("deploy-1")).await.unwrap() });
    let until = std::time::Instant::now() + PATIENCE;
    while ground.databases.logins().await.unwrap().is_empty() {
        assert!(std::time::Instant::now() < until, "{}", replica.output());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let repeat = replica.native.exchange_with(&token, database(), Some("deploy-1")).await.unwrap();
    assert_eq!((repeat.status, repeat.problem().unwrap().code.as_str()), (409, "in_progress"));
    assert!(repeat.header("retry-after").parse::<u32>().unwrap() >= 1);
    let first = first.await.unwrap().granted().unwrap();
    assert!(ground.login(&first.credentials["database"].values).await.is_ok(), "the first attempt was left alone");
    assert_eq!(ground.databases.count("leases").await.unwrap(), 1);
}
