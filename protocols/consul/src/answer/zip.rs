//! Bodies made smaller for whoever takes them so.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
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
}
