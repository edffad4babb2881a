use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// A stream of server-sent events.
pub(crate) struct Events {
    body: Incoming,
    reader: Reader,
}

impl Events {
    pub(crate) fn new(body: Incoming) -> Events {
        Events { body, reader: Reader::default() }
    }

    /// The next event; None: the connection ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.reader.take() {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.reader.add(&data);
            }
        }
    }
}

/// Cuts bytes into events. Knows the part of the format that registries use.
#[derive(Default)]
struct Reader {
    unread: Vec<u8>,
}

impl Reader {
    fn add(&mut self, bytes: &Bytes) {
        self.unread.extend(bytes.iter().filter(|byte| **byte != b'\r'));
    }

    /// The first whole event that says something.
    fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
            let rest = self.unread.split_off(end + 2);
            let block = std::mem::replace(&mut self.unread, rest);
            let event = event(&String::from_utf8_lossy(&block));
            if event != Event::default() {
                return Some(event);
            }
        }
    }
}

fn event(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.kind),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            // A comment keeps the connection alive; unknown fields are to be skipped.
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &[(&str, &str)]) {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.add(&Bytes::copy_from_slice(piece.as_bytes()));
            events.extend(std::iter::from_fn(|| reader.take()));
        }
        let seen: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.data.as_str())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn events_are_cut_wherever_the_network_cuts_them() {
        check(&["event: change\ndata: {}\n\n"], &[("change", "{}")]);
        check(
            &["event: cha", "nge\r\nda", "ta: {}\r\n", "\r\nevent: progress\n\n"],
            &[("change", "{}"), ("progress", "")],
        );
        check(&[": still here\n\n", "data: one\ndata: two\n\n"], &[("", "one\ntwo")]);
    }
}
