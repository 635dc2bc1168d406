//! `client keys`: what the receivers of a client verify with, from the settings or the data directory alone.

use serde_json::Value;

use crate::support::process_api::Api;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, names, text};

fn printed(place: &Place, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let output = place.run(&[&["client", "keys"][..], arguments].concat(), settings);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_prints_what_the_service_shows_to_the_client_also_while_the_service_runs() {
    for settings in [&CONFIGURED[..], &CONFIGURED[..2]] {
        let place = Place::new();
        let service = place.start(settings);
        let shown = Api::login(service.url(), CLIENT, KEY).await.get("/api/webhooks/keys").await;
        let json: Value = serde_json::from_str(&printed(&place, &[CLIENT, "--json"], settings)).unwrap();
        for member in ["clientId", "secrets", "publicKeys"] {
            assert_eq!(json[member], shown[member], "{member}");
        }
        let of = |value: &Value| value.as_str().unwrap().to_owned();
        let lines = [
            format!("client id   {CLIENT}"),
            format!("secret      {}", of(&shown["secrets"][0])),
            format!("public key  {}", of(&shown["publicKeys"][0]["whpk"])),
        ];
        assert_eq!(printed(&place, &[CLIENT], settings), lines.join("\n") + "\n");
        assert!(!printed(&place, &["another"], settings).contains(&of(&shown["secrets"][0])));
    }
}

#[test]
fn the_settings_alone_are_enough_and_nothing_is_created() {
    let place = Place::new();
    let azure = [("USE_AZURE_SERVICES", "true"), ("AzureWebJobsStorage", "UseDevelopmentStorage=true")];
    let on_azure = [&CONFIGURED[..], &azure].concat();
    assert_eq!(printed(&place, &[CLIENT], &on_azure), printed(&place, &[CLIENT], &CONFIGURED));
    let without = place.run(&["client", "keys", CLIENT], &[]);
    let errors = text(&without.stderr);
    assert_eq!((without.status.code(), &*text(&without.stdout)), (Some(1), ""));
    assert!(errors.contains("WEBHOOK_SIGNING_SECRETS") && errors.contains(".scheduler"), "{errors}");
    assert!(names(&place.cwd()).is_empty(), "asking makes nothing");
}

#[test]
fn a_name_that_no_client_can_have_is_refused() {
    let refused = Place::new().run(&["client", "keys", "a b"], &CONFIGURED);
    let errors = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && errors.contains("the client id must be 1 to 64"), "{errors}");
}
