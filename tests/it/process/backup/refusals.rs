//! Files that are cut or wrong, and stores that are not whole or not there.

use std::fs;

use mcp_scheduler::store::{AzureNames, ConversationStore, KeyRange, Operation};

use super::{OTHER_KEY, SECRET, failed, import, run, small_export, write};
use crate::support::azurite::{Azurite, store_at};
use crate::support::ports::fixed_port;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CONFIGURED, Place, names, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_or_wrong_is_named_and_the_same_import_goes_on_later() {
    let from = Place::new();
    let export = small_export(&from).await;
    let lines: Vec<_> = export.iter().map(String::as_str).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with(r#"{"export":{"format":1,"version":"#) && lines[4] == r#"{"end":{"lines":3}}"#);
    let wrong_row = lines[2].replace("\"sealed\":\"test.", "\"sealed\":\"lost.");
    let newer = lines[0].replace("\"format\":1", "\"format\":2");
    let half = &lines[2][..lines[2].len() / 2];
    for (wrong, reason, imported) in [
        (vec![lines[0], lines[1], lines[2]], "the input was cut: it ends behind line 3", 2),
        (vec![lines[0], lines[1], &wrong_row, lines[3], lines[4]], "line 3: the row m~tester~", 1),
        (vec![lines[0], lines[1], half, lines[3], lines[4]], "line 3: it is not JSON", 1),
        (vec![lines[0], lines[1], "{}", lines[3], lines[4]], "line 3: ", 1),
        (vec![lines[0], lines[1], lines[3], lines[4]], "the export had 3, and the input has 2", 2),
        (vec![lines[0], lines[1], lines[0]], "line 3: another export begins", 1),
        (vec![lines[0], lines[1], lines[2], lines[3], lines[4], lines[1]], "line 6: it is behind the end", 3),
        (vec![lines[1]], "the input is not an export", 0),
        (vec![], "the input is not an export", 0),
        (vec![&newer, lines[1]], "the export has the form 2, and this program reads up to 1", 0),
    ] {
        let to = Place::new();
        let refused = failed(&to.run(&["import", write(&to, &wrong)], &CONFIGURED));
        assert!(refused.contains(reason), "{refused}");
        assert!(!refused.contains(SECRET));
        let until = format!("Until then: {imported} conversation");
        assert!(imported == 0 || refused.contains(&until), "{refused}");
        let rest = run(&to, &["import", write(&to, &lines)], &CONFIGURED);
        assert!(rest.starts_with(&format!("{} conversation", 3 - imported)), "{rest}");
        assert!(run(&to, &["verify"], &CONFIGURED).contains("conversations     3\n"));
    }
    // A line without its end.
    let to = Place::new();
    fs::write(to.cwd().join("cut"), [lines[0], "\n", lines[1], "\n", half].concat()).unwrap();
    let refused = failed(&to.run(&["import", "cut"], &CONFIGURED));
    assert!(refused.contains("the input was cut: it ends within line 3\nUntil then: 1 conversation"), "{refused}");
    assert!(failed(&to.run(&["import", "nothing"], &CONFIGURED)).contains("cannot open nothing: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_decrypted_is_not_whole() {
    let place = Place::new();
    small_export(&place).await;
    let other = [&CONFIGURED[..4], &[("DATA_ENCRYPTION_KEYS", OTHER_KEY)]].concat();
    let output = place.run(&["verify"], &other);
    let found = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert!(
        found.contains("wrong: the row m~tester~") && found.contains("The store is not whole: 5 rows are wrong."),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_storage_account_is_named_and_the_rest_is_exported() {
    let (place, azurite) = (Place::new(), Azurite::start());
    let connection = azurite.connection_string();
    let on_azure = [("USE_AZURE_SERVICES", "true"), ("AzureWebJobsStorage", &*connection)];
    let azure = [&CONFIGURED[..], &on_azure].concat();
    let (from, port) = (Place::new(), fixed_port().to_string());
    let lines = small_export(&from).await;
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    run(&place, &["import", write(&place, &lines)], &azure);
    // The service can run meanwhile.
    let service = place.start(&[&azure[..], &[("PORT", &*port)]].concat());
    assert!(run(&place, &["verify"], &azure).ends_with("The store is whole.\n"));
    service.stop();
    let table = store_at(&connection, &AzureNames::default()).conversations();
    let mut payloads = Vec::new();
    for partition in ConversationStore::partitions() {
        let rows = table.scan(partition, &KeyRange::prefix("p~"), 10).await.unwrap();
        payloads.extend(rows.into_iter().map(|row| (partition, row.key)));
    }
    assert_eq!(payloads.len(), 2);
    let (partition, key) = payloads.remove(0);
    table.commit(partition, vec![Operation::Delete { key: key.clone(), if_match: None }]).await.unwrap();
    let output = place.run(&["verify"], &azure);
    let found = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert!(found.contains(&format!("wrong: the row {key} is missing")), "{found}");
    assert!(found.contains("The store is not whole: 1 row is wrong."), "{found}");
    let output = place.run(&["export"], &azure);
    let (export, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&key) && errors.contains("1 row is not in the export"), "{errors}");
    assert!(import(&Place::new(), &export, &CONFIGURED).starts_with("2 conversations"), "{export}");
}

#[test]
fn a_directory_without_a_store_is_not_exported_as_an_empty_one() {
    let place = Place::new();
    for command in ["export", "verify"] {
        let refused = failed(&place.run(&[command], &CONFIGURED));
        assert!(refused.contains("there is no store in .scheduler; set SCHEDULER_DATA_DIR"), "{refused}");
    }
    assert!(names(&place.cwd()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_takes_longer_than_a_token_gets_another_one() {
    let token = || Reply::status(200).body(r#"{"access_token":"a","token_type":"Bearer","expires_in":1}"#);
    let page =
        |next: &str| Reply::status(200).body(format!(r#"{{"lines":[{{}}],"unreadable":[],"nextCursor":{next}}}"#));
    let service = Receiver::start([token(), page("\"1\""), Reply::status(401), token(), page("null")]).await;
    let place = Place::new();
    let url = service.url("");
    let export = tokio::task::block_in_place(|| run(&place, &["export", "--url", &url], &CONFIGURED));
    assert!(export.ends_with("\n{}\n{}\n{\"end\":{\"lines\":2}}\n"), "{export}");
    let paths: Vec<_> = service.received().into_iter().map(|request| request.path).collect();
    let [login, first, refused, again, second] = paths.as_slice() else { panic!("{paths:?}") };
    assert_eq!((first.as_str(), refused.as_str()), ("/api/export?reveal=false", "/api/export?reveal=false&cursor=1"));
    assert_eq!((login, refused), (again, second));
}
