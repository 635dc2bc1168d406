//! The excerpts of responses that send secrets back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::domain::{Method, Secret as HeaderValue};

fn secrets(headers: &[(&str, &str)]) -> Redactor {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), HeaderValue::new((*v).to_owned()))).collect();
    Redactor::of(&OutboundRequest {
        method: Method::Post,
        headers,
        body: None,
        keep_response: false,
        timeout: std::time::Duration::ZERO,
    })
}

fn kept(body: &str, headers: &[(&str, &str)]) -> String {
    excerpt(body.as_bytes(), &secrets(headers))
}

#[test]
fn the_beginning_is_kept_in_whole_characters() {
    for (body, text) in [
        ("", String::new()),
        ("short", "short".to_owned()),
        (&"x".repeat(2000), "x".repeat(1024)),
        // 1,024 falls between the two bytes of a character.
        (&format!("a{}", "ü".repeat(1000)), format!("a{}", "ü".repeat(511))),
    ] {
        assert_eq!(kept(body, &[]), text);
    }
    assert_eq!(excerpt(&[0xff, b'a', 0], &secrets(&[])), "\u{fffd}a\\u{0}");
}

#[test]
fn control_and_direction_characters_are_escaped() {
    assert_eq!(kept("a\u{1b}[31mb\r\nc\td\u{7f}\u{9b}", &[]), "a\\u{1b}[31mb\\r\\nc\\td\\u{7f}\\u{9b}");
    assert_eq!(kept("\u{202e}evil\u{200b}\u{feff}\u{e0041}", &[]), "\\u{202e}evil\\u{200b}\\u{feff}\\u{e0041}");
    assert_eq!(kept("日本 <b>\"\\", &[]), "日本 <b>\"\\");
    // An escape is kept whole or not at all.
    assert_eq!(kept(&format!("{}\u{1b}", "x".repeat(1020)), &[]), "x".repeat(1020));
}

#[test]
fn secrets_of_the_request_are_redacted() {
    let bearer = [("authorization", "Bearer canary-token-1")];
    assert_eq!(kept("got Bearer canary-token-1!", &bearer), "got [redacted]!");
    assert_eq!(kept("the token canary-token-1 is wrong", &bearer), "the token [redacted] is wrong");
    assert_eq!(kept("Bearer is missing", &bearer), "Bearer is missing");
    let cookie = [("cookie", "theme=dark; session=canary0123; last=1")];
    assert_eq!(kept("session canary0123 of theme dark", &cookie), "session [redacted] of theme dark");
    let signature = [("webhook-signature", "v1,Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E= v1,c2Vjb25kc2Vjb25k")];
    assert_eq!(kept("no match for c2Vjb25kc2Vjb25k", &signature), "no match for [redacted]");
    assert_eq!(kept("Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E=", &signature), "[redacted]=");
    let quoted = [("x-key", r#"a"b\c canary"#)];
    assert_eq!(kept(r#"{"key":"a\"b\\c canary"}"#, &quoted), r#"{"key":"[redacted]"}"#);
}

#[test]
fn secrets_are_redacted_in_the_form_in_which_an_endpoint_sends_them_back() {
    let key = [("authorization", "Bearer canary/token+1="), ("cookie", "s=canary&<0123>")];
    for (body, text) in [
        (r#"{"a":"Bearer canary\/token+1="}"#, r#"{"a":"[redacted]"}"#),
        ("a=Bearer+canary%2Ftoken%2B1%3D&b", "a=[redacted]&b"),
        ("a=Bearer%20canary%2ftoken%2b1%3d&b", "a=[redacted]&b"),
        (r"canary\u002ftoken\u002b1 is wrong", "[redacted] is wrong"),
        ("<p>canary&amp;&lt;0123&gt;</p>", "<p>[redacted]</p>"),
        ("<p>canary&#x2F;token+1</p>", "<p>[redacted]</p>"),
        // Only at the ends of a secret can a character of base64 also contain bits of others.
        ("YToiQmVhcmVyIGNhbmFyeS90b2tlbisxPSI=", "YToi[redacted]SI="),
        ("data:;base64,QmVhcmVyIGNhbmFyeS90b2tlbisxPQ==", "data:;base64,[redacted]Q=="),
        ("eyJ0IjoiY2FuYXJ5L3Rva2VuKzEifQ", "eyJ0Ijoi[redacted]EifQ"),
    ] {
        assert_eq!(kept(body, &key), text);
    }
}

#[test]
fn secrets_that_are_escaped_several_times_are_redacted() {
    let key = [("authorization", r#"Bearer canary/"token\1"#)];
    for body in [
        r#"Bearer canary\\\/\\\"token\\\\1"#,
        r"Bearer canary\\u002f\\u0022token\\u005c1",
        r#"Bearer canary\\\\\\\/\\\\\\\"token\\\\\\\\1"#,
        "Bearer%2520canary%252F%2522token%255C1",
        r"Bearer canary&amp;sol;&amp;quot;token\\1",
        r"Bearer canary\/&quot;token%5C1",
    ] {
        assert_eq!(kept(&format!("got {body} here"), &key), "got [redacted] here", "{body}");
    }
    let with_escapes = [("x-key", r"canary%2Fone\ntwo%41")];
    for body in [r"canary%2Fone\ntwo%41", r"canary%2Fone\\ntwo%41", "canary%252Fone%5Cntwo%2541"] {
        assert_eq!(kept(&format!("got {body} here"), &with_escapes), "got [redacted] here", "{body}");
    }
}

#[test]
fn a_text_in_base64_with_line_breaks_is_redacted() {
    let secret = "canary".repeat(40);
    let encoded = STANDARD.encode(format!("{{\"authorization\":\"Bearer {secret}\"}}"));
    for columns in [64, 76] {
        for line_break in ["\n", "\r\n", r"\n", r"\r\n", r"\\n", r"\\r\\n", "\r\n  ", "%0D%0A", "&#10;"] {
            let lines: Vec<_> = encoded.as_bytes().chunks(columns).map(|l| std::str::from_utf8(l).unwrap()).collect();
            let text = kept(&lines.join(line_break), &[("authorization", &format!("Bearer {secret}"))]);
            assert!(text.len() < 64 && text.contains("[redacted]"), "{columns} {line_break:?}: {text}");
        }
    }
}

#[test]
fn the_beginning_of_a_secret_counts_at_the_end_of_the_text_only() {
    let secret = [("x-key", "abcd/efgh")];
    for cut in
        ["abcd", "abcd/", "abcd%2Fef", r"abcd\", "abcd%", "abcd%2", r"abcd\u00", "abcd&#x", r"abcd\\\", r"abcd\\u00"]
    {
        assert_eq!(kept(&format!("it was {cut}"), &secret), "it was [redacted]", "{cut}");
    }
    for other in ["abc", "abcdx", "abcd%2Fx", "abcd%2Gxxx", r"abcd\u002fx"] {
        assert_eq!(kept(other, &secret), other);
    }
    assert_eq!(
        kept("about 100%", &[("x-key", "100%")]),
        "about [redacted]",
        "the whole secret looks like a cut escape"
    );
}

#[test]
fn hostile_secrets_and_texts_are_redacted_in_bounded_time() {
    let headers: Vec<_> = (0..4).map(|i| ("x-key", format!("{}{i}", "a".repeat(4000)))).collect();
    let nested: String = (8..170).map(|len| "a".repeat(len) + ",").collect();
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, &**v)).chain([("x-nested", &*nested)]).collect();
    let secrets = secrets(&headers);
    let began = std::time::Instant::now();
    for body in [r"aaaaaaa\u0061".repeat(600), "aaaaaaab".repeat(1024), "%2525252541".repeat(700), r"\".repeat(8192)] {
        excerpt(&body.as_bytes()[..7000], &secrets);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn the_password_in_a_basic_header_is_redacted_too() {
    let basic = [("authorization", "Basic dXNlcjpwYXNzMQ==")];
    for body in ["no user:pass1 here", "no pass1 here", "no Basic dXNlcjpwYXNzMQ== here", "no dXNlcjpwYXNzMQ here"] {
        assert_eq!(kept(body, &basic), "no [redacted] here", "{body}");
    }
    assert_eq!(kept("the user is unknown", &basic), "the user is unknown");
}

#[test]
fn public_headers_and_short_values_are_kept() {
    let public = [
        ("webhook-id", "01a202ac-6038-7cd8-a9cd-d4fd3c4ba038"),
        ("content-type", "application/json"),
        ("scheduler-attempt", "1"),
        ("x-short", "abc"),
    ];
    let body = "01a202ac-6038-7cd8-a9cd-d4fd3c4ba038 application/json 1 abc";
    assert_eq!(kept(body, &public), body);
}

#[test]
fn the_beginning_of_a_secret_at_the_end_is_redacted() {
    let secret = format!("canary{}", "x".repeat(3000));
    let headers = [("x-secret", secret.as_str())];
    let cut = format!("it was {}", &secret[..2000]);
    assert_eq!(kept(&cut, &headers), "it was [redacted]");
    // It begins where the excerpt ends.
    let late = format!("{}{secret}", "y".repeat(1020));
    assert_eq!(kept(&late, &headers), format!("{}[red", "y".repeat(1020)));
    // Many of them, so that more than an excerpt goes by unkept.
    assert!(!kept(&secret.repeat(20)[..8 * 1024], &headers).contains("canary"));
}

/// The ways in which a program writes a text into another text.
#[derive(Clone, Copy, Debug)]
enum Escape {
    Json,
    JsonWithSlashes,
    CodePoints,
    Percent,
    Html,
}

impl Escape {
    fn of(self, text: &str) -> String {
        let each = |escape: &dyn Fn(u8) -> String| text.bytes().map(escape).collect::<String>();
        match self {
            Self::Json => serde_json::to_string(text).unwrap().trim_matches('"').to_owned(),
            Self::JsonWithSlashes => Self::Json.of(text).replace('/', r"\/"),
            Self::CodePoints => each(&|byte| format!(r"\u{byte:04x}")),
            Self::Percent => each(&|byte| format!("%{byte:02X}")),
            Self::Html => each(&|byte| match byte {
                b'&' => "&amp;".to_owned(),
                b'<' => "&lt;".to_owned(),
                b'"' => "&quot;".to_owned(),
                byte => char::from(byte).to_string(),
            }),
        }
    }
}

fn escapes() -> impl Strategy<Value = Vec<Escape>> {
    let any = prop::sample::select(vec![
        Escape::Json,
        Escape::JsonWithSlashes,
        Escape::CodePoints,
        Escape::Percent,
        Escape::Html,
    ]);
    prop::collection::vec(any, 0..=3)
}

/// The longest secret at the beginning of a text, by a comparison with all of them.
fn naive_secret_len(secrets: &[Vec<u8>], text: &[u8]) -> Option<usize> {
    secrets.iter().filter(|secret| text.starts_with(secret)).map(Vec::len).max()
}

proptest! {
    #[test]
    fn a_search_finds_the_same_as_a_comparison_with_every_secret(
        secrets in prop::collection::vec("[ab]{4,12}", 0..12), text in "[ab]{0,40}",
    ) {
        let secrets: Vec<_> = secrets.into_iter().map(String::into_bytes).collect();
        let redactor = Redactor::sorted(&secrets);
        for at in 0..text.len() {
            let rest = &text.as_bytes()[at..];
            prop_assert_eq!(redactor.secret_len(rest), naive_secret_len(&secrets, rest));
            let cut_off = rest.len() >= 4 && secrets.iter().any(|s| s.starts_with(rest) && s.len() > rest.len());
            prop_assert_eq!(redactor.is_cut_off(rest), cut_off);
        }
    }

    #[test]
    fn a_secret_is_redacted_however_often_it_is_escaped(
        secret in r#"[a-z]{4}([a-z/"+=<>&: ]|\\[b-m]){4,20}[a-z]{4}"#, escapes in escapes(),
    ) {
        let echo = escapes.iter().fold(secret.clone(), |text, escape| escape.of(&text));
        prop_assume!(echo.len() < 4000);
        prop_assert_eq!(kept(&format!("got {echo} here"), &[("x-key", &secret)]), "got [redacted] here", "{}", echo);
    }

    #[test]
    fn no_line_of_a_text_in_base64_shows_a_secret(
        before in "[a-z ]{0,9}", secret in "[a-z0-9/+]{8,300}", columns in 60_usize..80,
        url in any::<bool>(), crlf in any::<bool>(), escapes in prop::collection::vec(Just(Escape::JsonWithSlashes), 0..=2),
    ) {
        let text = format!("{before}{secret}");
        let encoded = if url { URL_SAFE_NO_PAD.encode(&text) } else { STANDARD.encode(&text) };
        let lines: Vec<_> = encoded.as_bytes().chunks(columns).map(|l| std::str::from_utf8(l).unwrap()).collect();
        let wrapped = lines.join(if crlf { "\r\n" } else { "\n" });
        let echo = escapes.iter().fold(wrapped, |text, escape| escape.of(&text));
        let result = kept(&echo, &[("x-key", &secret)]);
        // What is left in clear is the text before the secret, and the ends that also depend on other bytes. A line can
        // end between them.
        let line_break = r"\\r\\n".len();
        let clear = before.len() * 4 / 3 + 4 + 4 + line_break;
        prop_assert!(result.len() <= clear + "[redacted]".len(), "{} {}", echo, result);
    }

    #[test]
    fn an_excerpt_is_limited_and_shows_no_secret(
        pieces in proptest::collection::vec(prop_oneof![
            Just(b"canary-canary".to_vec()),
            Just(b"Bearer canary-canary".to_vec()),
            Just(b"Bearer+canary%2Dcanary".to_vec()),
            Just(b"canary\\u002dcanary".to_vec()),
            // A `%` before a secret would be read as the beginning of an escape sequence.
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| [&*bytes, b" "].concat()),
        ], 0..20),
    ) {
        let text = excerpt(&pieces.concat(), &secrets(&[("authorization", "Bearer canary-canary")]));
        prop_assert!(text.len() <= AttemptResult::MAX_EXCERPT);
        prop_assert!(!["canary-canary", "canary%2Dcanary", "u002dcanary"].iter().any(|echo| text.contains(echo)));
        prop_assert!(!text.chars().any(is_invisible));
    }
}
