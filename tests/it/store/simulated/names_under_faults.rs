//! Names while the calls of the table fail.

use std::sync::Arc;

use mcp_scheduler::store::{ConversationStore, StoreError};
use mcp_scheduler::testing::Fault::{AnswerLost, Refused, RequestLost};
use mcp_scheduler::testing::{SimulatedTable, sealer};

use super::faults::FaultScript;
use crate::store::suite::names::{counts, name, named};

#[tokio::test]
async fn an_insert_under_a_name_is_proved_by_a_second_commit_or_is_unknown() {
    for (faults, is_known) in [
        (&[RequestLost][..], true),
        (&[AnswerLost], true),
        (&[RequestLost, AnswerLost], false),
        (&[AnswerLost, RequestLost], false),
        (&[AnswerLost, Refused], false),
    ] {
        let script = FaultScript::default();
        let table = SimulatedTable::new(script.clone());
        let store = ConversationStore::new(Arc::new(table.clone()), sealer());
        for fault in faults {
            script.then([*fault]);
        }
        let result = store.insert_named(&named(1), &name(), None).await;
        assert!(script.is_used_up(), "{faults:?}");
        match result {
            Ok(()) => assert!(is_known, "{faults:?}"),
            Err(StoreError::Unknown(_)) => assert!(!is_known, "{faults:?}"),
            Err(other) => panic!("{faults:?} gave {other:?}"),
        }
        assert_eq!(counts(&table).await, [1; 3], "{faults:?}");
        // Whoever reads the name then sees which conversation has it.
        let client = named(1).conversation.client().clone();
        assert_eq!(store.name_holder(&client, &name()).await.unwrap().unwrap().id, named(1).conversation.id());
    }
}
