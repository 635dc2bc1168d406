//! Values are read as they were written, byte for byte.

use mcp_scheduler::store::Table;

use super::{HERE, all, change, insert, put, value_of};

/// The longest text of a conversation.
const LONGEST: usize = 192 * 1024;

/// Writes a value by insert and by replace, and reads it by get and by scan.
async fn assert_survives(table: &dyn Table, key: &str, value: &str) {
    let replaced = format!("{key}.replaced");
    let etag = put(table, &replaced, "old").await;
    change(table, &replaced, value, &etag).await;
    put(table, key, value).await;
    for key in [key, &replaced] {
        let found = value_of(table, key).await.expect("the row is there");
        assert!(found == value, "{key}: {} bytes came back as {} others", value.len(), found.len());
        let scanned = all(table).await.into_iter().find(|row| row.key == key).expect("the row is there");
        assert!(scanned.value == value, "{key}: a scan shows another value");
    }
}

pub async fn an_empty_value_is_a_value(table: &dyn Table) {
    assert_survives(table, "k", "").await;
}

pub async fn quotes_newlines_and_control_characters_survive(table: &dyn Table) {
    // All control characters but NUL, which no conversation may contain.
    let controls: String = ('\u{1}'..=' ').chain('\u{7f}'..='\u{9f}').collect();
    assert_survives(table, "controls", &controls).await;
    assert_survives(table, "quotes", r#"it's "quoted" \ `so` \" \\ \n \u0041"#).await;
    assert_survives(table, "lines", "\n\r\n\r\ta\u{2028}b\u{2029}c\u{85}d\n").await;
}

pub async fn text_that_looks_like_something_else_survives(table: &dyn Table) {
    for (i, text) in [
        "null",
        "true",
        "-0",
        "1e400",
        "9007199254740993",
        "2030-01-01T00:00:00Z",
        "datetime'2030-01-01'",
        "{",
        "[]",
        r#"{"v":1,"row":{"a":[1,2.50]}}"#,
        "&amp;<a/>",
        "%27%20%00",
        "a' or 1 eq 1",
        "=?utf-8?q?a?=",
        "\u{feff}bom",
    ]
    .iter()
    .enumerate()
    {
        assert_survives(table, &format!("k{i}"), text).await;
    }
}

pub async fn white_space_at_the_ends_survives(table: &dyn Table) {
    assert_survives(table, "both", "  \t both ends \r\n").await;
    assert_survives(table, "only", " ").await;
    assert_survives(table, "wide", "\u{a0}\u{2003}wide\u{3000}").await;
}

pub async fn unicode_survives_to_the_byte(table: &dyn Table) {
    // Composed and decomposed characters stay different. Joiners, right-to-left marks, non-characters and the last code
    // point are kept.
    assert_survives(table, "composed", "\u{e9} e\u{301} \u{212b} \u{c5}").await;
    assert_survives(table, "scripts", "日本語 עברית \u{200f}العربية\u{200e} ไทย Ελληνικά 𝕌𝕟𝕚 𐍈").await;
    assert_survives(table, "joined", "👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺").await;
    assert_survives(table, "edges", "\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}\u{10000}\u{10ffff}").await;
}

pub async fn a_value_of_192_kib_survives(table: &dyn Table) {
    assert_survives(table, "k", &"0123456789abcdef".repeat(LONGEST / 16)).await;
}

pub async fn a_value_of_192_kib_of_four_byte_characters_survives(table: &dyn Table) {
    // Each character has four bytes in UTF-8 and two units in UTF-16. Odd characters in front shift them, so that a store
    // that cuts the value into pieces cuts inside a character.
    for front in ["", "a", "é", "日"] {
        let value = format!("{front}{}", "🦀".repeat(LONGEST / 4 - 1));
        assert_survives(table, &format!("k{}", front.len()), &value).await;
    }
}

pub async fn lengths_around_64_kib_survive(table: &dyn Table) {
    // A property of Azure Table Storage holds 64 KiB of UTF-16.
    for length in [32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 98_304, 131_072] {
        assert_survives(table, &format!("k{length}"), &"x".repeat(length)).await;
    }
}

pub async fn a_short_value_replaces_all_of_a_long_one(table: &dyn Table) {
    let etag = put(table, "k", &"long".repeat(LONGEST / 4)).await;
    let etag = change(table, "k", "short", &etag).await;
    assert_eq!(value_of(table, "k").await.as_deref(), Some("short"));
    change(table, "k", "", &etag).await;
    assert_eq!(value_of(table, "k").await.as_deref(), Some(""));
}

pub async fn a_commit_holds_several_long_values(table: &dyn Table) {
    let value = |i: usize| char::from(b'a' + u8::try_from(i).unwrap()).to_string().repeat(LONGEST);
    table.commit(HERE, (0..8).map(|i| insert(&format!("k{i}"), &value(i))).collect()).await.unwrap();
    let rows = all(table).await;
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().enumerate().all(|(i, row)| row.value == value(i)));
}
