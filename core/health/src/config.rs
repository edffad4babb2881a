use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The section `[health]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Probes that run at the same time.
    pub concurrent: usize,
    /// Networks that anyone's checks may reach.
    pub allow: Vec<IpNet>,
    /// Networks that no check may reach.
    pub deny: Vec<IpNet>,
    pub allow_loopback: bool,
    /// Whether answers to HTTP checks show in their output.
    pub show_bodies: bool,
    /// The certificate authorities that HTTPS and gRPC checks trust, as PEM. None: the operating system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            concurrent: 256,
            allow: Vec::new(),
            deny: Vec::new(),
            allow_loopback: true,
            show_bodies: false,
            ca_file: None,
        }
    }
}

/// Every key with its default.
pub const EXAMPLE: &str = r#"# Probes that run at the same time; when there are more to do, they wait their turn.
concurrent = 256
# Networks that checks may reach, such as ["10.0.0.0/8"]. While this is empty, only callers on this machine may
# register active checks, and only of an instance's (or node's) own address or of this machine. Once it is not, callers
# elsewhere may register them, too, and every check has to stay inside these networks or on this machine.
allow = []
# Networks that no check may reach, whoever registered it. Always included: link-local and cloud metadata addresses,
# multicast, broadcast and unspecified addresses, and all of these written in another form.
deny = []
# Checks may reach this machine itself. Callers elsewhere additionally need a loopback network in `allow`, such as
# "127.0.0.0/8"; "0.0.0.0/0" does not count as one.
allow_loopback = true
# Show what HTTP checks are answered, its first 4096 bytes, to whoever reads the checks. Whoever may register a check can
# then read with it what this machine can reach.
show_bodies = false
# The certificate authorities that HTTPS and gRPC checks trust, as PEM. Unset, those of the operating system.
# ca_file = "authorities.pem"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_the_defaults_and_nothing_else() {
        assert_eq!(toml::from_str::<Config>(EXAMPLE).unwrap(), Config::default());
        let all: Config = toml::from_str(&EXAMPLE.replace("# ca_file", "ca_file")).unwrap();
        assert_eq!(all.ca_file, Some(PathBuf::from("authorities.pem")));
        assert!(toml::from_str::<Config>("concurent = 1").is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let config = Config { allow: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }
}
