use std::collections::BTreeMap;

use crate::lens::GoDuration;

/// A check to be registered. With a service other things are said of it than by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckBody {
    pub(crate) id: String,
    pub(crate) service_id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) notes: String,
    pub(crate) script_args: Vec<String>,
    pub(crate) http: String,
    pub(crate) h2ping: String,
    /// HTTP/2 is pinged over TLS unless this says otherwise; none is pinged here.
    pub(crate) h2ping_use_tls: bool,
    pub(crate) header: BTreeMap<String, Vec<String>>,
    pub(crate) method: String,
    pub(crate) body: String,
    /// Nothing follows redirects here, so there is nothing to be disabled.
    pub(crate) disable_redirects: bool,
    pub(crate) tcp: String,
    pub(crate) tcp_use_tls: bool,
    pub(crate) udp: String,
    pub(crate) interval: GoDuration,
    pub(crate) alias_node: String,
    pub(crate) alias_service: String,
    pub(crate) docker_container_id: String,
    pub(crate) shell: String,
    pub(crate) grpc: String,
    pub(crate) grpc_use_tls: bool,
    pub(crate) os_service: String,
    pub(crate) tls_server_name: String,
    pub(crate) tls_skip_verify: bool,
    pub(crate) timeout: GoDuration,
    pub(crate) ttl: GoDuration,
    pub(crate) success_before_passing: i64,
    pub(crate) failures_before_warning: i64,
    pub(crate) failures_before_critical: i64,
    pub(crate) deregister_after: GoDuration,
    pub(crate) output_max_size: i64,
    pub(crate) proxy_http: String,
    pub(crate) proxy_grpc: String,
    /// There are no ACLs, so it opens nothing.
    pub(crate) token: String,
    pub(crate) namespace: String,
    pub(crate) partition: String,
}

/// What both take, and what is its own.
macro_rules! check_body {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        go_body! {
            $(#[$meta])*
            struct $name of CheckBody {
                "Name" => name,
                "Status" => status,
                "Notes" => notes,
                "ServiceID" or "service_id" => service_id,
                "ScriptArgs" or "args" or "script_args" => script_args,
                "HTTP" => http,
                "H2PING" => h2ping,
                "H2PingUseTLS" or "h2ping_use_tls" => h2ping_use_tls,
                "Header" => header,
                "Method" => method,
                "Body" => body,
                "TCP" => tcp,
                "TCPUseTLS" or "tcp_use_tls" => tcp_use_tls,
                "UDP" => udp,
                "Interval" => interval,
                "AliasNode" => alias_node,
                "AliasService" => alias_service,
                "DockerContainerID" or "docker_container_id" => docker_container_id,
                "Shell" => shell,
                "GRPC" => grpc,
                "GRPCUseTLS" or "grpc_use_tls" => grpc_use_tls,
                "OSService" => os_service,
                "TLSServerName" or "tls_server_name" => tls_server_name,
                "TLSSkipVerify" or "tls_skip_verify" => tls_skip_verify,
                "Timeout" => timeout,
                "TTL" => ttl,
                "SuccessBeforePassing" => success_before_passing,
                "FailuresBeforeWarning" => failures_before_warning,
                "FailuresBeforeCritical" => failures_before_critical,
                "DeregisterCriticalServiceAfter" or "deregister_critical_service_after" => deregister_after,
                "OutputMaxSize" => output_max_size,
                $($own)*
            }
        }
    };
}

check_body! {
    /// As it comes with a service, whose it is then, whatever it says.
    struct ServiceCheck {
        "CheckID" => id,
        "DisableRedirects" => disable_redirects,
        "ProxyHTTP" => proxy_http,
        "ProxyGRPC" => proxy_grpc,
    }
}

check_body! {
    /// As it comes by itself.
    struct AgentCheckBody {
        "ID" => id,
        "Token" => token,
        "DisableRedirects" or "disable_redirects" => disable_redirects,
        "Namespace" => namespace,
        "Partition" => partition,
    }
}

go_body! {
    /// What `agent/check/update` is told.
    struct CheckUpdate {
        "Status" => status: String,
        "Output" => output: String,
    }
}
