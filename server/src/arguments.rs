//! The command line. What is said here is all of `--help`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use switchboard_facade::Span;

use crate::failure::EXIT_CODES;

#[derive(Parser)]
#[command(
    name = "switchboard",
    version,
    about = "A service registry: which instances of a service exist, where they are, and whether they are healthy",
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  switchboard demo                                      a guided tour with real services
  switchboard serve                                     the registry, on ./switchboard-data
  switchboard register user-service 192.168.1.100:8080 --ttl 30s --meta version=v1.2
  switchboard instances user-service
  switchboard watch user-service";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the registry
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// See it work: a registry, three small services, and one of them dying and coming back
    #[command(after_help = "Examples:\n  switchboard demo           stays up afterwards, to play with\n  \
        switchboard demo --exit    ends after the tour; non-zero if a step failed")]
    Demo(Demo),
    /// Run the gateway alone: /SERVICE/** goes to the live instances of SERVICE, as a registry elsewhere knows them
    #[command(after_help = GATEWAY_EXAMPLES)]
    Gateway(Box<Gateway>),
    /// Register an instance of a service
    #[command(after_help = REGISTER_EXAMPLES)]
    Register(Box<Register>),
    /// Deregister an instance
    #[command(after_help = "Examples:\n  switchboard deregister user-service-192.168.1.100-8080\n  \
        switchboard deregister web-1 --service web    where several services have an instance of that id")]
    Deregister(Deregister),
    /// List the services
    #[command(after_help = "Examples:\n  switchboard services\n  switchboard services --prefix user- --json")]
    Services(Services),
    /// List instances, of one service or of all
    #[command(after_help = "Examples:\n  switchboard instances user-service --healthy\n  \
        switchboard instances user-service --meta version=v1.2 --json\n  switchboard instances --status critical")]
    Instances(Instances),
    /// Follow changes as they happen, a line each
    #[command(after_help = "Examples:\n  switchboard watch\n  switchboard watch user-service --json\n  \
        switchboard watch user-service --since 120    what happened after revision 120, and on")]
    Watch(Watch),
    /// Ask whether the registry is ready, or how the instances of a service are and why
    #[command(
        after_help = "Examples:\n  switchboard health                 succeeds if the registry is ready\n  \
        switchboard health user-service    succeeds if at least one instance is served"
    )]
    Health(Health),
    /// Check, print or start a configuration
    Config(ConfigCommand),
    /// Bring in what another registry has saved, into a data folder that nobody runs on
    #[command(after_help = "Examples:\n  etcdctl snapshot save etcd.db\n  \
        switchboard import etcd etcd.db --data-dir /var/lib/switchboard")]
    Import(Import),
    /// Look for what could keep the registry from working, and say what to do about it
    #[command(after_help = "Examples:\n  switchboard doctor\n  \
        switchboard doctor --config /etc/switchboard/switchboard.toml --data-dir /var/lib/switchboard")]
    Doctor(Doctor),
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  switchboard completions bash > /etc/bash_completion.d/switchboard\n  \
        switchboard completions zsh > \"${fpath[1]}/_switchboard\""
    )]
    Completions { shell: Shell },
    /// Print the version
    Version {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

const SERVE_EXAMPLES: &str = "\
Examples:
  switchboard serve
  switchboard serve --config switchboard.toml --data-dir /var/lib/switchboard
  switchboard serve --listen native=127.0.0.1:7800
  switchboard serve --listen native=0.0.0.0:7700 --set native.insecure=true
  SWITCHBOARD_LOG_LEVEL=debug switchboard serve --log-format json

SIGINT (Ctrl-C) and SIGTERM stop it cleanly; the second one stops it at once.
SIGHUP reads the definitions of --consul-services again, as does any change of them.
Every key of the configuration: switchboard config example";

const REGISTER_EXAMPLES: &str = "\
Examples:
  switchboard register user-service 192.168.1.100:8080 --ttl 30s --meta version=v1.2 --meta region=east
  switchboard register user-service 127.0.0.1:8080 --ttl 10s --keep
  switchboard register web 10.0.0.7:80 --check http:/health --interval 5s
  switchboard register --body instance.json";

const GATEWAY_EXAMPLES: &str = "\
Examples:
  switchboard gateway --registry http://10.0.0.1:7700,http://10.0.0.2:7700
  switchboard gateway --consul http://127.0.0.1:8500 --listen 127.0.0.1:8081 --keep ./known
  switchboard gateway --etcd http://127.0.0.1:2379 --etcd-prefix /services
  switchboard gateway --dns-srv '_{service}._tcp.example.com'
  switchboard gateway --file instances.json --config switchboard.toml

Of the configuration it reads the sections [gateway] and [log]. Its page and its metrics are at gateway.admin.listen.";

/// The gateway alone.
#[derive(Args)]
pub(crate) struct Gateway {
    #[command(flatten)]
    pub(crate) over: Over,
    /// The configuration file [default: ./switchboard.toml, if it is there]
    #[arg(long, short, value_name = "FILE", env = "SWITCHBOARD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8080]; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Set any key of the configuration
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// `error`, `warn`, `info`, `debug` or `trace`; also by crate: `info,switchboard_gateway=debug`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// `text` or `json`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// Write what listens where into this file once ready, as lines of gateway=HOST:PORT
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) port_file: Option<PathBuf>,
}

/// Which registry knows the instances.
#[derive(Args)]
pub(crate) struct Over {
    /// A Switchboard registry's native API; of several addresses, separated by commas, whichever answers
    #[arg(long, value_name = "URL", group = "over", required_unless_present = "over")]
    pub(crate) registry: Option<String>,
    /// Consul; of several addresses, separated by commas, whichever answers
    #[arg(long, value_name = "URL", group = "over")]
    pub(crate) consul: Option<String>,
    /// Consul's ACL token
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CONSUL_HTTP_TOKEN",
        hide_env_values = true,
        requires = "consul"
    )]
    pub(crate) consul_token: Option<String>,
    /// etcd, with a key for each instance: PREFIX/SERVICE/ID; of several addresses, separated by commas, whichever answers
    #[arg(long, value_name = "URL", group = "over")]
    pub(crate) etcd: Option<String>,
    /// What the keys begin with [default: /services]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) etcd_prefix: Option<String>,
    /// Eureka; of several addresses, separated by commas, whichever answers
    #[arg(long, value_name = "URL", group = "over")]
    pub(crate) eureka: Option<String>,
    /// How often to ask Eureka for what changed [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    pub(crate) eureka_every: Option<Span>,
    /// DNS, by SRV records of a name such as '_{service}._tcp.example.com'
    #[arg(long, value_name = "NAME", group = "over")]
    pub(crate) dns_srv: Option<String>,
    /// DNS, by all addresses of a name such as '{service}.example.com:8080'
    #[arg(long, value_name = "NAME:PORT", group = "over")]
    pub(crate) dns_hosts: Option<String>,
    /// The DNS server to ask [default: those that the system asks]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) dns_server: Option<SocketAddr>,
    /// A file such as {"instances": [{"service": "users", "host": "10.0.0.1", "port": 80}]}; read again when it changes
    #[arg(long, value_name = "FILE", group = "over", conflicts_with = "keep")]
    pub(crate) file: Option<PathBuf>,
    /// A folder to keep what is known in, for a start while the registry is away
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// Write what listens where into this file once ready, as lines of PROTOCOL=HOST:PORT
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) port_file: Option<PathBuf>,
}

/// What decides about the configuration.
#[derive(Args, Default)]
pub(crate) struct ConfigFlags {
    /// The configuration file [default: ./switchboard.toml, if it is there]
    #[arg(long, short, value_name = "FILE", env = "SWITCHBOARD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of the data [default: ./switchboard-data]
    #[arg(long, value_name = "DIR", env = "SWITCHBOARD_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What keeps the records: `redb` (durable) or `memory`
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
    /// Where a protocol listens; port 0 takes a free one
    #[arg(long, value_name = "PROTOCOL=HOST:PORT")]
    pub(crate) listen: Vec<String>,
    /// Leave a protocol out
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) disable: Vec<String>,
    /// Leave all other protocols out
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) only: Vec<String>,
    /// Definitions of services and checks as agents of Consul have them: a folder of *.json and *.hcl, or one file
    #[arg(long, value_name = "DIR")]
    pub(crate) consul_services: Option<PathBuf>,
    /// Set any key of the configuration
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// `error`, `warn`, `info`, `debug` or `trace`; also by crate: `info,switchboard_registry=debug`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// `text` or `json`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// Which registry to talk to.
#[derive(Args)]
pub(crate) struct To {
    /// The registry's address
    #[arg(
        long,
        short = 's',
        value_name = "URL",
        env = "SWITCHBOARD_SERVER",
        default_value = "http://127.0.0.1:7700"
    )]
    pub(crate) server: String,
    /// Certificates to trust for https://, as PEM
    #[arg(long, value_name = "FILE", env = "SWITCHBOARD_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// End after the tour instead of staying up
    #[arg(long)]
    pub(crate) exit: bool,
}

#[derive(Args)]
pub(crate) struct Register {
    #[command(flatten)]
    pub(crate) to: To,
    /// The service's name
    #[arg(required_unless_present = "body", conflicts_with = "body")]
    pub(crate) service: Option<String>,
    /// Where the instance answers
    #[arg(value_name = "HOST[:PORT]", required_unless_present = "body", conflicts_with = "body")]
    pub(crate) address: Option<String>,
    /// Send this JSON instead; `-` reads it from stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// The instance's id [default: made of service, host and port]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Heartbeats must come this often; without it the instance stays until it is deregistered
    #[arg(long, value_parser = Span::parse, value_name = "DURATION")]
    pub(crate) ttl: Option<Span>,
    /// Metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) meta: Vec<String>,
    /// A tag; may be repeated
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// The machine it runs on
    #[arg(long)]
    pub(crate) node: Option<String>,
    /// The share of traffic relative to the other instances
    #[arg(long)]
    pub(crate) weight: Option<u32>,
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// Have it probed: `http:/path`, `tcp`, `grpc` or `grpc:service`; may be repeated
    #[arg(long, value_name = "CHECK")]
    pub(crate) check: Vec<String>,
    /// How often to probe
    #[arg(long, value_parser = Span::parse, value_name = "DURATION", requires = "check")]
    pub(crate) interval: Option<Span>,
    /// How long a probe may take
    #[arg(long, value_parser = Span::parse, value_name = "DURATION", requires = "check")]
    pub(crate) timeout: Option<Span>,
    /// Stay, send the heartbeats, and deregister on Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
}

/// An instance, by its id and what makes it unique.
#[derive(Args)]
pub(crate) struct Deregister {
    #[command(flatten)]
    pub(crate) to: To,
    /// The instance's id
    pub(crate) id: String,
    /// Its service, where the id alone is not unique
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Its node, where the id alone is not unique
    #[arg(long)]
    pub(crate) node: Option<String>,
    #[arg(long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Args)]
pub(crate) struct Services {
    #[command(flatten)]
    pub(crate) to: To,
    /// Only those whose name begins so
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Only those with an instance that has this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    #[arg(long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Args)]
pub(crate) struct Instances {
    #[command(flatten)]
    pub(crate) to: To,
    /// Of this service only
    pub(crate) service: Option<String>,
    /// Only those that consumers are given
    #[arg(long, conflicts_with = "status")]
    pub(crate) healthy: bool,
    /// Only in this state: passing, warning, critical, lapsed, suspect, draining, ...
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only with this metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) meta: Vec<String>,
    #[arg(long)]
    pub(crate) zone: Option<String>,
    #[arg(long)]
    pub(crate) node: Option<String>,
    #[arg(long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) to: To,
    /// Of this service only
    #[arg(conflicts_with = "prefix")]
    pub(crate) service: Option<String>,
    /// Only services whose name begins so
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Begin after this revision instead of now
    #[arg(long, value_name = "REVISION")]
    pub(crate) since: Option<u64>,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    #[arg(long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Args)]
pub(crate) struct Health {
    #[command(flatten)]
    pub(crate) to: To,
    /// The service to look at
    pub(crate) service: Option<String>,
    #[arg(long, requires = "service")]
    pub(crate) namespace: Option<String>,
}

#[derive(Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    pub(crate) what: ConfigWhat,
}

#[derive(Subcommand)]
pub(crate) enum ConfigWhat {
    /// Say whether the configuration is valid, and what is wrong with it
    Check(ConfigFlags),
    /// Print what is in force, with every key: file, environment and flags together
    Print(ConfigFlags),
    /// Print a commented file with every key and its default
    Example,
}

#[derive(Args)]
pub(crate) struct Import {
    /// Whose file it is
    #[arg(value_name = "REGISTRY")]
    pub(crate) of: Foreign,
    /// What `etcdctl snapshot save` wrote, or member/snap/db of an etcd that is stopped
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Foreign {
    Etcd,
}

#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// Read all of the data to see that it makes sense, which takes a while
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) to: To,
}
