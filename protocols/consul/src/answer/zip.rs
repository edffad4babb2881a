//! Bodies made smaller for whoever takes them so.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// Below this it is not worth it: all of it fits into one packet.
const LEAST: usize = 1400;
/// Above this others would wait too long for this thread.
const LONG: usize = 64 * 1024;

/// Whether `Accept-Encoding` names gzip and does not rule it out.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, "q=1"));
        let name = name.trim();
        let quality = quality.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
        (name.eq_ignore_ascii_case("gzip") || name == "*") && quality.is_none_or(|quality| quality > 0.0)
    })
}

/// None: it is better sent as it is.
pub(crate) async fn smaller(body: &Bytes) -> Option<Bytes> {
    match body.len() {
        0..LEAST => None,
        LEAST..LONG => gzip(body),
        _ => {
            let body = body.clone();
            tokio::task::spawn_blocking(move || gzip(&body)).await.ok().flatten()
        }
    }
}

fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Each piece can be read as soon as it has come.
pub(super) fn pieces(pieces: BoxStream<'static, Bytes>) -> impl Stream<Item = Bytes> + Send + 'static {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    stream::unfold(Some((pieces, encoder)), |state| async move {
        let (mut pieces, mut encoder) = state?;
        let Some(piece) = pieces.next().await else {
            return encoder.finish().ok().map(|rest| (Bytes::from(rest), None));
        };
        encoder.write_all(&piece).and_then(|()| encoder.flush()).ok()?;
        let made = std::mem::take(encoder.get_mut());
        Some((Bytes::from(made), Some((pieces, encoder))))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn only_who_asks_for_it_is_given_it() {
        let asked = |value: &'static str| {
            is_accepted(&HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]))
        };
        assert!(asked("gzip") && asked("br, gzip;q=0.5") && asked("deflate,GZIP") && asked("*"));
        assert!(!asked("identity") && !asked("br") && !asked("gzip;q=0") && !asked("gzip; q=0.0"));
        assert!(!is_accepted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_smaller_comes_back_whole() {
        assert_eq!(smaller(&Bytes::from(vec![b'x'; LEAST - 1])).await, None);
        for size in [LEAST, LONG + 1] {
            let body = Bytes::from(vec![b'x'; size]);
            let zipped = smaller(&body).await.unwrap();
            assert!(zipped.len() < body.len());
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&*zipped).read_to_end(&mut back).unwrap();
            assert_eq!(back, body);
        }
    }

    #[tokio::test]
    async fn pieces_are_made_smaller_as_they_come() {
        let told = ["one\n", "two\n", "three\n"].map(Bytes::from);
        let made: Vec<Bytes> = pieces(stream::iter(told).boxed()).collect().await;
        assert_eq!(made.len(), 4, "each by itself, and the end");
        let mut back = String::new();
        flate2::read::GzDecoder::new(&*made.concat()).read_to_string(&mut back).unwrap();
        assert_eq!(back, "one\ntwo\nthree\n");
        let (mut first, mut begun) = ([0; 4], flate2::read::GzDecoder::new(&*made[0]));
        begun.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"one\n");
    }
}
