//! Concurrent commits: the result is the same as of commits one after another.

use std::sync::Arc;

use futures_util::future::join_all;
use mcp_scheduler::store::{CommitError, Operation, StoreError, Table};
use tokio::sync::Barrier;

use super::{
    HERE, THERE, all, change, commit_one, delete, delete_whatever_is_there, fill, insert, keys_of, put, replace,
    value_of,
};

const MANY: usize = 32;

/// Commits all groups at the same time, each in its own task. Returns for each whether it was applied.
async fn race(table: &Arc<dyn Table>, groups: Vec<Vec<Operation>>) -> Vec<bool> {
    let start = Arc::new(Barrier::new(groups.len()));
    let tasks = groups.into_iter().map(|group| {
        let (table, start) = (Arc::clone(table), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            match table.commit(HERE, group).await {
                Ok(_) => true,
                Err(CommitError::Conflict { .. }) => false,
                Err(other) => panic!("{other}"),
            }
        })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// The index of the only group that was applied.
fn only_winner(applied: &[bool]) -> usize {
    let winners: Vec<usize> = (0..applied.len()).filter(|i| applied[*i]).collect();
    assert_eq!(winners.len(), 1, "applied: {applied:?}");
    winners[0]
}

pub async fn of_many_inserts_of_one_row_exactly_one_wins(table: &Arc<dyn Table>) {
    for round in 0..5 {
        let key = format!("k{round}");
        let applied = race(table, (0..MANY).map(|i| vec![insert(&key, &i.to_string())]).collect()).await;
        assert_eq!(value_of(&**table, &key).await, Some(only_winner(&applied).to_string()));
    }
}

pub async fn of_many_replaces_with_one_etag_exactly_one_wins(table: &Arc<dyn Table>) {
    for round in 0..5 {
        let key = format!("k{round}");
        let etag = put(&**table, &key, "old").await;
        let applied = race(table, (0..MANY).map(|i| vec![replace(&key, &i.to_string(), &etag)]).collect()).await;
        assert_eq!(value_of(&**table, &key).await, Some(only_winner(&applied).to_string()));
    }
}

pub async fn of_many_deletes_with_one_etag_exactly_one_wins(table: &Arc<dyn Table>) {
    let etag = put(&**table, "k", "v").await;
    let applied = race(table, vec![vec![delete("k", &etag)]; MANY]).await;
    only_winner(&applied);
    assert_eq!(value_of(&**table, "k").await, None);
}

/// As a claim and a cancel at the same time do.
pub async fn of_a_replace_and_a_delete_with_one_etag_exactly_one_wins(table: &Arc<dyn Table>) {
    for round in 0..20 {
        let key = format!("k{round}");
        let etag = put(&**table, &key, "old").await;
        let applied = race(table, vec![vec![replace(&key, "new", &etag)], vec![delete(&key, &etag)]]).await;
        let left = value_of(&**table, &key).await;
        assert_eq!(left.as_deref(), [Some("new"), None][only_winner(&applied)]);
    }
}

pub async fn commits_of_different_rows_do_not_disturb_each_other(table: &Arc<dyn Table>) {
    let tasks = (0..MANY).map(|task| {
        let table = Arc::clone(table);
        tokio::spawn(async move {
            let (key, other) = (format!("k{task:02}"), format!("k{task:02}~due"));
            let mut etag = put(&*table, &key, "0").await;
            for i in 1..=5 {
                let group = vec![replace(&key, &i.to_string(), &etag), insert(&other, "v")];
                etag = table.commit(HERE, group).await.unwrap()[0].clone().unwrap();
                commit_one(&*table, delete_whatever_is_there(&other)).await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let rows = all(&**table).await;
    assert_eq!(rows.len(), MANY);
    assert!(rows.iter().all(|row| row.value == "5"));
}

pub async fn of_groups_that_share_a_row_exactly_one_wins(table: &Arc<dyn Table>) {
    let own = |i: usize| format!("own{i:02}");
    // The shared row is the first operation of some groups and the last of others.
    let groups = (0..MANY).map(|i| {
        let mut group = vec![insert("shared", &i.to_string()), insert(&own(i), "v")];
        group.rotate_left(i % 2);
        group
    });
    let winner = only_winner(&race(table, groups.collect()).await);
    assert_eq!(keys_of(all(&**table).await), [own(winner), "shared".to_owned()]);
    assert_eq!(value_of(&**table, "shared").await, Some(winner.to_string()));
}

pub async fn after_a_conflict_the_row_of_the_winner_can_be_read(table: &Arc<dyn Table>) {
    for round in 0..5 {
        let tasks = (0..MANY).map(|_| {
            let (table, key) = (Arc::clone(table), format!("k{round}"));
            tokio::spawn(async move {
                let _ = commit_one(&*table, insert(&key, "v")).await;
                value_of(&*table, &key).await
            })
        });
        for read in join_all(tasks).await {
            assert_eq!(read.unwrap().as_deref(), Some("v"));
        }
    }
}

pub async fn a_counter_loses_no_increment(table: &Arc<dyn Table>) {
    const TASKS: usize = 16;
    const EACH: usize = 4;
    put(&**table, "counter", "0").await;
    let tasks = (0..TASKS).map(|_| {
        let table = Arc::clone(table);
        tokio::spawn(async move {
            let mut done = 0;
            // In each round at least one task succeeds, so no task needs more rounds than there are increments.
            for _ in 0..TASKS * EACH {
                let row = table.get(HERE, "counter").await.unwrap().unwrap();
                let next = row.value.parse::<usize>().unwrap() + 1;
                match commit_one(&*table, replace("counter", &next.to_string(), &row.etag)).await {
                    Ok(_) => done += 1,
                    Err(StoreError::Conflict) => {}
                    Err(other) => panic!("{other}"),
                }
                if done == EACH {
                    return;
                }
            }
            panic!("another task was faster every time");
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    assert_eq!(value_of(&**table, "counter").await, Some((TASKS * EACH).to_string()));
}

pub async fn inserts_and_deletes_of_one_row_alternate(table: &Arc<dyn Table>) {
    let groups = (0..MANY * 2).map(|i| vec![if i % 2 == 0 { insert("k", "v") } else { delete_whatever_is_there("k") }]);
    let applied = race(table, groups.collect()).await;
    let inserted = applied.iter().step_by(2).filter(|applied| **applied).count();
    let deleted = applied.iter().skip(1).step_by(2).filter(|applied| **applied).count();
    let left = usize::from(value_of(&**table, "k").await.is_some());
    assert!(inserted >= 1);
    assert_eq!(inserted, deleted + left);
}

/// As the due row of a conversation moves with its time.
pub async fn a_row_that_moves_between_keys_is_never_lost_or_doubled(table: &Arc<dyn Table>) {
    let start = put(&**table, "main", "at0").await;
    fill(&**table, &["at0".to_owned()]).await;
    // Rows with the same keys in another partition must have no effect.
    table.commit(THERE, vec![insert("main", "at0"), insert("at0", "v")]).await.unwrap();
    change(&**table, "main", "at0", &start).await;
    let movers = (1..=8).map(|mover| {
        let table = Arc::clone(table);
        tokio::spawn(async move {
            for step in 0..10 {
                let row = table.get(HERE, "main").await.unwrap().unwrap();
                let next = format!("at{mover}.{step}");
                let group =
                    vec![replace("main", &next, &row.etag), delete_whatever_is_there(&row.value), insert(&next, "v")];
                match table.commit(HERE, group).await {
                    Ok(_) | Err(CommitError::Conflict { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        })
    });
    join_all(movers).await.into_iter().for_each(Result::unwrap);
    let place = value_of(&**table, "main").await.unwrap();
    assert_ne!(place, "at0", "the row has moved");
    assert_eq!(keys_of(all(&**table).await), [place, "main".to_owned()]);
}
