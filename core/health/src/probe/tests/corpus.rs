use std::net::Ipv4Addr;

use super::*;

/// Ways to write an IPv4 address that some resolver, URL library or translator understands.
fn spellings(ip: Ipv4Addr) -> Vec<String> {
    let n = u32::from(ip);
    let [a, b, c, d] = ip.octets();
    let (high, low) = (n >> 16, n & 0xffff);
    let map = |text: &str, to: fn(char) -> char| text.chars().map(to).collect::<String>();
    let shift = |c: char, zero: u32| c.to_digit(10).and_then(|d| char::from_u32(zero + d)).unwrap_or(c);
    let percent: String = ip.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut all = vec![
        ip.to_string(),
        // Numbers as inet_aton reads them.
        format!("{n}"),
        format!("{n:#x}"),
        format!("0X{n:X}"),
        format!("0{n:o}"),
        format!("00000{n:o}"),
        format!("{}", u64::from(n) + (1 << 32)),
        format!("{a}.{}", n & 0xff_ffff),
        format!("{a}.{b}.{}", n & 0xffff),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("{a:#x}.{}", n & 0xff_ffff),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.0{b:o}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d:#x}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{}.{b}.{c}.{d}", u32::from(a) + 256),
        // Dots, blanks and ends.
        format!("{ip}."),
        format!("{ip}.."),
        format!(".{ip}"),
        format!("{n}."),
        format!(" {ip}"),
        format!("{ip} "),
        format!("{ip}\t"),
        format!("{ip}\r\nhost: x"),
        format!("{ip}\0.example.com"),
        format!("{ip}%00"),
        format!("{ip}%2e"),
        percent,
        // Pieces of URLs.
        format!("[{ip}]"),
        format!("user@{ip}"),
        format!("example.com:80@{ip}"),
        format!("{ip}@example.com"),
        format!("{ip}:80"),
        format!("{ip}/"),
        format!("{ip}#example.com"),
        format!("{ip}?example.com"),
        format!("{ip}\\@example.com"),
        format!("http://{ip}"),
        format!("//{ip}"),
        format!("{ip};example.com"),
        // Digits and dots of other scripts, which URL libraries normalise.
        map(&ip.to_string(), |c| if c == '.' { '。' } else { c }),
        map(&ip.to_string(), |c| if c == '.' { '．' } else { c }),
        // Names that stand for it.
        format!("{ip}.nip.example"),
        format!("x-{a}-{b}-{c}-{d}.rebind.example"),
        format!("{n}.example."),
        "localhost".to_owned(),
        "LOCALHOST.".to_owned(),
        "a.localhost".to_owned(),
        // IPv6 with the address in it.
        format!("::ffff:{ip}"),
        format!("::ffff:{high:x}:{low:x}"),
        format!("0:0:0:0:0:ffff:{high:x}:{low:x}"),
        format!("0000:0000:0000:0000:0000:FFFF:{ip}"),
        format!("[::ffff:{ip}]"),
        format!("::ffff:{ip}%1"),
        format!("::{ip}"),
        format!("::ffff:0:{ip}"),
        format!("64:ff9b::{ip}"),
        format!("64:ff9b:1::{ip}"),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2001:db8::5efe:{ip}"),
        format!("2001:0:{high:x}:{low:x}::1"),
        format!("fe80::5efe:{ip}"),
    ];
    for zero in ['０', '٠', '०', '𝟎'] {
        all.push(ip.to_string().chars().map(|c| shift(c, u32::from(zero))).collect());
    }
    all
}

/// Nothing of this may connect anywhere, even where everything is allowed but this machine itself.
#[tokio::test]
async fn no_spelling_of_a_forbidden_address_gets_through() {
    let canary = Canary::at("127.0.0.1:0").await;
    let port = canary.address.port();
    let config = Config {
        allow: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
        allow_loopback: false,
        ..Config::default()
    };
    let forbidden = [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
    ];
    let mut tried = 0;
    for ip in forbidden {
        // The resolver is on the attacker's side: whatever it is asked, it says the address.
        let lab = Lab::new(config.clone()).resolves(&[&[ip]]);
        for text in spellings(ip.parse().unwrap()) {
            tried += 1;
            let Ok(host) = Host::parse(&text) else { continue };
            let is_a_name = text.contains("example") || text.to_lowercase().contains("localhost");
            assert_eq!(matches!(host, Host::Name(_)), is_a_name, "{text:?} was taken for {host:?}");
            for probe in [tcp(), http(get("/")), Probe::Udp { target: Target::default() }] {
                let aimed = Aimed { host: host.clone(), port, aim: Aim::Own };
                let outcome = lab.prober.run(&aimed, &check(probe)).await;
                assert_eq!(outcome.answer, Answer::Refused, "{text:?}: {outcome:?}");
            }
        }
    }
    assert!(tried >= 200, "only {tried} spellings");
    assert_eq!(canary.seen().await, 0);

    // The canary would have noticed.
    let open = Lab::new(Config::default());
    assert_eq!(open.ask("127.0.0.1", port, tcp()).await.answer, Answer::Pass);
    assert_eq!(canary.seen().await, 1);
}
