use std::collections::BTreeMap;

use crate::lens::GoDuration;

go_body! {
    /// A check to be registered, with a service or by itself.
    struct CheckBody {
        "CheckID" => check_id: String,
        "ID" => id: String,
        "ServiceID" or "service_id" => service_id: String,
        "Name" => name: String,
        "Status" => status: String,
        "Notes" => notes: String,
        "ScriptArgs" or "args" or "script_args" => script_args: Vec<String>,
        "HTTP" => http: String,
        "H2PING" => h2ping: String,
        "H2PingUseTLS" or "h2ping_use_tls" => h2ping_use_tls: bool,
        "Header" => header: BTreeMap<String, Vec<String>>,
        "Method" => method: String,
        "Body" => body: String,
        "DisableRedirects" or "disable_redirects" => disable_redirects: bool,
        "TCP" => tcp: String,
        "TCPUseTLS" or "tcp_use_tls" => tcp_use_tls: bool,
        "UDP" => udp: String,
        "Interval" => interval: GoDuration,
        "AliasNode" => alias_node: String,
        "AliasService" => alias_service: String,
        "DockerContainerID" or "docker_container_id" => docker_container_id: String,
        "Shell" => shell: String,
        "GRPC" => grpc: String,
        "GRPCUseTLS" or "grpc_use_tls" => grpc_use_tls: bool,
        "OSService" => os_service: String,
        "TLSServerName" or "tls_server_name" => tls_server_name: String,
        "TLSSkipVerify" or "tls_skip_verify" => tls_skip_verify: bool,
        "Timeout" => timeout: GoDuration,
        "TTL" => ttl: GoDuration,
        "SuccessBeforePassing" => success_before_passing: i64,
        "FailuresBeforeWarning" => failures_before_warning: i64,
        "FailuresBeforeCritical" => failures_before_critical: i64,
        "DeregisterCriticalServiceAfter" or "deregister_critical_service_after" => deregister_after: GoDuration,
        "OutputMaxSize" => output_max_size: i64,
        "ProxyHTTP" => proxy_http: String,
        "ProxyGRPC" => proxy_grpc: String,
        "Token" => token: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

go_body! {
    /// What `agent/check/update` is told.
    struct CheckUpdate {
        "Status" => status: String,
        "Output" => output: String,
    }
}
