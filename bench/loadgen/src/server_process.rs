//! The two servers: the registry under measurement and the bare one beside it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::{Caller, OwnedReply};
use crate::process::Process;
use crate::requests;

/// How the registry is started, with these protocols and no others. The only place that knows its command line.
pub(crate) fn registry_command(binary: &Path, data_dir: &Path, protocols: &[(&str, SocketAddr)]) -> Command {
    let mut command = Command::new(binary);
    // The registry reads such variables as its configuration; what the caller's shell has set is not what is measured.
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SWITCHBOARD_"))
    {
        command.env_remove(name);
    }
    command.arg("serve").arg("--data-dir").arg(data_dir);
    for (protocol, address) in protocols {
        command.args(["--only", protocol, "--listen", &format!("{protocol}={address}")]);
    }
    command
}

pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// From just before the start of the process to its first 200 on /readyz.
    pub(crate) ready_after: Duration,
}

impl Server {
    pub(crate) fn registry(binary: &Path, data_dir: &Path, patience: Duration) -> Result<Self> {
        let address = free_address()?;
        let log = data_dir.with_extension("log");
        let mut command = registry_command(binary, data_dir, &[("native", address)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        Self::start(&mut command, address, "/readyz", patience)
            .with_context(|| format!("the registry did not get ready; its last words: {}", last_words(&log)))
    }

    /// Answers every request with what the registry answered to the sample.
    pub(crate) fn bare(scratch: &Path, sample: &OwnedReply, event_bytes: Option<usize>) -> Result<Self> {
        let address = free_address()?;
        let bytes_file = scratch.join("bare-reply");
        std::fs::write(&bytes_file, &sample.body)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("ceiling-http").arg("--listen").arg(address.to_string());
        command.arg("--bytes-file").arg(&bytes_file).arg("--content-type").arg(&sample.content_type);
        if let Some(count) = event_bytes {
            command.arg("--event-bytes").arg(count.to_string());
        }
        Self::start(command.stdin(Stdio::null()), address, "/", Duration::from_secs(10))
            .context("the bare server")
    }

    pub(crate) fn caller(&self) -> Result<Caller> {
        Caller::open(self.address)
    }

    pub(crate) fn start(
        command: &mut Command,
        address: SocketAddr,
        probe: &str,
        patience: Duration,
    ) -> Result<Self> {
        let begin = Instant::now();
        let mut process = Process::start(command)?;
        let probe = requests::get(probe);
        loop {
            let answer = Caller::open(address).and_then(|mut caller| caller.call(&probe));
            let ready_after = begin.elapsed();
            match answer {
                Ok(_) => return Ok(Self { process, address, ready_after }),
                Err(error) if ready_after > patience => return Err(error.context("it is still not ready")),
                Err(_) => {}
            }
            if let Some(status) = process.has_ended()? {
                bail!("it ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A directory that exists, for the data of one server.
pub(crate) fn new_data_dir(scratch: &Path, name: &str) -> Result<PathBuf> {
    let data_dir = scratch.join(name);
    std::fs::create_dir(&data_dir).context("make a data directory")?;
    Ok(data_dir)
}

/// The kernel does not hand out a port again at once, so the server finds it free.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

pub(crate) fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(600)..).unwrap_or_default();
    String::from_utf8_lossy(tail).trim().to_owned()
}
