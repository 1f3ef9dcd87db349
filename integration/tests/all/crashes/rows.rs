//! Which test shows which row of the crash matrix. [`MATRIX`] has the rows in which a broker dies; the rest are tests of their own, in the
//! files of what goes wrong there.

use std::collections::BTreeSet;
use std::path::Path;

use integration::ground::checkout;

use super::*;

const TABLE: &str = "at_every_row_of_the_crash_matrix_nothing_leaks_and_nothing_goes_out_unrecorded";

struct Row {
    number: u8,
    what: &'static str,
    tests: &'static [&'static str],
}

const fn row(number: u8, what: &'static str, tests: &'static [&'static str]) -> Row {
    Row { number, what, tests }
}

const ROWS: [Row; 35] = [
    row(1, "before the first commit", &[TABLE]),
    row(2, "its acknowledgement late or lost", &[TABLE]),
    row(3, "before the create", &[TABLE]),
    row(4, "the create's answer lost", &[TABLE]),
    row(5, "the create still running when the sweep comes", &[TABLE, "a_late_create_finds_the_name_taken"]),
    row(6, "the create rolled back", &[TABLE, "the_target_itself_refuses_after_the_deadline"]),
    row(7, "before the second commit", &[TABLE]),
    row(8, "the second commit in doubt", &[TABLE]),
    row(9, "the sweep faster than the second commit", &[TABLE]),
    row(10, "before the answer", &[TABLE]),
    row(11, "half of the answer", &[TABLE]),
    row(12, "the client dies with the answer", &[TABLE, "a_login_lives_as_long_as_its_lease_and_its_sessions_die_with_it"]),
    row(13, "the log takes no record", &[TABLE, "no_lease_is_written_without_its_record"]),
    row(14, "a worker dies with its claim", &[TABLE]),
    row(15, "a worker dies between shutting and dropping", &[TABLE]),
    row(16, "a worker dies before it writes what it did", &[TABLE]),
    row(17, "a slow worker wakes after another", &[TABLE, "a_slow_worker_cannot_settle_after_another_claim"]),
    row(18, "two workers at once", &[TABLE, "two_workers_at_once_do_no_harm"]),
    row(
        19,
        "a target that is down for hours",
        &[
            "a_target_that_is_down_hands_out_nothing_and_gets_its_logins_back_later",
            "leases_of_a_target_that_was_down_are_gone_soon_after_it_is_back",
            "a_clock_that_goes_back_leaves_the_end_to_the_target_and_wakes_no_dead_token",
        ],
    ),
    row(20, "a target from an older backup", &["a_login_whose_lease_is_over_came_back_with_its_target_and_goes_again"]),
    row(
        21,
        "a standby that has lost the last commits",
        &[
            "a_standby_that_lagged_takes_over_and_ends_no_login",
            "a_process_that_remembers_more_than_the_database_takes_nothing_back",
            "a_database_from_a_backup_ends_no_login_until_an_operator_resumes",
        ],
    ),
    row(22, "a primary that dies", &["a_primary_that_crashes_is_followed_by_its_standby_and_nothing_is_lost"]),
    row(23, "two primaries", &["a_primary_that_was_cut_off_and_comes_back_is_not_believed_any_more"]),
    row(
        24,
        "a replica's clock an hour off",
        &[
            "a_clock_that_leaps_ahead_ends_no_login_and_lets_no_token_in_twice",
            "tells_the_databases_time_whatever_the_machines_calendar_says",
        ],
    ),
    row(25, "the database's clock an hour ahead", &["a_clock_that_leaps_ahead_ends_no_login_and_lets_no_token_in_twice"]),
    row(
        26,
        "the database's clock an hour back",
        &["a_clock_that_goes_back_leaves_the_end_to_the_target_and_wakes_no_dead_token"],
    ),
    row(
        27,
        "very many end in the same second",
        &[
            "many_that_end_by_themselves_at_once_are_settled",
            "workers_share_the_due_leases_and_leave_sick_targets_alone",
            "bursts",
        ],
    ),
    // Shown by the bench alone: a million rows take longer to make than tests may.
    row(28, "a start with very many leases", &["fill"]),
    row(29, "the root key away", &["a_root_key_that_is_away_stops_no_broker_that_serves_and_starts_none"]),
    row(
        30,
        "a rolling deploy",
        &["a_rolling_deploy_under_load_fails_no_job_and_leaks_nothing", "a_stop_lets_open_requests_finish"],
    ),
    row(
        31,
        "a panic",
        &[TABLE, "a_worker_that_panics_runs_again_and_raises_an_alarm", "an_engine_that_panics_does_not_keep_its_targets_places"],
    ),
    row(32, "a full disk", &["a_full_disk_refuses_exchanges_by_name_and_needs_no_new_start"]),
    row(
        33,
        "the policy taken away between the commits",
        &[
            "a_role_that_is_switched_off_while_its_credential_is_made_hands_nothing_out",
            "a_stop_while_a_credential_is_made_holds",
            "a_set_that_no_longer_allows_it_is_heard_before_the_answer",
        ],
    ),
    row(
        34,
        "the issuer's key withdrawn meanwhile",
        &["a_key_that_is_withdrawn_while_a_credential_is_made_stays_the_one_of_the_record"],
    ),
    row(35, "a pooler in between", &["a_pooler_serves_where_it_keeps_sessions_together"]),
];

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            *all += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

fn code(folders: &[&str]) -> String {
    let mut all = String::new();
    for folder in folders {
        sources(&checkout().join(folder), &mut all);
    }
    all
}

#[test]
fn every_row_of_the_crash_matrix_is_shown_by_tests_that_exist() {
    let code = code(&["broker/src", "integration/src", "integration/tests"]);
    for (Row { number, what, tests }, expected) in ROWS.iter().zip(1..) {
        assert_eq!(*number, expected, "{what}");
        assert!(!tests.is_empty(), "{number}: {what}");
        for test in *tests {
            let known = [format!("fn {test}("), format!("fn {test}<")];
            assert!(known.iter().any(|known| code.contains(known)), "{number}: there is no {test}");
        }
    }
}

#[test]
fn every_point_at_which_a_broker_can_die_stands_in_the_matrix() {
    let code = code(&["broker/src"]);
    // `pass("…")` in the broker, and what the group writer hands to it.
    let named = code.split('"').filter(|text| {
        let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        text.split_once("::")
            .is_some_and(|(room, step)| ["exchange", "store", "worker", "revoke", "renew"].contains(&room) && plain(step))
    });
    let named: BTreeSet<&str> = named.collect();
    let struck: BTreeSet<&str> = MATRIX
        .iter()
        .filter_map(|step| match step {
            Step::Exchange(point, _) | Step::TakingBack(point) | Step::Renewal(point, _) => Some(*point),
            _ => None,
        })
        .collect();
    assert!(named.len() > 12, "{named:?}");
    assert_eq!(named, struck);
}
