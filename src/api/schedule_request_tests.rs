use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_893_456_000_000);

fn request() -> ScheduleRequest {
    ScheduleRequest {
        conversation_text: Some("hello".into()),
        scheduled_time: Some((NOW + Duration::from_mins(1)).to_string()),
        endpoint: Some("https://example.com/hook".into()),
        ..ScheduleRequest::default()
    }
}

fn pointers(request: ScheduleRequest) -> Vec<String> {
    let errors = request.validate(NOW, &EndpointPolicy::default()).unwrap_err();
    errors.into_iter().map(|e| e.pointer).collect()
}

#[test]
fn all_errors_are_reported_at_once() {
    let wrong = ScheduleRequest {
        method: Some("CONNECT".into()),
        format: Some("xml".into()),
        additional_info: Some(serde_json::from_str(r#"{"a":1,"a":2}"#).unwrap()),
        headers: Some(vec![("Host".to_owned(), Secret::new("x".to_owned()))]),
        ..ScheduleRequest::default()
    };
    let expected =
        ["/conversationText", "/scheduledTime", "/endpoint", "/method", "/headers", "/additionalInfo", "/format"];
    assert_eq!(pointers(wrong), expected);
}

#[test]
fn the_text_is_bounded_and_without_nul() {
    for bad in ["", "a\0b", &"x".repeat(MAX_TEXT + 1)] {
        assert_eq!(
            pointers(ScheduleRequest { conversation_text: Some(bad.into()), ..request() }),
            ["/conversationText"]
        );
    }
    let longest = ScheduleRequest { conversation_text: Some("x".repeat(MAX_TEXT)), ..request() };
    assert!(longest.validate(NOW, &EndpointPolicy::default()).is_ok());
}

#[test]
fn a_wrong_time_is_told_with_the_field_that_has_it() {
    let with = |scheduled_time: Option<&str>, delay: Option<&str>, time_zone: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let (scheduled_time, delay, time_zone) = (text(scheduled_time), text(delay), text(time_zone));
        pointers(ScheduleRequest { scheduled_time, delay, time_zone, ..request() })
    };
    assert_eq!(with(None, None, None), ["/scheduledTime"]);
    assert_eq!(with(Some("2030-01-01T10:00"), Some("5m"), None), ["/delay"]);
    assert_eq!(with(Some("tomorrow"), None, Some("Berlin")), ["/scheduledTime", "/timeZone"]);
    assert_eq!(with(None, Some("5"), Some("UTC")), ["/delay"]);
    assert_eq!(with(None, Some("4000d"), None), ["/delay"]);
}

#[test]
fn the_time_of_usefulness_is_from_a_second_to_ten_years() {
    let with = |text: &str| {
        let request = ScheduleRequest { expire_after: Some(text.into()), ..request() };
        request.validate(NOW, &EndpointPolicy::default()).map(|new| new.expire_after)
    };
    for (good, seconds) in [("1s", 1), ("PT5M", 300), ("2h", 7200), ("3653d", 315_619_200)] {
        assert_eq!(with(good), Ok(Some(Duration::from_secs(seconds))), "{good}");
    }
    for (bad, told) in [
        ("0s", "is PT0S; it must be from PT1S to P3653D"),
        ("3654d", "is P3654D; it must be from PT1S to P3653D"),
        ("9999999999d", "is more than ten years"),
        ("300", "has no unit; write 300s"),
        ("P1M", "has months or years"),
        ("", "is not a duration"),
    ] {
        let errors = with(bad).unwrap_err();
        let [ErrorDetail { pointer, detail }] = &errors[..] else { panic!("{bad}: {errors:?}") };
        assert!(pointer == "/expireAfter" && detail.contains(told), "{bad}: {detail}");
    }
}

#[test]
fn defaults_are_those_of_the_contract() {
    let new = request().validate(NOW, &EndpointPolicy::default()).unwrap();
    let target = new.destination.target().unwrap();
    assert_eq!(target.method, Method::Post);
    assert_eq!(new.policy, DeliveryPolicy { max_attempts: 8, timeout_seconds: 30 });
    assert_eq!(new.format, Format::Json);
}
