//! What every backend of the storage ports must do.
//!
//! A case is a function that gets an empty table or queue and does not know the backend. [`table_suite!`] and
//! [`queue_suite!`] make a test of each case. A new backend calls them with an expression that creates a [`TestTable`] or
//! a [`TestQueue`]. A case that is missing from their lists is an unused function, which the compiler warns about.
//!
//! The cases need nothing that Azure Table Storage cannot do: keys of at most 512 bytes, at most 100 operations and
//! 4 MiB in one commit.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::store::{
    Etag, KeyRange, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table, WakeUpQueue, WakeUpReceiver,
};

pub mod callbacks;
pub mod conditions;
pub mod etags;
pub mod groups;
pub mod idempotency;
pub mod inbox;
pub mod keys;
pub mod lists;
pub mod names;
pub mod queue;
pub mod races;
pub mod retention;
pub mod scans;
pub mod together;
pub mod values;

/// The partition of most cases, and another one.
pub const HERE: Partition = Partition::new("here");
pub const THERE: Partition = Partition::new("there");

/// An empty table, and whatever must be dropped after it.
pub struct TestTable {
    pub table: Arc<dyn Table>,
    pub keep: Box<dyn Any + Send>,
}

/// Both ends of an empty queue, and how precise its delays are.
pub struct TestQueue {
    pub queue: Arc<dyn WakeUpQueue>,
    pub receiver: Arc<dyn WakeUpReceiver>,
    /// How much too early a wake-up may become visible.
    pub early: Duration,
    /// How much too late a waiting receiver may get it.
    pub late: Duration,
    pub keep: Box<dyn Any + Send>,
}

/// Makes a test of each case. `$test` is the attribute of the test, `$create` creates a table or a queue, and `$argument`
/// is the argument of the case.
macro_rules! tests {
    ($test:meta, $create:expr, |$backend:ident| $argument:expr; $($group:ident { $($case:ident)* })*) => {
        $(mod $group {
            $(#[$test]
            async fn $case() {
                let $backend = $create;
                $crate::store::suite::$group::$case($argument).await;
                drop($backend.keep);
            })*
        })*
    };
}

/// Runs all cases of the table port on a backend.
macro_rules! table_suite {
    ($create:expr) => {
        $crate::store::suite::tests! { tokio::test, $create, |backend| &*backend.table;
            conditions {
                an_inserted_row_is_read_back
                a_row_that_was_never_written_is_not_there
                inserting_an_existing_row_conflicts_and_keeps_it
                a_deleted_row_can_be_inserted_again
                replacing_with_the_current_etag_changes_the_value
                replacing_with_a_stale_etag_conflicts_and_keeps_the_row
                replacing_a_row_that_was_never_written_conflicts_and_writes_none
                replacing_a_deleted_row_with_its_last_etag_conflicts
                replacing_a_row_that_was_deleted_and_inserted_again_conflicts
                deleting_with_the_current_etag_removes_the_row
                deleting_with_a_stale_etag_conflicts_and_keeps_the_row
                deleting_a_missing_row_with_an_etag_conflicts
                deleting_without_an_etag_removes_the_row_whatever_its_state
                deleting_a_missing_row_without_an_etag_conflicts
                deleting_twice_conflicts
                replacing_without_an_etag_changes_the_row_whatever_its_state
                replacing_a_missing_row_without_an_etag_conflicts_and_makes_none
                the_etag_of_one_row_does_not_fit_another
            }
            groups {
                inserts_replaces_and_deletes_are_applied_together
                one_insert_of_an_existing_row_undoes_the_whole_group
                one_stale_replace_undoes_the_whole_group
                one_replace_of_a_missing_row_undoes_the_whole_group
                one_stale_delete_undoes_the_whole_group
                one_delete_of_a_missing_row_undoes_the_whole_group
                a_failed_group_can_be_tried_again_with_the_same_etags
                a_conflict_names_the_first_operation_whose_condition_does_not_hold
                a_hundred_operations_are_one_commit
                a_hundred_operations_with_a_broken_last_one_leave_nothing
                a_hundred_and_one_operations_are_refused
                a_commit_without_operations_is_refused
                one_key_twice_in_a_commit_is_refused
                keys_outside_the_alphabet_are_refused
                one_illegal_key_refuses_the_whole_group
            }
            etags {
                every_write_gives_a_new_etag_even_of_the_same_value
                no_etag_is_used_again_after_a_deletion
                etags_come_in_the_order_of_the_operations_and_none_for_deletions
                reads_show_the_etag_that_the_commit_returned
                a_returned_etag_can_be_used_at_once
                a_change_keeps_the_etags_of_other_rows
                a_failed_commit_keeps_the_etag
                rows_written_in_one_commit_change_independently_afterwards
            }
            keys {
                the_same_key_in_two_partitions_names_two_rows
                a_scan_stays_in_its_partition
                an_etag_does_not_fit_a_row_of_another_partition
                partition_and_key_are_not_joined_into_one_name
                keys_that_differ_only_in_case_name_two_rows
                a_key_is_not_its_own_prefix
                rows_come_in_the_order_of_the_bytes_of_their_keys
                a_key_comes_before_the_keys_that_continue_it
                keys_of_512_bytes_that_differ_in_the_last_byte_are_two
            }
            scans {
                an_empty_table_has_an_empty_scan
                a_range_includes_its_beginning_and_excludes_its_end
                the_ends_of_a_range_need_not_exist
                a_range_that_ends_before_it_begins_is_empty
                a_range_can_include_both_of_its_ends
                the_order_does_not_depend_on_the_order_of_writing
                a_scan_returns_at_most_limit_rows
                a_limit_of_zero_returns_nothing
                a_prefix_holds_its_keys_and_no_others
                the_range_after_a_key_begins_at_the_very_next_one
                pages_lose_and_repeat_no_row_while_others_are_added_and_deleted
                a_scan_returns_the_values_and_etags_that_get_returns
                every_commit_is_seen_by_the_next_read
                a_scan_can_be_longer_than_a_thousand_rows
            }
            values {
                an_empty_value_is_a_value
                quotes_newlines_and_control_characters_survive
                text_that_looks_like_something_else_survives
                white_space_at_the_ends_survives
                unicode_survives_to_the_byte
                a_value_of_192_kib_survives
                a_value_of_192_kib_of_four_byte_characters_survives
                lengths_around_64_kib_survive
                a_short_value_replaces_all_of_a_long_one
                a_commit_holds_several_long_values
            }
        }
        $crate::store::suite::tests! {
            tokio::test(flavor = "multi_thread", worker_threads = 2), $create, |backend| &backend.table;
            lists {
                lists_come_in_the_order_of_due_times_and_of_ends
                pages_lose_and_double_no_conversation_while_others_come_and_go
                conversations_that_have_not_ended_are_counted
            }
            together {
                conversations_that_lie_together_are_read_as_each_is_read_alone
            }
            races {
                of_many_inserts_of_one_row_exactly_one_wins
                of_many_replaces_with_one_etag_exactly_one_wins
                of_many_deletes_with_one_etag_exactly_one_wins
                of_a_replace_and_a_delete_with_one_etag_exactly_one_wins
                commits_of_different_rows_do_not_disturb_each_other
                of_groups_that_share_a_row_exactly_one_wins
                after_a_conflict_the_row_of_the_winner_can_be_read
                a_counter_loses_no_increment
                inserts_and_deletes_of_one_row_alternate
                a_row_that_moves_between_keys_is_never_lost_or_doubled
            }
            idempotency {
                a_repetition_finds_the_conversation_and_adds_nothing
                another_request_with_the_key_is_told_apart
                every_client_has_keys_of_its_own
                a_conversation_that_is_gone_is_not_scheduled_again
                an_expired_key_belongs_to_the_next_request
                expired_keys_are_removed_and_others_stay
                rows_that_a_removal_does_not_know_or_does_not_find_stop_nothing
                of_many_requests_with_one_key_exactly_one_schedules
            }
            callbacks {
                a_conversation_is_replaced_and_another_one_added_in_one_commit
                if_the_other_one_exists_nothing_is_replaced
                of_many_ends_of_one_delivery_one_adds_a_conversation
            }
            names {
                a_name_leads_to_the_conversation_that_got_it_last
                of_many_conversations_exactly_one_gets_a_name
                a_name_is_removed_with_its_conversation_and_stays_for_another
            }
            inbox {
                conversations_are_found_in_the_order_of_their_times_and_each_client_finds_its_own
                a_lease_moves_the_row_and_the_end_removes_it
                of_many_receivers_exactly_one_gets_a_conversation
            }
            retention {
                conversations_that_ended_long_ago_are_removed_and_others_stay
                a_repeated_request_finds_its_conversation_gone
                of_a_removal_and_a_redelivery_exactly_one_succeeds
                what_a_damaged_store_has_lost_stops_no_removal
            }
        }
    };
}

/// Runs all cases of the queue ports on a backend. `$test` is the attribute of each test; a queue in memory uses paused
/// time.
macro_rules! queue_suite {
    ($test:meta, $create:expr) => {
        $crate::store::suite::tests! { $test, $create, |backend| &backend;
            queue {
                a_wake_up_is_received_as_it_was_enqueued
                a_wake_up_without_a_delay_is_visible_at_once
                a_wake_up_is_not_visible_before_its_time
                a_wake_up_is_visible_at_its_time
                wake_ups_are_received_in_the_order_of_their_times
                enqueueing_wakes_a_receiver_of_an_empty_queue
                enqueueing_wakes_a_receiver_that_waits_for_a_later_wake_up
                a_receiver_waits_while_no_wake_up_is_visible
                a_receiver_that_is_cancelled_has_taken_nothing
                at_most_max_wake_ups_are_received_and_the_rest_is_kept
                wake_ups_that_are_visible_together_are_received_together
                many_wake_ups_of_one_instant_are_each_received_once
                each_wake_up_goes_to_one_of_the_receivers
                a_wake_up_that_was_deleted_is_not_received_again
                equal_wake_ups_are_two
                a_wake_up_can_be_enqueued_as_far_ahead_as_the_dead_man_s_switch
            }
        }
    };
}

pub(crate) use {queue_suite, table_suite, tests};

pub fn insert(key: &str, value: &str) -> Operation {
    Operation::Insert { key: key.to_owned(), value: value.to_owned() }
}

pub fn replace(key: &str, value: &str, if_match: &Etag) -> Operation {
    Operation::Replace { key: key.to_owned(), value: value.to_owned(), if_match: Some(if_match.clone()) }
}

pub fn replace_whatever_is_there(key: &str, value: &str) -> Operation {
    Operation::Replace { key: key.to_owned(), value: value.to_owned(), if_match: None }
}

pub fn delete(key: &str, if_match: &Etag) -> Operation {
    Operation::Delete { key: key.to_owned(), if_match: Some(if_match.clone()) }
}

pub fn delete_whatever_is_there(key: &str) -> Operation {
    Operation::Delete { key: key.to_owned(), if_match: None }
}

/// Commits one operation and returns the new etag of a write.
pub async fn commit_one(table: &dyn Table, operation: Operation) -> Result<Option<Etag>, StoreError> {
    let etags = table.commit(HERE, vec![operation]).await?;
    let [etag] = <[_; 1]>::try_from(etags).expect("one etag for one operation");
    Ok(etag)
}

/// Inserts a row that a case needs.
pub async fn put(table: &dyn Table, key: &str, value: &str) -> Etag {
    commit_one(table, insert(key, value)).await.expect("the row is new").expect("an insert has an etag")
}

/// Replaces a row that a case needs.
pub async fn change(table: &dyn Table, key: &str, value: &str, etag: &Etag) -> Etag {
    commit_one(table, replace(key, value, etag)).await.expect("the etag is right").expect("a replace has an etag")
}

pub async fn value_of(table: &dyn Table, key: &str) -> Option<String> {
    table.get(HERE, key).await.expect("the table answers").map(|row| row.value)
}

/// All rows of a partition.
pub async fn all_of(table: &dyn Table, partition: Partition) -> Vec<Row> {
    table.scan(partition, &KeyRange::prefix(""), 10_000).await.expect("the table answers")
}

pub async fn all(table: &dyn Table) -> Vec<Row> {
    all_of(table, HERE).await
}

pub async fn scanned_keys(table: &dyn Table, range: &KeyRange, limit: usize) -> Vec<String> {
    keys_of(table.scan(HERE, range, limit).await.expect("the table answers"))
}

pub fn keys_of(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().map(|row| row.key).collect()
}

/// Inserts rows with these keys, in as few commits as possible.
pub async fn fill(table: &dyn Table, keys: &[String]) {
    for chunk in keys.chunks(MAX_COMMIT_OPERATIONS) {
        table.commit(HERE, chunk.iter().map(|key| insert(key, key)).collect()).await.expect("the rows are new");
    }
}

#[track_caller]
#[allow(clippy::needless_pass_by_value)] // a result is asserted and forgotten
pub fn assert_conflict<T: std::fmt::Debug>(result: Result<T, impl Into<StoreError>>) {
    let result = result.map_err(Into::into);
    assert!(matches!(result, Err(StoreError::Conflict)), "expected a conflict, got {result:?}");
}

#[track_caller]
#[allow(clippy::needless_pass_by_value)] // a result is asserted and forgotten
pub fn assert_refused<T: std::fmt::Debug>(result: Result<T, impl Into<StoreError>>) {
    let result = result.map_err(Into::into);
    assert!(matches!(result, Err(StoreError::Refused(_))), "expected a refusal, got {result:?}");
}
