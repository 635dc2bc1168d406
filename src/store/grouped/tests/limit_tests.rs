//! The limits of a transaction: its operations and its bytes.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_group_has_at_most_a_hundred_operations() {
    let (mut stage, first) = Stage::busy().await;
    for (name, count) in [("a", 40), ("b", 41), ("c", 30), ("d", 19), ("e", 1)] {
        stage.commit_operations(HERE, many(name, count)).await;
    }
    first.succeed();
    settle().await;
    let full = stage.next();
    // Smaller commits fill the room that is too small for `c`.
    let expected = [("a", 40), ("b", 41), ("d", 19)].map(|(name, count)| many(name, count)).concat();
    assert_eq!(full.operations, expected);
    full.succeed();
    settle().await;
    assert_eq!(stage.next().operations, [many("c", 30), many("e", 1)].concat());
}

#[tokio::test(start_paused = true)]
async fn a_group_has_at_most_four_mebibytes_as_they_are_written() {
    // The escape of a quotation mark has two bytes, and that of a control character six.
    for (text, per_group) in [("x", 4), ("\"", 2), ("\n", 1), ("é", 2)] {
        let (mut stage, first) = Stage::busy().await;
        for i in 0..4 {
            stage.commit_operations(HERE, vec![insert_value(&format!("k{i}"), &text.repeat(700_000))]).await;
        }
        // The last one needs more room than is left beside four of them.
        stage.commit_operations(HERE, vec![insert_value("k4", &"x".repeat(1_400_000))]).await;
        first.succeed();
        settle().await;
        assert_eq!(stage.next().operations.len(), per_group, "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_may_fill_the_four_mebibytes_to_the_last_byte() {
    let half = MAX_BYTES / 2 - size_in_transaction(&insert_value("k0", ""));
    for (excess, together) in [(0, 2), (1, 1)] {
        let (mut stage, first) = Stage::busy().await;
        stage.commit_operations(HERE, vec![insert_value("k0", &"x".repeat(half))]).await;
        stage.commit_operations(HERE, vec![insert_value("k1", &"x".repeat(half + excess))]).await;
        first.succeed();
        settle().await;
        assert_eq!(stage.next().operations.len(), together);
    }
}

#[test]
fn the_frame_of_each_operation_counts() {
    let (key, etag) = ("k".repeat(512), Etag::new("e".repeat(100)));
    let replace = Operation::Replace { key: key.clone(), value: String::new(), if_match: Some(etag.clone()) };
    for operation in [replace, Operation::Delete { key, if_match: Some(etag) }] {
        assert_eq!(size_in_transaction(&operation), 1024 + 2 * 512 + 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_too_large_for_a_group_goes_alone() {
    let (mut stage, first) = Stage::busy().await;
    let large = (0..10).map(|i| insert_value(&format!("large{i}"), &"x".repeat(500_000))).collect();
    stage.commit_operations(HERE, large).await;
    stage.commit("small").await;
    first.succeed();
    settle().await;
    let large = stage.next();
    assert_eq!(large.operations.len(), 10);
    large.succeed();
    settle().await;
    assert_eq!(stage.next().keys(), "small");
}
