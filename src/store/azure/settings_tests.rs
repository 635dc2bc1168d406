//! Valid and invalid settings of the storage account.

use super::*;

const KEY: &str = "Y2FuYXJ5LWtleQ==";

fn read(vars: &[(&str, &str)]) -> Result<AzureSettings, SettingError> {
    let found = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    AzureSettings::from_vars(found)
}

fn connection(text: &str) -> Result<AzureSettings, SettingError> {
    read(&[(CONNECTION, text)])
}

/// URLs of tables and queues.
const PUBLIC_URLS: (&str, &str) = ("https://abc.table.core.windows.net", "https://abc.queue.core.windows.net");
const OWN_URLS: (&str, &str) = ("http://127.0.0.1:1/abc", "http://127.0.0.1:2/abc");
const EMULATOR_URLS: (&str, &str) =
    ("http://127.0.0.1:10002/devstoreaccount1", "http://127.0.0.1:10001/devstoreaccount1");
const PROXIED_URLS: (&str, &str) =
    ("http://host.internal:10002/devstoreaccount1", "http://host.internal:10001/devstoreaccount1");

/// Connection strings with the account, the URLs of tables and queues, and the credential that they describe.
fn connection_strings() -> [(String, &'static str, (&'static str, &'static str), AzureCredential); 10] {
    let key = || AzureCredential::Key(Secret::new(KEY.to_owned()));
    let sas = || AzureCredential::Sas(Secret::new("sv=1&sig=a%3D".to_owned()));
    let emulators_key = || AzureCredential::Key(Secret::new(EMULATOR.1.to_owned()));
    [
        (
            format!("DefaultEndpointsProtocol=https;AccountName=abc;AccountKey={KEY};EndpointSuffix=core.windows.net"),
            "abc",
            PUBLIC_URLS,
            key(),
        ),
        (format!("AccountName=abc;AccountKey={KEY}"), "abc", PUBLIC_URLS, key()),
        (format!(" accountname = abc ; ACCOUNTKEY = {KEY} ;; "), "abc", PUBLIC_URLS, key()),
        (
            format!(
                "DefaultEndpointsProtocol=http;AccountName=abc;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn"
            ),
            "abc",
            ("http://abc.table.core.chinacloudapi.cn", "http://abc.queue.core.chinacloudapi.cn"),
            key(),
        ),
        (
            format!(
                "AccountName=abc;AccountKey={KEY};TableEndpoint=http://127.0.0.1:1/abc/;\
                     QueueEndpoint=http://127.0.0.1:2/abc;BlobEndpoint=http://127.0.0.1:3/abc"
            ),
            "abc",
            OWN_URLS,
            key(),
        ),
        ("AccountName=abc;SharedAccessSignature=?sv=1&sig=a%3D".to_owned(), "abc", PUBLIC_URLS, sas()),
        (
            "SharedAccessSignature=sv=1&sig=a%3D;TableEndpoint=http://127.0.0.1:1/abc;\
             QueueEndpoint=http://127.0.0.1:2/abc/"
                .to_owned(),
            "",
            OWN_URLS,
            sas(),
        ),
        ("UseDevelopmentStorage=true".to_owned(), "devstoreaccount1", EMULATOR_URLS, emulators_key()),
        ("usedevelopmentstorage=True;".to_owned(), "devstoreaccount1", EMULATOR_URLS, emulators_key()),
        (
            "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://host.internal".to_owned(),
            "devstoreaccount1",
            PROXIED_URLS,
            emulators_key(),
        ),
    ]
}

#[test]
fn a_connection_string_has_the_account_its_endpoints_and_the_credential() {
    for (text, account, (tables, queues), credential) in connection_strings() {
        let expected = AzureSettings {
            account: account.to_owned(),
            table_endpoint: tables.to_owned(),
            queue_endpoint: queues.to_owned(),
            credential,
        };
        assert_eq!(connection(&text), Ok(expected), "{text}");
    }
}

#[test]
fn the_error_for_a_connection_string_names_the_wrong_part_and_quotes_no_value() {
    for (text, problem) in [
        ("canary", "part 1 has no '='"),
        ("AccountName=abc;canary=canary", "part 2 is none of AccountName,"),
        (&format!("AccountName=abc;AccountKey={KEY};AccountKey={KEY}"), "has AccountKey twice"),
        ("AccountName=abc", "neither AccountKey nor SharedAccessSignature"),
        (&format!("AccountKey={KEY}"), "AccountKey without AccountName"),
        (&format!("AccountName=abc;AccountKey={KEY};SharedAccessSignature=canary"), "keep one of them"),
        ("AccountName=abc;AccountKey=canary!", "AccountKey, which is not base64"),
        (&format!("AccountName=canary!;AccountKey={KEY}"), "an account name that is not valid"),
        ("SharedAccessSignature=canary", "has neither TableEndpoint nor AccountName"),
        ("SharedAccessSignature=canary;TableEndpoint=http://a", "has neither QueueEndpoint nor AccountName"),
        ("SharedAccessSignature=s;TableEndpoint=canary;QueueEndpoint=http://a", "TableEndpoint, which is not a URL"),
        ("AccountName=abc;SharedAccessSignature=s;QueueEndpoint=ftp://canary", "QueueEndpoint, which must be an http"),
        ("AccountName=abc;SharedAccessSignature=s;TableEndpoint=http://a/?sig=canary", "TableEndpoint, which must"),
        ("AccountName=abc;SharedAccessSignature=s;TableEndpoint=http://canary@a", "TableEndpoint, which must"),
        ("AccountName=abc;SharedAccessSignature=s;DefaultEndpointsProtocol=canary", "must be https or http"),
        ("AccountName=abc;SharedAccessSignature=s;EndpointSuffix=can ary", "has EndpointSuffix"),
        ("UseDevelopmentStorage=canary", "must be true"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=canary", "has DevelopmentStorageProxyUri"),
    ] {
        let error = connection(text).unwrap_err();
        assert_eq!(error.name, CONNECTION);
        assert!(error.problem.contains(problem), "{text}: {error}");
        let error = error.to_string();
        assert!(!error.contains("canary") && !error.contains(KEY), "{text}: {error}");
    }
}

const IDENTITY: [(&str, &str); 2] =
    [("IDENTITY_ENDPOINT", "http://127.0.0.1:8081/msi/token"), ("IDENTITY_HEADER", "canary")];

fn by_identity(vars: &[(&'static str, &'static str)]) -> Result<AzureSettings, SettingError> {
    read(&[vars, &IDENTITY].concat())
}

#[test]
fn an_account_can_be_used_by_the_identity_of_the_app() {
    let source = |client_id: Option<&str>| {
        AzureCredential::ManagedIdentity(IdentitySource {
            endpoint: "http://127.0.0.1:8081/msi/token".to_owned(),
            header: Secret::new("canary".to_owned()),
            client_id: client_id.map(str::to_owned),
        })
    };
    let system = by_identity(&[(ACCOUNT, "abc"), (CREDENTIAL, "managedIdentity")]).unwrap();
    assert_eq!(system.table_endpoint, "https://abc.table.core.windows.net");
    assert_eq!(system.queue_endpoint, "https://abc.queue.core.windows.net");
    assert_eq!(system.credential, source(None));
    let user = by_identity(&[(ACCOUNT, "abc"), (CLIENT_ID, "0000-1111")]).unwrap();
    assert_eq!(user.credential, source(Some("0000-1111")));
    let uris = by_identity(&[(TABLES, "https://t.example.com/"), (QUEUES, "http://127.0.0.1:2/q")]).unwrap();
    assert_eq!(
        (uris.table_endpoint.as_str(), uris.queue_endpoint.as_str()),
        ("https://t.example.com", "http://127.0.0.1:2/q")
    );
}

#[test]
fn the_error_has_the_name_of_the_missing_or_wrong_setting() {
    for (vars, name) in [
        (&[][..], CONNECTION),
        (&[(CONNECTION, "UseDevelopmentStorage=true"), (ACCOUNT, "abc")], ACCOUNT),
        (&[(ACCOUNT, "A!")], ACCOUNT),
        (&[(ACCOUNT, "abc"), (CREDENTIAL, "canary")], CREDENTIAL),
        (&[(TABLES, "https://t.example.com")], QUEUES),
        (&[(QUEUES, "https://q.example.com")], TABLES),
        (&[(ACCOUNT, "abc"), (TABLES, "http://t.example.com")], TABLES),
        (&[(ACCOUNT, "abc"), (QUEUES, "canary")], QUEUES),
    ] {
        let error = by_identity(vars).unwrap_err();
        assert_eq!(error.name, name, "{vars:?}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    for missing in IDENTITY {
        let vars: Vec<_> = IDENTITY.into_iter().filter(|var| *var != missing).chain([(ACCOUNT, "abc")]).collect();
        assert_eq!(read(&vars).unwrap_err().name, missing.0);
    }
}

#[test]
fn debug_output_hides_the_keys() {
    let shown = format!(
        "{:?}{:?}{:?}",
        connection(&format!("AccountName=abc;AccountKey={KEY}")),
        connection("AccountName=abc;SharedAccessSignature=canary"),
        by_identity(&[(ACCOUNT, "abc")])
    );
    assert!(!shown.contains("canary") && !shown.contains(KEY), "{shown}");
}
