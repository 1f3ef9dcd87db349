use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn session(id: &str) -> Session {
    Session {
        address: Some("https://broker.example".to_owned()),
        operators: None,
        id: id.to_owned(),
        role: "shop-deploy".to_owned(),
        ends_at: now() + time::Duration::HOUR,
        token: Secret::from("dps_secret"),
    }
}

fn keep_of(folder: &Path, job: (&str, &str)) -> Keep {
    let runtime = folder.to_str().expect("text").to_owned();
    Keep::find(&Environment::from([("XDG_RUNTIME_DIR", runtime.as_str()), job]), None).expect("a place")
}

fn keep(folder: &Path) -> Keep {
    keep_of(folder, ("CI_JOB_ID", "1"))
}

fn ids(keep: &Keep) -> Vec<String> {
    keep.sessions().expect("readable").into_iter().map(|session| session.id).collect()
}

#[test]
fn keeps_sessions_for_their_owner_only_until_they_are_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = keep(folder.path());
    assert!(ids(&keep).is_empty());
    keep.add(&session("a"), Place::First).expect("kept");
    keep.add(&session("b"), Place::First).expect("kept");
    keep.add(&session("c"), Place::Last).expect("kept");
    assert_eq!(keep.path().metadata().expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(keep.path().parent().expect("a folder").metadata().expect("there").permissions().mode() & 0o777, 0o700);
    assert_eq!(ids(&keep), ["b", "a", "c"], "a login comes first, and nothing that lives is replaced");
    let first = keep.sessions().expect("readable").remove(0);
    assert_eq!((first.token.expose().as_str(), first.role.as_str()), ("dps_secret", "shop-deploy"));
    for id in ["a", "b", "c", "c"] {
        keep.forget(id).expect("forgotten; twice does no harm");
    }
    assert!(!keep.path().exists(), "nothing is left");
}

#[test]
fn a_session_that_has_ended_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = keep(folder.path());
    keep.add(&Session { ends_at: now() - time::Duration::SECOND, ..session("old") }, Place::First).expect("kept");
    assert!(ids(&keep).is_empty());
    keep.add(&session("new"), Place::Last).expect("kept");
    assert_eq!(ids(&keep), ["new"]);
    assert!(!std::fs::read_to_string(keep.path()).expect("read").contains("old"));
}

#[test]
fn another_job_sees_nothing_of_it_and_takes_nothing_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (keep(folder.path()), keep_of(folder.path(), ("CI_JOB_ID", "2")));
    here.add(&session("a"), Place::First).expect("kept");
    assert!(ids(&there).is_empty());
    there.add(&session("b"), Place::First).expect("kept");
    assert_eq!((ids(&here), ids(&there)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    there.forget("b").expect("forgotten");
    assert_eq!(ids(&here), ["a"]);
}

#[test]
fn the_jobs_own_folder_comes_first_and_a_stale_one_hides_nothing() {
    let (temp, runtime) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let at = |temp: &Path, runtime: &Path| {
        let (temp, runtime) = (temp.to_str().expect("text"), runtime.to_str().expect("text"));
        let env = Environment::from([("RUNNER_TEMP", temp), ("XDG_RUNTIME_DIR", runtime)]);
        Keep::find(&env, None).expect("a place").path().to_owned()
    };
    let gone = Path::new("/nowhere/at/all");
    assert!(at(temp.path(), runtime.path()).starts_with(temp.path()));
    assert!(at(temp.path(), gone).starts_with(temp.path()));
    assert!(at(gone, runtime.path()).starts_with(runtime.path()));
}

#[test]
fn refuses_a_file_that_others_can_touch() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = keep(folder.path());
    keep.add(&session("a"), Place::First).expect("kept");
    std::fs::set_permissions(keep.path(), std::fs::Permissions::from_mode(0o640)).expect("changed");
    assert!(keep.sessions().is_err());
    std::fs::remove_file(keep.path()).expect("removed");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "[]").expect("written");
    symlink(&elsewhere, keep.path()).expect("linked");
    assert!(keep.sessions().is_err());
}

#[test]
fn refuses_a_folder_that_others_can_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = keep(folder.path());
    let own = keep.path().parent().expect("a folder");
    std::fs::create_dir(own).expect("made");
    std::fs::set_permissions(own, std::fs::Permissions::from_mode(0o777)).expect("changed");
    assert!(keep.add(&session("a"), Place::First).is_err());
}
