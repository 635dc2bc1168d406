//! The directory of the store: rows survive a restart, one process at a time opens it, and its format has a version.

use std::path::Path;
use std::process::{Command, Stdio};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use futures_util::future::join_all;
use mcp_scheduler::store::{CommitError, EmbeddedStore, Etag, OpenError, Row};
use tempfile::TempDir;

use crate::store::suite::{HERE, all, change, commit_one, delete, insert, keys_of, put, replace, value_of};

fn rows(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("k{i:04}")).collect()
}

/// Opens the store, uses it, and closes it.
async fn session<T>(dir: &Path, work: impl AsyncFnOnce(&EmbeddedStore) -> T) -> T {
    let store = EmbeddedStore::open(dir).unwrap();
    let result = work(&store).await;
    store.close();
    result
}

async fn all_rows(dir: &Path) -> Vec<Row> {
    session(dir, async |store| all(&*store.conversations()).await).await
}

#[tokio::test]
async fn rows_survive_closing_and_opening() {
    let dir = TempDir::new().unwrap();
    let long = "long ".repeat(40_000);
    session(dir.path(), async |store| {
        let table = store.conversations();
        let etag = put(&*table, "changed", "old").await;
        change(&*table, "changed", "new", &etag).await;
        put(&*table, "long", &long).await;
        let etag = put(&*table, "deleted", "v").await;
        commit_one(&*table, delete("deleted", &etag)).await.unwrap();
    })
    .await;
    for _ in 0..3 {
        let found: Vec<_> = all_rows(dir.path()).await.into_iter().map(|row| (row.key, row.value)).collect();
        assert_eq!(found, [("changed".to_owned(), "new".to_owned()), ("long".to_owned(), long.clone())]);
    }
}

#[tokio::test]
async fn an_etag_is_valid_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let etag = session(dir.path(), async |store| put(&*store.conversations(), "k", "old").await).await;
    session(dir.path(), async |store| change(&*store.conversations(), "k", "new", &etag).await).await;
    assert_eq!(all_rows(dir.path()).await[0].value, "new");
}

#[tokio::test]
async fn no_etag_is_used_again_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut seen: Vec<Etag> = Vec::new();
    for _ in 0..4 {
        session(dir.path(), async |store| {
            let table = store.conversations();
            for _ in 0..3 {
                let etag = put(&*table, "k", "v").await;
                assert!(!seen.contains(&etag), "{etag:?} was seen before");
                commit_one(&*table, delete("k", &etag)).await.unwrap();
                seen.push(etag);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_tables_of_a_store_do_not_share_rows() {
    let dir = TempDir::new().unwrap();
    session(dir.path(), async |store| {
        let (conversations, clients) = (store.conversations(), store.clients());
        let etag = put(&*conversations, "k", "a conversation").await;
        assert_eq!(value_of(&*clients, "k").await, None);
        assert_eq!(all(&*clients).await, []);
        put(&*clients, "k", "a client").await;
        commit_one(&*conversations, delete("k", &etag)).await.unwrap();
        assert_eq!(value_of(&*clients, "k").await.as_deref(), Some("a client"));
        assert_eq!(value_of(&*store.clients(), "k").await.as_deref(), Some("a client"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_during_commits_loses_no_acknowledged_one() {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let commits: Vec<_> = rows(400)
        .into_iter()
        .map(|key| {
            let table = store.conversations();
            tokio::spawn(async move {
                match table.commit(HERE, vec![insert(&key, "v")]).await {
                    Ok(_) => Some(key),
                    Err(CommitError::Unavailable(_)) => None,
                    Err(other) => panic!("{other}"),
                }
            })
        })
        .collect();
    tokio::task::spawn_blocking(|| store.close()).await.unwrap();
    let acknowledged = join_all(commits).await.into_iter().filter_map(Result::unwrap);
    let acknowledged: Vec<String> = acknowledged.collect();
    assert_eq!(keys_of(all_rows(dir.path()).await), acknowledged);
}

#[tokio::test]
async fn a_closed_store_accepts_no_commits() {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let table = store.conversations();
    store.close();
    let result = table.commit(HERE, vec![insert("k", "v")]).await;
    assert!(matches!(result, Err(CommitError::Unavailable(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_acknowledged_commits_of_many_tasks_survive_a_restart() {
    const TASKS: usize = 64;
    const EACH: usize = 50;
    let dir = TempDir::new().unwrap();
    session(dir.path(), async |store| {
        let tasks = (0..TASKS).map(|task| {
            let table = store.conversations();
            tokio::spawn(async move {
                let mut etag = put(&*table, &format!("counter{task:02}"), "0").await;
                for i in 1..EACH {
                    let (counter, mark) = (format!("counter{task:02}"), format!("mark{task:02}.{i:02}"));
                    let group = vec![replace(&counter, &i.to_string(), &etag), insert(&mark, "v")];
                    etag = table.commit(HERE, group).await.unwrap()[0].clone().unwrap();
                }
            })
        });
        join_all(tasks).await.into_iter().for_each(Result::unwrap);
    })
    .await;
    let rows = all_rows(dir.path()).await;
    let (counters, marks): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.key.starts_with("counter"));
    assert_eq!((counters.len(), marks.len()), (TASKS, TASKS * (EACH - 1)));
    assert!(counters.iter().all(|row| row.value == (EACH - 1).to_string()));
}

#[tokio::test]
async fn a_directory_is_open_in_one_store_at_a_time() {
    let dir = TempDir::new().unwrap();
    session(dir.path(), async |store| {
        let second = EmbeddedStore::open(dir.path()).map(drop).unwrap_err();
        assert!(matches!(second, OpenError::Locked(_)), "{second:?}");
        let text = second.to_string();
        assert!(text.contains(dir.path().to_str().unwrap()), "says where: {text}");
        assert!(text.contains("SCHEDULER_DATA_DIR"), "says what to do: {text}");
        put(&*store.conversations(), "k", "the first store still works").await;
    })
    .await;
    assert_eq!(all_rows(dir.path()).await.len(), 1);
}

#[tokio::test]
async fn another_process_is_told_that_the_directory_is_in_use() {
    let dir = TempDir::new().unwrap();
    session(dir.path(), async |_| {
        let second = Command::new(env!("CARGO_BIN_EXE_mcp-scheduler"))
            .args(["client", "add", "somebody"])
            .env_clear()
            .env("SCHEDULER_DATA_DIR", dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&second.stderr);
        assert!(!second.status.success());
        assert!(text.contains("the service is running on"), "{text}");
        assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
    })
    .await;
}

/// Writes a number of the format, as another version of this program would.
fn set_format(dir: &Path, format: u64) {
    let database = Database::builder(dir.join("store")).open().unwrap();
    let rows = database.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
    rows.insert(b"\0format", format.to_be_bytes()).unwrap();
    database.persist(PersistMode::SyncAll).unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_format_is_refused_and_not_changed() {
    let dir = TempDir::new().unwrap();
    session(dir.path(), async |store| put(&*store.conversations(), "k", "v").await).await;
    for newer in [2, 7, u64::MAX] {
        set_format(dir.path(), newer);
        let refused = EmbeddedStore::open(dir.path()).map(drop).unwrap_err();
        let found = u32::try_from(newer).unwrap_or(u32::MAX);
        assert!(matches!(&refused, OpenError::Newer { found: f, known: 1, .. } if *f == found), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains("newer version") && text.contains(dir.path().to_str().unwrap()), "{text}");
    }
    set_format(dir.path(), 1);
    assert_eq!(all_rows(dir.path()).await[0].value, "v");
}

#[tokio::test]
async fn a_path_that_is_no_directory_is_an_error_with_the_path() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let error = EmbeddedStore::open(&file).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}
