//! Server-sent events.

use bytes::Bytes;

/// A stream in which no event ends for so long is not one of events.
const MAX_BUFFER_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) id: Option<u64>,
    pub(super) data: String,
}

/// Takes bytes as they come and gives events when they are whole.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Everything before it was looked at.
    seen: usize,
    event: Event,
}

impl Lines {
    pub(super) fn push(&mut self, data: &Bytes) -> Result<(), &'static str> {
        if self.buffer.len() + data.len() > MAX_BUFFER_BYTES {
            return Err("an event without end");
        }
        self.buffer.extend_from_slice(data);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            let rest = self.buffer.get(self.seen..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                self.buffer.drain(..self.seen);
                self.seen = 0;
                return None;
            };
            let line = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
            self.seen += length + 1;
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if event != Event::default() {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.kind),
                "id" => self.event.id = value.parse().ok(),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                // Comments, and fields that others may add.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&str]) -> Vec<Event> {
        let mut lines = Lines::default();
        let mut events = Vec::new();
        for piece in pieces {
            lines.push(&Bytes::copy_from_slice(piece.as_bytes())).unwrap();
            events.extend(std::iter::from_fn(|| lines.next()));
        }
        events
    }

    #[test]
    fn events_are_whole_however_they_are_cut() {
        let text = "event: change\ndata: {\"a\":\ndata: 1}\n\n: a comment\n\nevent: progress\r\nid: 7\r\ndata: x\r\n\r\n";
        let whole = events(&[text]);
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0], Event { kind: "change".into(), id: None, data: "{\"a\":\n1}".into() });
        assert_eq!(whole[1], Event { kind: "progress".into(), id: Some(7), data: "x".into() });
        for cut in 1..text.len() {
            assert_eq!(events(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut lines = Lines::default();
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let taken = (0..64).take_while(|_| lines.push(&piece).is_ok() && lines.next().is_none()).count();
        assert_eq!(taken, 16);
    }
}
