//! Random commits through the layer have the outcome of the same commits one after another.
//!
//! The journal has the order in which transactions were applied. The commits in it are applied to a plain map, one by
//! one, and the map decides whether the result of each commit is right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::store::{CommitError, Etag, GroupedTable, Operation, Partition, Table};
use tokio::time::{sleep, timeout};

use super::journal::{Applied, Journal};
use crate::store::suite::{HERE, THERE, delete, delete_whatever_is_there, insert, replace, replace_whatever_is_there};
use crate::support::simulation::seeded_rng::SeededRng;

/// A commit, its result, and the number of transactions that were applied before it began and when it ended.
struct Called {
    partition: Partition,
    operations: Vec<Operation>,
    /// `None` if the caller went away.
    result: Option<Result<Vec<Option<Etag>>, CommitError>>,
    began: usize,
    ended: usize,
}

/// Counts of what happened: a run in which nothing meets proves little.
#[derive(Debug, Default)]
struct Tally {
    shared_transactions: usize,
    applied: usize,
    conflicts: usize,
    unknown: usize,
    unknown_and_applied: usize,
}

#[test]
fn random_commits_have_the_outcome_of_a_serial_order() {
    let mut tally = Tally::default();
    for seed in 0..400 {
        let (called, applied) = run(seed);
        check(&called, &applied, &mut tally).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
    let Tally { shared_transactions, applied, conflicts, unknown, unknown_and_applied } = tally;
    let counts = [shared_transactions, applied, conflicts, unknown, unknown_and_applied];
    assert!(counts.into_iter().all(|count| count >= 100), "{tally:?}");
}

fn run(seed: u64) -> (Vec<Called>, Vec<Applied>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let rng = Arc::new(SeededRng::new(seed));
        let journal = Journal::new(Arc::clone(&rng));
        let table = GroupedTable::new(Arc::new(journal.clone()));
        let callers: Vec<_> = (0..10 + rng.below(40))
            .map(|number| tokio::spawn(call(number, Arc::clone(&rng), journal.clone(), table.clone())))
            .collect();
        let mut called = Vec::new();
        for caller in callers {
            called.push(caller.await.unwrap());
        }
        // Until then the last late transaction is applied.
        sleep(Duration::from_mins(1)).await;
        (called, journal.take())
    })
}

async fn call(number: u64, rng: Arc<SeededRng>, journal: Journal, table: GroupedTable) -> Called {
    sleep(rng.up_to(Duration::from_millis(200))).await;
    let partition = rng.pick(&[HERE, HERE, HERE, THERE]);
    let mut operations = Vec::new();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        if rng.chance(200) {
            operations.push(operation(&rng, &table, partition, key, number).await);
        }
    }
    // By this row the commit is recognised in the journal.
    let place = usize::try_from(rng.below(1 + operations.len() as u64)).unwrap();
    operations.insert(place, insert(&format!("own{number}"), "v"));
    sleep(rng.up_to(Duration::from_millis(20))).await;
    let patience = if rng.chance(100) { rng.up_to(Duration::from_millis(50)) } else { Duration::from_hours(1) };
    let began = journal.len();
    let result = timeout(patience, table.commit(partition, operations.clone())).await.ok();
    Called { partition, operations, result, began, ended: journal.len() }
}

/// An operation whose condition may hold or not.
async fn operation(rng: &SeededRng, table: &GroupedTable, partition: Partition, key: &str, number: u64) -> Operation {
    let value = number.to_string();
    match table.get(partition, key).await.unwrap().map(|row| row.etag) {
        None if rng.chance(900) => insert(key, &value),
        Some(etag) if rng.chance(400) => replace(key, &value, &etag),
        Some(etag) if rng.chance(400) => delete(key, &etag),
        _ if rng.chance(300) => insert(key, &value),
        _ if rng.chance(500) => replace_whatever_is_there(key, &value),
        _ => delete_whatever_is_there(key),
    }
}

/// The etags of the rows that exist.
type Model = BTreeMap<(Partition, String), Etag>;

fn check(called: &[Called], applied: &[Applied], tally: &mut Tally) -> Result<(), String> {
    let mut model = Model::new();
    // The model before each transaction and after the last one.
    let mut history = vec![model.clone()];
    let mut etags: BTreeMap<usize, &[Option<Etag>]> = BTreeMap::new();
    let mut applied_by: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, transaction) in applied.iter().enumerate() {
        let members = members(called, transaction)?;
        tally.shared_transactions += usize::from(members.len() > 1);
        for (member, own) in members {
            if etags.insert(member, own).is_some() {
                return Err(format!("commit {member} was applied twice"));
            }
            applied_by.insert(member, number);
            if let Some(position) = first_failed(&model, &called[member]) {
                return Err(format!("commit {member} was applied although its operation {position} cannot be"));
            }
            apply(&mut model, &called[member], own);
        }
        history.push(model.clone());
    }
    for (member, call) in called.iter().enumerate() {
        let own = etags.get(&member).copied();
        check_result(call, own, applied_by.get(&member), &history)
            .map_err(|what| format!("commit {member} {:?} of {:?}: {what}", call.result, call.operations))?;
        tally.count(call, own.is_some());
    }
    Ok(())
}

/// The index of a commit in a transaction, and its etags.
type Member<'a> = (usize, &'a [Option<Etag>]);

/// The commits in a transaction, with their etags. Each must be in it as a whole.
fn members<'a>(called: &[Called], transaction: &'a Applied) -> Result<Vec<Member<'a>>, String> {
    let (mut members, mut at) = (Vec::new(), 0);
    while at < transaction.operations.len() {
        let rest = &transaction.operations[at..];
        let found = called
            .iter()
            .position(|call| call.partition == transaction.partition && rest.starts_with(&call.operations))
            .ok_or_else(|| format!("no commit begins at {rest:?}"))?;
        let end = at + called[found].operations.len();
        members.push((found, &transaction.etags[at..end]));
        at = end;
    }
    Ok(members)
}

fn first_failed(model: &Model, call: &Called) -> Option<usize> {
    call.operations
        .iter()
        .position(|operation| !operation.is_applicable(model.get(&(call.partition, operation.key().to_owned()))))
}

fn apply(model: &mut Model, call: &Called, etags: &[Option<Etag>]) {
    for (operation, etag) in call.operations.iter().zip(etags) {
        let key = (call.partition, operation.key().to_owned());
        match etag {
            Some(etag) => model.insert(key, etag.clone()),
            None => model.remove(&key),
        };
    }
}

/// `own` are the etags with which the commit was applied, if it was, and `by` is the number of its transaction.
fn check_result(
    call: &Called,
    own: Option<&[Option<Etag>]>,
    by: Option<&usize>,
    history: &[Model],
) -> Result<(), String> {
    let meanwhile = &history[call.began..=call.ended];
    match &call.result {
        None | Some(Err(CommitError::Unknown(_))) => Ok(()),
        Some(Ok(etags)) => match (own, by) {
            (Some(own), Some(by)) if own == etags && (call.began..call.ended).contains(by) => Ok(()),
            _ => Err(format!("it was applied with {own:?}")),
        },
        Some(Err(_)) if own.is_some() => Err("it was applied".to_owned()),
        Some(Err(CommitError::Conflict { operation })) => {
            let failed = |model: &Model| first_failed(model, call);
            match operation {
                None if meanwhile.iter().any(|model| failed(model).is_some()) => Ok(()),
                Some(named) if meanwhile.iter().any(|model| failed(model) == Some(*named)) => Ok(()),
                _ => Err("there never was this conflict".to_owned()),
            }
        }
        Some(Err(_)) => Ok(()),
    }
}

impl Tally {
    fn count(&mut self, call: &Called, applied: bool) {
        self.applied += usize::from(applied);
        match &call.result {
            Some(Err(CommitError::Conflict { .. })) => self.conflicts += 1,
            Some(Err(CommitError::Unknown(_))) => {
                self.unknown += 1;
                self.unknown_and_applied += usize::from(applied);
            }
            _ => {}
        }
    }
}
