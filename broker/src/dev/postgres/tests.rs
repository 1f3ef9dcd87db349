use std::path::Path;

use sqlx::{Connection, PgConnection};

use super::*;
use crate::system::System;

fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), port: None, bindir: None, durability: Durability::None, settings: Vec::new() }
}

/// A directory that the server's user can reach.
fn place() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().prefix("pg").permissions(fs::Permissions::from_mode(0o755)).tempdir_in("/tmp").unwrap()
}

#[tokio::test]
async fn starts_answers_keeps_its_data_and_stops() {
    let (system, _clock) = System::real();
    let dir = place();

    let server = Postgres::start(&system, &options(dir.path())).await.unwrap();
    let mut connection = PgConnection::connect(server.url("postgres").expose()).await.unwrap();
    sqlx::raw_sql("create table kept (n integer); insert into kept values (7)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    server.stop().await.unwrap();

    let server = Postgres::start(&system, &options(dir.path())).await.unwrap();
    let mut connection = PgConnection::connect(server.url("postgres").expose()).await.unwrap();
    let (kept,): (i32,) = sqlx::query_as("select n from kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 7);
    drop(connection);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn refuses_a_wrong_password_from_this_machine() {
    let (system, _clock) = System::real();
    let dir = place();
    let server = Postgres::start(&system, &options(dir.path())).await.unwrap();
    let wrong = format!("postgres://{SUPERUSER}:wrong@127.0.0.1:{}/postgres", server.port());
    let refusal = PgConnection::connect(&wrong).await.unwrap_err();
    assert!(refusal.to_string().contains("password authentication failed"), "{refusal}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn takes_over_from_a_server_that_was_left_behind() {
    let (system, _clock) = System::real();
    let dir = place();
    let mut left = Postgres::start(&system, &options(dir.path())).await.unwrap();
    let child = left.child.take();
    let second = Postgres::start(&system, &options(dir.path())).await.unwrap();
    assert_ne!(second.port(), left.port());
    second.stop().await.unwrap();
    drop(child);
}

#[tokio::test]
async fn says_why_it_cannot_start() {
    let (system, _clock) = System::real();
    let dir = place();
    let mut broken = options(dir.path());
    broken.settings.push("no_such_setting=1".into());
    let error = Postgres::start(&system, &broken).await.unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn touches_no_files_that_are_not_its_own() {
    let (system, _clock) = System::real();
    let dir = place();
    let kept = dir.path().join("data/thesis.txt");
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(&kept, "mine").unwrap();
    let error = Postgres::start(&system, &options(dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("no PostgreSQL cluster"), "{error}");
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine");
}
