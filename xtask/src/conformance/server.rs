//! A server of its own for each driver: started, waited for, and stopped by its handle.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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

pub(crate) struct Server {
    child: Reaped,
    addresses: Vec<(&'static str, SocketAddr)>,
    data: PathBuf,
}

/// The development build: it is there already after the tests.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let build = ["build", "--locked", "--package", "switchboard-server"];
    if !process::succeeds(process::cargo().current_dir(&workspace.root).args(build))? {
        bail!("the server does not build");
    }
    Ok(workspace.target.join("debug").join("switchboard"))
}

/// The one place that knows how a server is started.
fn serve(binary: &Path, data: &Path, addresses: &[(&str, SocketAddr)]) -> Command {
    let mut command = Command::new(binary);
    // The server reads such variables as its configuration; what is set for the caller is not meant for it.
    process::without(&mut command, |name| name.starts_with("SWITCHBOARD_"));
    command.arg("serve").arg("--data-dir").arg(data);
    for (protocol, address) in addresses {
        command.args(["--only", protocol, "--listen", &format!("{protocol}={address}")]);
    }
    // Its page has a port of its own, which nobody asks for here.
    command.args(["--set", "gateway.admin.listen=127.0.0.1:0"]);
    command
}

impl Server {
    pub(crate) fn start(binary: &Path, scratch: &Path, log: &Path) -> anyhow::Result<Server> {
        let mut addresses = Vec::new();
        for (protocol, _, _) in PROTOCOLS {
            addresses.push((protocol, free_address()?));
        }
        let port = addresses.first().map_or(0, |(_, address)| address.port());
        let data = scratch.join(format!("data-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = serve(binary, &data, &addresses);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Server { child: Reaped(child), addresses, data };
        if let Err(error) = server.wait_until_ready() {
            print_tail(log);
            return Err(error);
        }
        Ok(server)
    }

    /// Where it is, as variables for a driver.
    pub(crate) fn urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        let places = PROTOCOLS.iter().zip(&self.addresses);
        places.map(|((_, variable, scheme), (_, address))| (*variable, format!("{scheme}{address}")))
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.0.try_wait()? {
                bail!("the server ended before it was ready: {status}");
            }
            let ready =
                self.addresses.first().is_some_and(|(_, address)| is_ready(*address).unwrap_or(false));
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
    }
}

/// The last lines a server wrote, for whoever reads why something failed.
pub(crate) fn print_tail(log: &Path) {
    let text = files::text(log);
    let lines: Vec<&str> = text.lines().collect();
    println!("   the server's last lines ({}):", log.display());
    lines.iter().skip(lines.len().saturating_sub(20)).for_each(|line| println!("   | {line}"));
}

/// Free a moment ago. Should another program take it first, the server says so and the driver fails loudly.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
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
