//! A server of its own for each driver: started, waited for, and stopped by its handle.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::files;
use crate::process::{self, Reaped};
use crate::workspace::Workspace;

/// Longer than any start on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What a server listens with, the variable that tells drivers where, and what stands before the address. The first says when it is ready.
const PROTOCOLS: [(&str, &str, &str); 6] = [
    ("native", "SWITCHBOARD_URL", "http://"),
    ("consul", "SWITCHBOARD_CONSUL_URL", "http://"),
    ("dns", "SWITCHBOARD_DNS", ""),
    ("gateway", "SWITCHBOARD_GATEWAY_URL", "http://"),
    ("etcd", "SWITCHBOARD_ETCD", ""),
    ("eureka", "SWITCHBOARD_EUREKA_URL", "http://"),
];

/// Each has a data folder of its own.
static STARTED: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Server {
    child: Reaped,
    addresses: Vec<SocketAddr>,
    data: PathBuf,
    ports: PathBuf,
}

/// The development build: it is there already after the tests.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let build = ["build", "--locked", "--package", "switchboard-server"];
    if !process::succeeds(process::cargo().current_dir(&workspace.root).args(build))? {
        bail!("the server does not build");
    }
    Ok(workspace.target.join("debug").join("switchboard"))
}

/// The one place that knows how a server is started. It takes whatever ports are free, and says which in `ports`.
fn serve(binary: &Path, data: &Path, ports: &Path) -> Command {
    let mut command = Command::new(binary);
    // The server reads such variables as its configuration; what is set for the caller is not meant for it.
    process::without(&mut command, |name| name.starts_with("SWITCHBOARD_"));
    command.arg("serve").arg("--data-dir").arg(data).arg("--port-file").arg(ports);
    for (protocol, _, _) in PROTOCOLS {
        command.args(["--only", protocol, "--listen", &format!("{protocol}=127.0.0.1:0")]);
    }
    // Its page has a port of its own, which nobody asks for here.
    command.args(["--set", "gateway.admin.listen=127.0.0.1:0"]);
    command
}

impl Server {
    pub(crate) fn start(binary: &Path, scratch: &Path, log: &Path) -> anyhow::Result<Server> {
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let data = scratch.join(format!("data-{}-{nth}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        let ports = data.with_extension("ports");
        let _ = std::fs::remove_file(&ports);
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = serve(binary, &data, &ports);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Server { child: Reaped(child), addresses: Vec::new(), data, ports };
        if let Err(error) = server.wait_until_ready() {
            print_tail(log);
            return Err(error);
        }
        Ok(server)
    }

    /// Where it is, as variables for a driver.
    pub(crate) fn urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        let places = PROTOCOLS.iter().zip(&self.addresses);
        places.map(|((_, variable, scheme), address)| (*variable, format!("{scheme}{address}")))
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.0.try_wait()? {
                bail!("the server ended before it was ready: {status}");
            }
            if self.addresses.is_empty() && self.ports.exists() {
                self.addresses = addresses(&files::text(&self.ports))?;
            }
            let ready = self.addresses.first().is_some_and(|address| is_ready(*address).unwrap_or(false));
            if ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the server was not ready within {} s", READY_WITHIN.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The child first: it must not write into a folder that is being removed.
        let _ = self.child.0.kill();
        let _ = self.child.0.wait();
        // What is left lies in the target folder and harms nobody.
        let _ = std::fs::remove_dir_all(&self.data);
        let _ = std::fs::remove_file(&self.ports);
    }
}

/// The last lines a server wrote, for whoever reads why something failed.
pub(crate) fn print_tail(log: &Path) {
    let text = files::text(log);
    let lines: Vec<&str> = text.lines().collect();
    println!("   the server's last lines ({}):", log.display());
    lines.iter().skip(lines.len().saturating_sub(20)).for_each(|line| println!("   | {line}"));
}

/// Of each protocol, what the file of the server says first.
fn addresses(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let places: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let address = |(protocol, _, _)| {
        let (_, address) = places
            .iter()
            .find(|(name, _)| *name == protocol)
            .with_context(|| format!("the server does not say where {protocol} listens"))?;
        Ok(address.parse()?)
    };
    PROTOCOLS.into_iter().map(address).collect()
}

fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // To the end, so that the server's log does not begin with a connection reset.
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
