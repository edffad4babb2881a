use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::out::Out;
use crate::plugs::{ENGINES, PROTOCOLS};

pub(crate) fn completions(shell: Shell, out: &mut Out) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "switchboard", &mut text);
    Ok(out.line(String::from_utf8_lossy(&text).trim_end())?)
}

pub(crate) fn version(json: bool, out: &mut Out) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let protocols: Vec<_> = PROTOCOLS.iter().map(|plug| plug.name).collect();
    let engines: Vec<_> = ENGINES.iter().map(|plug| plug.name).collect();
    if json {
        let version = serde_json::json!({ "version": version, "protocols": protocols, "engines": engines });
        return Ok(out.line(version)?);
    }
    out.line(format!("switchboard {version}"))?;
    out.line(format!("protocols: {}", protocols.join(", ")))?;
    Ok(out.line(format!("engines: {}", engines.join(", ")))?)
}
