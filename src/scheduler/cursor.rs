//! The cursor of a list: a place in it, which callers send back and cannot read, change or use for another list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::domain::{ClientId, EndpointHost, Label, Timestamp};
use crate::store::{ListFilter, ListOwner, ListPlace, ListRows, Listed};

/// A list, and the client that reads it. A cursor fits no other list and no other reader.
#[derive(Clone, Copy)]
pub(super) struct ListOfReader<'a> {
    pub(super) reader: &'a ClientId,
    pub(super) of: &'a ListOwner,
    pub(super) filter: &'a ListFilter,
}

/// The keys that authenticate cursors: the first signs, all verify.
#[derive(Clone)]
pub struct CursorKeys(Vec<hmac::Key>);

impl CursorKeys {
    /// The longest cursor. A cursor that this service makes is shorter.
    pub const MAX_LENGTH: usize = 256;
    /// The bytes of a tag.
    const TAG: usize = 32;

    /// Keys from secrets that serve nothing else. All processes that answer one client need the same ones.
    pub fn new(secrets: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(secrets.into_iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret)).collect())
    }

    /// The cursor of a place in a list.
    pub(super) fn seal(&self, list: ListOfReader<'_>, place: &ListPlace) -> Option<String> {
        let place = encode(place);
        let tag = hmac::sign(self.0.first()?, message(list, &place).as_bytes());
        Some(URL_SAFE_NO_PAD.encode([tag.as_ref(), place.as_bytes()].concat()))
    }

    /// The place of a cursor. `None` if this service did not make the cursor for this list and this reader.
    pub(super) fn open(&self, list: ListOfReader<'_>, cursor: &str) -> Option<ListPlace> {
        if cursor.len() > Self::MAX_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, place) = bytes.split_at_checked(Self::TAG)?;
        let place = std::str::from_utf8(place).ok()?;
        let message = message(list, place);
        let is_genuine = self.0.iter().any(|key| hmac::verify(key, message.as_bytes(), tag).is_ok());
        if is_genuine { decode(place) } else { None }
    }
}

/// Everything that a cursor is bound to. No part contains a line feed.
fn message(ListOfReader { reader, of, filter }: ListOfReader<'_>, place: &str) -> String {
    let whose = match of {
        // The form of cursors from before operators existed.
        ListOwner::Client(client) if client == reader => format!("1\n{reader}"),
        ListOwner::Client(client) => format!("2\n{reader}\n{client}"),
        ListOwner::All => format!("2\n{reader}\n*"),
    };
    let listed = match filter.listed {
        Listed::All => "all",
        Listed::Live => "live",
        Listed::Of(status) => status.as_str(),
    };
    let millis = |at: Option<Timestamp>| at.map(|at| at.as_millis().to_string()).unwrap_or_default();
    let label = filter.label.as_ref().map(Label::to_string).unwrap_or_default();
    let host = filter.endpoint_host.as_ref().map(EndpointHost::to_string).unwrap_or_default();
    format!("{whose}\n{listed}\n{}\n{}\n{label}\n{host}\n{place}", millis(filter.from), millis(filter.to))
}

fn encode(place: &ListPlace) -> String {
    let rows = match place.rows {
        ListRows::Main => "m",
        ListRows::Index => "x",
    };
    format!("{rows}~{}~{}", place.now.as_millis(), place.after.as_deref().unwrap_or_default())
}

fn decode(place: &str) -> Option<ListPlace> {
    let (rows, rest) = place.split_once('~')?;
    let (now, after) = rest.split_once('~')?;
    let rows = match rows {
        "m" => ListRows::Main,
        "x" => ListRows::Index,
        _ => return None,
    };
    let after = Some(after).filter(|after| !after.is_empty()).map(str::to_owned);
    Some(ListPlace { rows, now: Timestamp::from_millis(now.parse().ok()?), after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;

    const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

    fn place() -> ListPlace {
        let after = "01893499200000~01890000-0000-7000-8000-00000000000f".to_owned();
        ListPlace { rows: ListRows::Index, now: NOW, after: Some(after) }
    }

    fn ann() -> ClientId {
        "ann".parse().unwrap()
    }

    fn seal(keys: &CursorKeys, filter: &ListFilter, place: &ListPlace) -> String {
        let (reader, of) = (&ann(), &ListOwner::Client(ann()));
        keys.seal(ListOfReader { reader, of, filter }, place).unwrap()
    }

    fn open(keys: &CursorKeys, filter: &ListFilter, cursor: &str) -> Option<ListPlace> {
        let (reader, of) = (&ann(), &ListOwner::Client(ann()));
        keys.open(ListOfReader { reader, of, filter }, cursor)
    }

    #[test]
    fn a_cursor_is_read_back_after_the_keys_were_rotated() {
        let filter = ListFilter::of(Status::Failed);
        for place in [place(), ListPlace { rows: ListRows::Main, now: NOW, after: None }] {
            let cursor = seal(&CursorKeys::new([[1; 32]]), &filter, &place);
            assert!(cursor.len() < CursorKeys::MAX_LENGTH, "{}", cursor.len());
            assert!(!cursor.contains(['=', '+', '/']), "{cursor}");
            assert_eq!(open(&CursorKeys::new([[2; 32], [1; 32]]), &filter, &cursor), Some(place));
            assert_eq!(open(&CursorKeys::new([[2; 32]]), &filter, &cursor), None);
        }
    }

    #[test]
    fn a_cursor_fits_only_its_client_and_its_filters() {
        let (keys, filter) =
            (CursorKeys::new([[1; 32]]), ListFilter { from: Some(NOW), ..ListFilter::of(Status::Failed) });
        let cursor = seal(&keys, &filter, &place());
        let opened_by = |reader: &str, of: &ListOwner| {
            keys.open(ListOfReader { reader: &reader.parse().unwrap(), of, filter: &filter }, &cursor)
        };
        let (of_ann, of_anna) = (ListOwner::Client(ann()), ListOwner::Client("anna".parse().unwrap()));
        assert!(opened_by("ann", &of_ann).is_some());
        for (reader, of) in [("anna", &of_anna), ("anna", &of_ann), ("ann", &of_anna), ("ann", &ListOwner::All)] {
            assert!(opened_by(reader, of).is_none(), "{reader} reads {of:?}");
        }
        for other in [
            ListFilter { listed: Listed::Live, ..filter.clone() },
            ListFilter { listed: Listed::All, ..filter.clone() },
            ListFilter { listed: Listed::Of(Status::Completed), ..filter.clone() },
            ListFilter { from: None, ..filter.clone() },
            ListFilter { from: None, to: Some(NOW), ..filter.clone() },
            ListFilter { to: Some(NOW), ..filter.clone() },
            ListFilter { label: Some("team:ops".parse().unwrap()), ..filter.clone() },
            ListFilter { endpoint_host: Some("example.com".parse().unwrap()), ..filter.clone() },
        ] {
            assert!(open(&keys, &other, &cursor).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_cursor_of_an_operator_fits_only_the_operator_and_the_clients_that_it_was_made_for() {
        let (keys, filter) = (CursorKeys::new([[1; 32]]), ListFilter::ALL);
        let longest: ClientId = "x".repeat(ClientId::MAX).parse().unwrap();
        let after = format!("{longest}~fe76ffff-ffff-8fff-7fff-fffffffffff0");
        let place = ListPlace { rows: ListRows::Main, now: NOW, after: Some(after) };
        let lists = [ListOwner::All, ListOwner::Client(ann()), ListOwner::Client(longest)];
        for (of, other) in lists.iter().flat_map(|of| lists.iter().map(move |other| (of, other))) {
            for (reader, other_reader) in [("ann", "ann"), ("ann", "bob"), ("bob", "ann")] {
                let [reader, other_reader] = [reader, other_reader].map(|id| id.parse::<ClientId>().unwrap());
                let cursor = keys.seal(ListOfReader { reader: &reader, of, filter: &filter }, &place).unwrap();
                assert!(cursor.len() < CursorKeys::MAX_LENGTH, "{}", cursor.len());
                let opened = keys.open(ListOfReader { reader: &other_reader, of: other, filter: &filter }, &cursor);
                assert_eq!(
                    opened.is_some(),
                    of == other && reader == other_reader,
                    "{reader} {of:?}, {other_reader} {other:?}"
                );
            }
        }
    }

    #[test]
    fn a_changed_cursor_is_refused() {
        let keys = CursorKeys::new([[1; 32]]);
        let cursor = seal(&keys, &ListFilter::ALL, &place());
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(open(&keys, &ListFilter::ALL, &URL_SAFE_NO_PAD.encode(changed)), None, "byte {at}");
        }
        for length in 0..cursor.len() {
            assert_eq!(open(&keys, &ListFilter::ALL, &cursor[..length]), None, "{length} characters");
        }
    }
}
