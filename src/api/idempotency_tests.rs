use super::*;

fn key(text: &str) -> Result<Sha256, String> {
    read_key(IDEMPOTENCY_KEY, text.as_bytes()).map_err(|error| {
        assert_eq!(error.pointer, "/Idempotency-Key");
        error.detail
    })
}

#[test]
fn a_quoted_key_is_the_key_without_its_quotation_marks() {
    let longest = "k".repeat(MAX_KEY);
    for (bare, quoted) in [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#),
        (r#"a"b\c"#, r#""a\"b\\c""#),
        ("!~,;=", r#""!~,;=""#),
        (&longest, &format!("\"{longest}\"")),
    ] {
        assert_eq!(key(bare), key(quoted), "{bare}");
        assert!(key(bare).is_ok(), "{bare}");
    }
    assert_ne!(key("a"), key("A"));
    assert_ne!(key("a"), key("b"));
}

#[test]
fn a_wrong_key_is_refused_with_advice() {
    let long = "k".repeat(MAX_KEY + 1);
    for (bad, told) in [
        ("", "is empty; use a value"),
        ("\"\"", "is empty"),
        ("a b", "has a space"),
        ("\"a b\"", "has a space"),
        ("a\tb", "has a space"),
        ("schlüssel", "other than visible ASCII"),
        ("\u{7f}", "other than visible ASCII"),
        (&long, "has 256 characters; at most 255"),
        (&format!("\"{long}\""), "has 256 characters"),
        ("\"", "begins with a quotation mark"),
        ("\"a", "begins with a quotation mark"),
        ("\"a\"b\"", "begins with a quotation mark"),
        ("\"a\";p=1", "begins with a quotation mark"),
        (r#""a\"#, "begins with a quotation mark"),
        (r#""a\""#, "begins with a quotation mark"),
        (r#""a\x""#, "begins with a quotation mark"),
    ] {
        let error = key(bad).unwrap_err();
        assert!(error.contains(told), "{bad}: {error}");
    }
}

fn request() -> ScheduleRequest {
    ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some("2030-01-31T08:30:00Z".to_owned()),
        endpoint: Some("https://example.com/hook".to_owned()),
        headers: Some(headers(&[("X-A", "1"), ("X-B", "2")])),
        additional_info: Some(info(r#"{"a":1,"b":[2]}"#)),
        ..ScheduleRequest::default()
    }
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Secret<String>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
}

fn info(json: &str) -> RawJson {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_fingerprint_is_that_of_the_meaning() {
    let time = |text: &str| ScheduleRequest { scheduled_time: Some(text.to_owned()), ..request() };
    for same in [
        time("2030-01-31T09:30:00+01:00"),
        time("2030-01-31T08:30"),
        time("2030-01-31T08:30:00.000Z"),
        ScheduleRequest { method: Some("post".to_owned()), ..request() },
        ScheduleRequest { format: Some("JSON".to_owned()), ..request() },
        ScheduleRequest { retry: Some(RetryRequest::default()), timeout_seconds: Some(30), ..request() },
        ScheduleRequest { retry: Some(RetryRequest { max_attempts: Some(8) }), ..request() },
        ScheduleRequest { headers: Some(headers(&[("x-b", "2"), ("x-a", "1")])), ..request() },
        ScheduleRequest { additional_info: Some(info("{ \"b\" : [2], \"a\" : 1 }")), ..request() },
        ScheduleRequest { labels: Some(Vec::new()), ..request() },
    ] {
        assert_eq!(same.fingerprint(), request().fingerprint(), "{same:?}");
    }
}

fn at(scheduled_time: Option<&str>, delay: Option<&str>, time_zone: Option<&str>) -> Sha256 {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let (scheduled_time, delay, time_zone) = (text(scheduled_time), text(delay), text(time_zone));
    ScheduleRequest { scheduled_time, delay, time_zone, ..request() }.fingerprint()
}

#[test]
fn the_fingerprint_of_a_time_in_a_zone_is_that_of_its_instant() {
    let berlin = at(Some("2030-01-31T09:30"), None, Some("Europe/Berlin"));
    for (same, zone) in [
        ("2030-01-31T09:30:00+01:00", Some("europe/berlin")),
        ("2030-01-31T08:30:00Z", Some("Europe/Berlin")),
        ("2030-01-31T09:30[Europe/Berlin]", None),
    ] {
        assert_eq!(at(Some(same), None, zone), berlin, "{same} {zone:?}");
    }
    for (other, zone) in [
        ("2030-01-31T09:30:00Z", Some("Europe/Berlin")),
        ("2030-01-31T09:30", Some("Europe/Paris")),
        ("2030-01-31T09:30", None),
        ("2030-01-31T08:30:00Z", None),
    ] {
        assert_ne!(at(Some(other), None, zone), berlin, "{other} {zone:?}");
    }
    assert_eq!(at(None, Some("90m"), None), at(None, Some("PT1H30M"), None));
    assert_ne!(at(None, Some("90m"), None), at(None, Some("90m"), Some("Europe/Berlin")));
}

#[test]
fn the_order_of_labels_and_the_form_of_a_duration_mean_nothing() {
    let with = |labels: [(&str, &str); 2], after: &str| ScheduleRequest {
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        expire_after: Some(after.to_owned()),
        ..request()
    };
    let first = with([("a", "1"), ("b", "2")], "5m").fingerprint();
    assert_eq!(with([("b", "2"), ("a", "1")], "PT300S").fingerprint(), first);
    assert_ne!(with([("a", "2"), ("b", "1")], "5m").fingerprint(), first);
    assert_ne!(with([("a", "1"), ("b", "2")], "6m").fingerprint(), first);
}

#[test]
fn the_order_of_members_and_white_space_in_a_body_mean_nothing() {
    let with = |body: &str| ScheduleRequest { body: Some(info(body)), ..request() }.fingerprint();
    let long = "x".repeat(RawJson::MAX_BYTES);
    let (first, other) = (format!(r#"{{"a":"{long}","b":1}}"#), format!(r#"{{ "b":1, "a":"{long}" }}"#));
    assert_eq!(with(&first), with(&other));
}

fn callback(endpoint: &str, pairs: &[(&str, &str)]) -> CallbackRequest {
    CallbackRequest { endpoint: Some(endpoint.to_owned()), headers: Some(headers(pairs)) }
}

fn check(pointer: &str, equals: Option<&str>, absent: Option<bool>) -> SuccessWhenRequest {
    SuccessWhenRequest { pointer: Some(pointer.to_owned()), equals: equals.map(info), absent }
}

#[test]
fn every_field_changes_the_fingerprint() {
    let text = |text: &str| Some(text.to_owned());
    let others = vec![
        ScheduleRequest { conversation_text: text("Hello"), ..request() },
        ScheduleRequest { scheduled_time: text("2030-01-31T08:30:00.001Z"), ..request() },
        ScheduleRequest { scheduled_time: None, delay: text("5m"), ..request() },
        ScheduleRequest { scheduled_time: None, delay: text("6m"), ..request() },
        ScheduleRequest { time_zone: text("Europe/Berlin"), ..request() },
        ScheduleRequest { endpoint: text("https://example.com/Hook"), ..request() },
        ScheduleRequest { method: text("PUT"), ..request() },
        ScheduleRequest { headers: None, ..request() },
        ScheduleRequest { headers: Some(headers(&[("X-A", "2"), ("X-B", "1")])), ..request() },
        ScheduleRequest { additional_info: None, ..request() },
        ScheduleRequest { additional_info: Some(info(r#"{"a":1,"b":[3]}"#)), ..request() },
        ScheduleRequest { format: text("text"), ..request() },
        ScheduleRequest { retry: Some(RetryRequest { max_attempts: Some(7) }), ..request() },
        ScheduleRequest { timeout_seconds: Some(29), ..request() },
        ScheduleRequest { labels: Some(vec![("a".to_owned(), "1".to_owned())]), ..request() },
        ScheduleRequest { thread_id: text("a"), ..request() },
        ScheduleRequest { expire_after: text("5m"), ..request() },
        ScheduleRequest { body: Some(info(r#"{"a":1,"b":[2]}"#)), ..request() },
        ScheduleRequest { body: Some(info(r#"{"a":1.0,"b":[2]}"#)), ..request() },
        ScheduleRequest { success_when: Some(check("/a", Some("1"), None)), ..request() },
        ScheduleRequest { success_when: Some(check("/b", Some("1"), None)), ..request() },
        ScheduleRequest { success_when: Some(check("/a", Some("true"), None)), ..request() },
        ScheduleRequest { success_when: Some(check("/a", None, Some(true))), ..request() },
        ScheduleRequest { on_failed: Some(callback("https://a.example", &[])), ..request() },
        ScheduleRequest { on_failed: Some(callback("https://b.example", &[])), ..request() },
        ScheduleRequest { on_failed: Some(callback("https://a.example", &[("A", "1")])), ..request() },
        ScheduleRequest { on_completed: Some(callback("https://a.example", &[])), ..request() },
        request(),
    ];
    let different: std::collections::HashSet<_> = others.iter().map(ScheduleRequest::fingerprint).collect();
    assert_eq!(different.len(), others.len());
}

/// Stored keys keep this fingerprint for a day, so another release must compute the same one.
#[test]
fn the_fingerprint_never_changes() {
    let hash = request().fingerprint().to_string();
    assert_eq!(hash, "a9fd9cdc55b9f2489ea5efd3752b96e6fc1f5cef258e2f627f31220e3af1bb51");
}
