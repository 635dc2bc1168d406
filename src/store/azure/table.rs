//! The table port on Azure Table Storage.
//!
//! A row is an entity. `PartitionKey` and `RowKey` are the partition and the key; the properties `v0`, `v1` and so on
//! contain the pieces of the value. A commit is one entity group transaction, even if it has one operation.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use azure_core::StatusCode;
use azure_data_tables::IfMatchCondition;
use azure_data_tables::clients::TableClient;
use azure_data_tables::operations::TransactionBuilder;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::table::{check_operations, in_alphabet};
use super::super::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table};
use super::failure::Failure;

pub(super) struct AzureTable {
    client: TableClient,
}

/// An entity in a response.
#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "RowKey")]
    key: String,
    #[serde(rename = "odata.etag")]
    etag: String,
    #[serde(flatten)]
    properties: HashMap<String, Value>,
}

impl AzureTable {
    /// The size of one piece, in UTF-16 units. A property has room for 64 KiB, which is 32,768 units.
    const PIECE: usize = 32_000;
    /// The largest value, in UTF-16 units. An entity has room for 1 MiB, including keys and names of properties.
    const ROOM: usize = ((1 << 20) - 4096) / 2;
    /// The largest number of entities in one response.
    const PAGE: usize = 1_000;

    pub(super) const fn new(client: TableClient) -> Self {
        Self { client }
    }

    /// Creates the table if it does not exist.
    pub(super) async fn create(&self) -> Result<(), StoreError> {
        match self.client.create().await.map_err(Failure::from) {
            Err(failure) if !failure.is_conflict() => Err(failure.of_read()),
            _ => Ok(()),
        }
    }

    async fn transaction(&self, partition: Partition, operations: &[Operation]) -> Result<Vec<Option<Etag>>, Failure> {
        let mut transaction = self.client.partition_key_client(partition.as_str()).transaction();
        for operation in operations {
            transaction = add(transaction, partition, operation)?;
        }
        let responses = transaction.await?.operation_responses;
        if responses.len() == operations.len() {
            Ok(responses.into_iter().map(|response| response.etag.map(|etag| Etag::new(etag.to_string()))).collect())
        } else {
            Err(Failure::NoResponse("the response cannot be read"))
        }
    }
}

#[async_trait]
impl Table for AzureTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        check_operations(&operations)?;
        operations.iter().try_for_each(check_size)?;
        let mut result = self.transaction(partition, &operations).await;
        if result.as_ref().is_err_and(|failure| table_is_missing(failure, &operations)) {
            self.create().await?;
            result = self.transaction(partition, &operations).await;
        }
        result.map_err(|failure| match failure {
            Failure::ErrorResponse {
                status: StatusCode::NotFound | StatusCode::Conflict | StatusCode::PreconditionFailed,
                operation,
                ..
            } => CommitError::Conflict { operation },
            other => other.of_write().into(),
        })
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        check_bound(key)?;
        let client = self.client.partition_key_client(partition.as_str()).entity_client(key);
        match client.get::<Entity>().await.map_err(Failure::from) {
            Ok(response) => row(response.entity).map(Some),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure.of_read()),
        }
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        if limit == 0 || range.from >= range.to {
            return Ok(rows);
        }
        // A filter cannot contain DEL. This character also follows '~'.
        let to = range.to.replace('\x7f', "\u{a1}");
        check_bound(&range.from)?;
        check_bound(to.trim_end_matches('\u{a1}'))?;
        let filter =
            format!("PartitionKey eq '{}' and RowKey ge '{}' and RowKey lt '{to}'", partition.as_str(), range.from);
        let page = u32::try_from(limit.min(Self::PAGE)).unwrap_or(u32::MAX);
        let mut pages = self.client.query().filter(filter).top(page).into_stream::<Entity>();
        while let Some(page) = pages.next().await {
            match page.map_err(Failure::from) {
                Ok(page) => {
                    for entity in page.entities.into_iter().take(limit - rows.len()) {
                        rows.push(row(entity)?);
                    }
                }
                Err(failure) if failure.is_not_found() => break,
                Err(failure) => return Err(failure.of_read()),
            }
            if rows.len() == limit {
                break;
            }
        }
        Ok(rows)
    }
}

/// Whether a transaction failed because the table does not exist. Then no operation was applied, and the commit can be
/// repeated. If an insert is not possible because something does not exist, that is the table. A replacement or deletion
/// would fail in an empty table, too.
fn table_is_missing(failure: &Failure, operations: &[Operation]) -> bool {
    let Failure::ErrorResponse { status: StatusCode::NotFound, operation, .. } = failure else { return false };
    let is_insert = |operation: &Operation| matches!(operation, Operation::Insert { .. });
    match operation.and_then(|position| operations.get(position)) {
        Some(named) => is_insert(named),
        None => operations.iter().all(is_insert),
    }
}

fn add(
    transaction: TransactionBuilder,
    partition: Partition,
    operation: &Operation,
) -> Result<TransactionBuilder, Failure> {
    let unchanged = |etag: &Etag| IfMatchCondition::Etag(etag.as_str().to_owned().into());
    Ok(match operation {
        Operation::Insert { key, value } => transaction.insert(entity(partition, key, value)?)?,
        Operation::Replace { key, value, if_match } => {
            // Without a condition the service would insert a row that does not exist.
            let condition = if_match.as_ref().map_or(IfMatchCondition::Any, unchanged);
            transaction.update(key, entity(partition, key, value)?, Some(condition))?
        }
        Operation::Delete { key, if_match } => transaction.delete(key, if_match.as_ref().map(unchanged))?,
    })
}

fn entity(partition: Partition, key: &str, value: &str) -> Result<Box<RawValue>, Failure> {
    let keys = [("PartitionKey".to_owned(), partition.as_str()), ("RowKey".to_owned(), key)];
    let pieces = pieces(value).into_iter().enumerate().map(|(i, piece)| (format!("v{i}"), piece));
    let entity: BTreeMap<String, &str> = keys.into_iter().chain(pieces).collect();
    let json = serde_json::to_string(&entity).unwrap_or_default();
    // A transaction is parsed line by line, and some parsers treat these characters as line ends.
    let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    RawValue::from_string(json).map_err(|_| Failure::NotSent("the entity cannot be written"))
}

/// Splits a value into pieces that fit into a property. It never splits a character, and an empty value is one piece.
fn pieces(mut value: &str) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(1);
    loop {
        let mut units = 0;
        let cut = value.char_indices().find(|(_, c)| {
            units += c.len_utf16();
            units > AzureTable::PIECE
        });
        let Some((piece, rest)) = cut.and_then(|(at, _)| value.split_at_checked(at)) else {
            pieces.push(value);
            return pieces;
        };
        pieces.push(piece);
        value = rest;
    }
}

fn row(entity: Entity) -> Result<Row, StoreError> {
    let Entity { key, etag, mut properties } = entity;
    let pieces = (0..).map_while(|i| match properties.remove(&format!("v{i}")) {
        Some(Value::String(piece)) => Some(piece),
        _ => None,
    });
    match pieces.reduce(|value, piece| value + &piece) {
        Some(value) => Ok(Row { key, value, etag: Etag::new(etag) }),
        None => Err(StoreError::Corrupt { key, reason: "it has no value".to_owned() }),
    }
}

fn check_size(operation: &Operation) -> Result<(), CommitError> {
    let (Operation::Insert { key, value } | Operation::Replace { key, value, .. }) = operation else { return Ok(()) };
    // A text never has more UTF-16 units than bytes, so most values need no count.
    if value.len() <= AzureTable::ROOM || value.encode_utf16().count() <= AzureTable::ROOM {
        return Ok(());
    }
    Err(CommitError::Refused(format!("the value of {key} is too large: {} bytes", value.len())))
}

fn check_bound(key: &str) -> Result<(), StoreError> {
    if in_alphabet(key) { Ok(()) } else { Err(StoreError::Refused(format!("the key {key:?} is invalid"))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::grouped::size_in_transaction;
    use super::*;

    #[test]
    fn an_insert_that_finds_nothing_misses_the_table() {
        let (key, value) = ("k".to_owned(), "v".to_owned());
        let insert = Operation::Insert { key: key.clone(), value };
        let delete = Operation::Delete { key, if_match: None };
        let failure = |status, operation| Failure::ErrorResponse { status, code: String::new(), operation };
        let mixed = [insert, delete];
        for (status, named, operations, missing) in [
            (StatusCode::NotFound, Some(0), &mixed[..], true),
            (StatusCode::NotFound, Some(1), &mixed, false),
            (StatusCode::NotFound, None, &mixed, false),
            (StatusCode::NotFound, None, &mixed[..1], true),
            (StatusCode::NotFound, Some(7), &mixed[..1], true),
            (StatusCode::Conflict, Some(0), &mixed, false),
        ] {
            let found = table_is_missing(&failure(status, named), operations);
            assert_eq!(found, missing, "{status} {named:?} {operations:?}");
        }
    }

    proptest! {
        #[test]
        fn the_size_of_an_entity_is_never_underestimated(text in "\\PC{0,40}[\0-\x1f\"\\\\\u{2020}-\u{2030}日🦀]{0,40}", n in 0..200_usize) {
            let value = text.repeat(n);
            let written = entity(Partition::new("0"), "k", &value).unwrap();
            let estimate = size_in_transaction(&Operation::Insert { key: "k".to_owned(), value });
            prop_assert!(written.get().len() < estimate);
        }

        #[test]
        fn a_value_is_split_into_full_pieces_that_join_to_the_value(front in "[a-zé日🦀]{0,3}", filling in "[aé日🦀]", n in 0..70_000_usize) {
            let value = front + &filling.repeat(n);
            let pieces = pieces(&value);
            prop_assert_eq!(&pieces.concat(), &value);
            let units: Vec<usize> = pieces.iter().map(|piece| piece.encode_utf16().count()).collect();
            prop_assert!(units.iter().all(|units| *units <= AzureTable::PIECE));
            prop_assert!(units.iter().rev().skip(1).all(|units| *units >= AzureTable::PIECE - 1));
        }
    }
}
