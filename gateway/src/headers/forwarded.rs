use std::net::IpAddr;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Version};
use ipnet::IpNet;

use crate::config::Forwarded;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Who asks, and how they reached us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) tls: bool,
    /// Where we listen.
    pub(crate) port: u16,
    pub(crate) host: &'a HeaderValue,
    /// What was taken off the path.
    pub(crate) prefix: Option<&'a str>,
    pub(crate) version: Version,
}

/// Our own name in `Via`, by which a request that comes back is known.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    via: [HeaderValue; 3],
    mark: String,
}

impl Told {
    pub(crate) fn new(random: u64) -> Told {
        let mark = format!("switchboard-{random:016x}");
        let via = ["1.0", "1.1", "2"].map(|version| {
            HeaderValue::from_str(&format!("{version} {mark}"))
                .unwrap_or(HeaderValue::from_static("1.1 switchboard"))
        });
        Told { via, mark }
    }

    pub(crate) fn has_been_here(&self, headers: &HeaderMap) -> bool {
        let ours = |via: &HeaderValue| via.to_str().is_ok_and(|via| via.contains(&self.mark));
        headers.get_all(header::VIA).iter().any(ours)
    }

    fn via(&self, version: Version) -> HeaderValue {
        let [old, usual, new] = &self.via;
        match version {
            Version::HTTP_09 | Version::HTTP_10 => old.clone(),
            Version::HTTP_2 | Version::HTTP_3 => new.clone(),
            _ => usual.clone(),
        }
    }
}

/// Tells an instance whose request it is. What the client says of itself counts only if it is trusted.
pub(crate) fn tell(headers: &mut HeaderMap, client: &Client<'_>, config: &Forwarded, told: &Told) {
    headers.append(header::VIA, told.via(client.version));
    let trusted = is_trusted(client.ip, &config.trust);
    if !trusted {
        for name in [FOR, HOST, PROTO, PORT, PREFIX, header::FORWARDED] {
            headers.remove(name);
        }
    }
    if config.x_forwarded {
        append(headers, FOR, &client.ip.to_canonical().to_string());
        let proto = if client.tls { "https" } else { "http" };
        keep_or(headers, PROTO, HeaderValue::from_static(proto));
        keep_or(headers, PORT, HeaderValue::from(client.port));
        if !client.host.is_empty() {
            keep_or(headers, HOST, client.host.clone());
        }
        if let Some(prefix) = client.prefix.filter(|prefix| !prefix.is_empty())
            && let Ok(prefix) = HeaderValue::from_str(prefix)
        {
            let before = headers.get(PREFIX).map(|before| before.as_bytes().to_vec()).unwrap_or_default();
            let both = [before.as_slice(), prefix.as_bytes()].concat();
            headers.insert(PREFIX, HeaderValue::from_bytes(&both).unwrap_or(prefix));
        }
    }
    if config.standard {
        append(headers, header::FORWARDED, &standard(client));
    }
}

fn is_trusted(ip: IpAddr, trust: &[IpNet]) -> bool {
    let ip = ip.to_canonical();
    trust.iter().any(|net| net.contains(&ip))
}

fn keep_or(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

/// One list in one line: not all read a second line of the same name.
fn append(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let before: Vec<&str> = headers.get_all(&name).iter().filter_map(|before| before.to_str().ok()).collect();
    let list = if before.is_empty() { value.to_owned() } else { format!("{}, {value}", before.join(", ")) };
    if let Ok(list) = HeaderValue::from_str(&list) {
        headers.insert(name, list);
    }
}

fn standard(client: &Client<'_>) -> String {
    let ip = match client.ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let proto = if client.tls { "https" } else { "http" };
    match client.host.to_str() {
        Ok(host) if !host.is_empty() && !host.contains(['"', '\\']) => {
            format!("for={ip};host=\"{host}\";proto={proto}")
        }
        _ => format!("for={ip};proto={proto}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    fn told(ip: &str, config: &Forwarded, lines: &[(&str, &str)]) -> Vec<String> {
        let mut headers = map(lines);
        let host = HeaderValue::from_static("shop.example");
        let client = Client {
            ip: ip.parse().unwrap(),
            tls: true,
            port: 8080,
            host: &host,
            prefix: Some("/users"),
            version: Version::HTTP_11,
        };
        tell(&mut headers, &client, config, &Told::new(1));
        headers.remove("via");
        let mut said: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        said.sort();
        said
    }

    #[test]
    fn strangers_are_not_believed() {
        let forged = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "http"), ("forwarded", "for=x")];
        let config = Forwarded::default();
        let expected = [
            "x-forwarded-for: 10.0.0.1",
            "x-forwarded-host: shop.example",
            "x-forwarded-port: 8080",
            "x-forwarded-prefix: /users",
            "x-forwarded-proto: https",
        ];
        assert_eq!(told("10.0.0.1", &config, &forged), expected);
        assert_eq!(told("::ffff:10.0.0.1", &config, &[]), expected);
    }

    #[test]
    fn trusted_proxies_are_continued() {
        let config =
            Forwarded { standard: true, trust: vec!["10.0.0.0/8".parse().unwrap()], ..Forwarded::default() };
        let said = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-host", "outer.example"),
            ("x-forwarded-prefix", "/shop"),
            ("forwarded", "for=1.1.1.1"),
        ];
        let expected = [
            "forwarded: for=1.1.1.1, for=10.0.0.1;host=\"shop.example\";proto=https",
            "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.1",
            "x-forwarded-host: outer.example",
            "x-forwarded-port: 8080",
            "x-forwarded-prefix: /shop/users",
            "x-forwarded-proto: https",
        ];
        assert_eq!(told("10.0.0.1", &config, &said), expected);
    }

    #[test]
    fn a_request_that_comes_back_is_known() {
        let told = Told::new(7);
        let mut headers = map(&[("via", "1.1 other")]);
        assert!(!told.has_been_here(&headers));
        headers.append(header::VIA, told.via(Version::HTTP_2));
        assert!(told.has_been_here(&headers));
        assert!(!Told::new(8).has_been_here(&headers));
    }
}
