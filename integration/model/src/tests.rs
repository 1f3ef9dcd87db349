use crate::mutants::Mutant;
use crate::plan::Plan;
use crate::promises as promise;
use crate::protocol::Protocol;
use crate::run::explore;

#[test]
fn the_protocol_holds_in_every_small_world_and_each_world_means_something() {
    for plan in Plan::SMALL {
        let explored = explore(Protocol { plan, mutant: None }, 2);
        assert!(explored.broken.is_empty(), "{}: {:#?}", plan.name, explored.broken);
        assert!(explored.unreached.is_empty(), "{}: {:?}", plan.name, explored.unreached);
    }
}

#[track_caller]
fn is_caught(mutant: Mutant, promises: &[&str]) {
    let explored = explore(Protocol { plan: mutant.world(), mutant: Some(mutant) }, 2);
    let caught = explored.broken.first().unwrap_or_else(|| panic!("{mutant:?} breaks no promise"));
    assert!(promises.contains(&caught.0), "{mutant:?} breaks another promise: {caught:?}");
}

#[test]
fn a_create_before_its_row_leaves_an_orphan() {
    is_caught(Mutant::CreateBeforeRow, &[promise::NO_ORPHAN]);
}

#[test]
fn without_deadline_and_tombstone_a_late_create_leaves_an_orphan() {
    is_caught(Mutant::NoFence, &[promise::NO_ORPHAN, promise::NOBODY_IN]);
}

#[test]
fn without_margin_clocks_that_differ_leave_an_orphan() {
    is_caught(Mutant::NoMargin, &[promise::NO_ORPHAN, promise::NOBODY_IN]);
}

#[test]
fn a_use_looked_up_before_it_is_written_is_spent_twice() {
    is_caught(Mutant::SelectThenInsert, &[promise::ONE_LIVES, promise::ONE_ANSWER]);
}

#[test]
fn giving_up_leaves_a_login_for_ever() {
    is_caught(Mutant::GivesUp, &[promise::NO_ORPHAN, promise::NOBODY_IN]);
}

#[test]
fn answering_before_activation_hands_out_what_no_record_grants() {
    is_caught(Mutant::AnswerBeforeActivation, &[promise::RECORDED]);
}

#[test]
fn a_log_outside_the_transaction_misses_a_grant() {
    is_caught(Mutant::LogOutside, &[promise::REMEMBERED]);
}

#[test]
fn a_shared_login_is_taken_from_a_lease_that_goes_on() {
    is_caught(Mutant::SharedName, &[promise::NOT_EARLY]);
}

#[test]
fn a_deadline_alone_does_not_stop_a_create_that_is_not_committed() {
    is_caught(Mutant::NoTombstone, &[promise::NO_ORPHAN, promise::NOBODY_IN]);
}

#[test]
fn a_tombstone_alone_does_not_stop_a_create_that_comes_after_it() {
    is_caught(Mutant::NoDeadline, &[promise::NO_ORPHAN, promise::NOBODY_IN]);
}

#[test]
fn a_stale_worker_that_settles_reopens_what_is_over() {
    is_caught(Mutant::StaleSettles, &[promise::FINAL, promise::NO_ORPHAN, promise::NOBODY_IN]);
}

#[test]
fn sessions_ended_before_the_login_is_shut_come_back() {
    is_caught(Mutant::SessionsFirst, &[promise::NOBODY_IN]);
}

#[test]
fn a_repeat_that_does_not_wait_makes_two_live_logins() {
    is_caught(Mutant::RepeatAtOnce, &[promise::ONE_LIVES]);
}

#[test]
fn a_granted_use_that_comes_back_is_answered_twice() {
    is_caught(Mutant::UseComesBack, &[promise::ONE_ANSWER]);
}
