use http::StatusCode;

/// Why a request was not passed on, or came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The registry has not said yet who is there.
    Loading,
    NoRoute {
        path: String,
    },
    NoService {
        service: String,
    },
    /// Registered, but not to be reached through the gateway.
    Hidden {
        service: String,
    },
    NoInstance {
        service: String,
        why: String,
    },
    /// Every instance that may be tried is full.
    Full {
        service: String,
    },
    /// Tried, and came to nothing.
    Unreachable {
        service: String,
        why: String,
    },
    Broken {
        service: String,
        why: String,
    },
    Timeout {
        service: String,
        what: &'static str,
    },
    Overloaded,
    Malformed {
        why: String,
    },
    TooLarge {
        limit: u64,
    },
    Expectation,
    MethodNotSupported {
        method: String,
    },
    Loop,
}

impl Refusal {
    pub(crate) fn malformed(why: impl Into<String>) -> Refusal {
        Refusal::Malformed { why: why.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Refusal::Loading | Refusal::NoInstance { .. } | Refusal::Full { .. } | Refusal::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::NoRoute { .. } | Refusal::NoService { .. } | Refusal::Hidden { .. } => {
                StatusCode::NOT_FOUND
            }
            Refusal::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Broken { .. } => StatusCode::BAD_GATEWAY,
            Refusal::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
            Refusal::MethodNotSupported { .. } => StatusCode::NOT_IMPLEMENTED,
            Refusal::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// A word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Refusal::Loading => "loading",
            Refusal::NoRoute { .. } => "no_route",
            Refusal::NoService { .. } => "no_service",
            Refusal::Hidden { .. } => "not_exposed",
            Refusal::NoInstance { .. } => "no_instance",
            Refusal::Full { .. } => "instances_full",
            Refusal::Unreachable { .. } => "unreachable",
            Refusal::Broken { .. } => "broken",
            Refusal::Timeout { .. } => "timeout",
            Refusal::Overloaded => "overloaded",
            Refusal::Malformed { .. } => "malformed",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::Expectation => "expectation",
            Refusal::MethodNotSupported { .. } => "method_not_supported",
            Refusal::Loop => "loop",
        }
    }

    /// What gRPC calls it.
    pub(crate) fn grpc_status(&self) -> u8 {
        match self {
            Refusal::Loading
            | Refusal::NoInstance { .. }
            | Refusal::Full { .. }
            | Refusal::Unreachable { .. }
            | Refusal::Broken { .. }
            | Refusal::Overloaded => crate::grpc::UNAVAILABLE,
            Refusal::NoRoute { .. } | Refusal::NoService { .. } | Refusal::Hidden { .. } => {
                crate::grpc::UNIMPLEMENTED
            }
            Refusal::Timeout { .. } => crate::grpc::DEADLINE_EXCEEDED,
            Refusal::Malformed { .. }
            | Refusal::Expectation
            | Refusal::MethodNotSupported { .. }
            | Refusal::Loop => crate::grpc::INTERNAL,
            Refusal::TooLarge { .. } => crate::grpc::RESOURCE_EXHAUSTED,
        }
    }

    /// Seconds after which it may be different.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }

    /// Whether the rest of the connection cannot be trusted.
    pub(crate) fn closes(&self) -> bool {
        matches!(
            self,
            Refusal::Malformed { .. }
                | Refusal::TooLarge { .. }
                | Refusal::Expectation
                | Refusal::MethodNotSupported { .. }
        )
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Loading => f.write_str("the registry has not said yet who is there"),
            Refusal::NoRoute { path } => write!(f, "no route leads from {path}"),
            Refusal::NoService { service } => write!(f, "there is no service {service:?}"),
            Refusal::Hidden { service } => {
                write!(f, "the service {service:?} is not to be reached through the gateway")
            }
            Refusal::NoInstance { service, why } => {
                write!(f, "no instance of {service:?} can take requests: {why}")
            }
            Refusal::Full { service } => {
                write!(f, "every instance of {service:?} has as many requests as it may have")
            }
            Refusal::Unreachable { service, why } => {
                write!(f, "no instance of {service:?} could be reached: {why}")
            }
            Refusal::Broken { service, why } => write!(f, "an instance of {service:?} gave no answer: {why}"),
            Refusal::Timeout { service, what } => write!(f, "{service:?} did not answer in time: {what}"),
            Refusal::Overloaded => f.write_str("too many requests are under way"),
            Refusal::Malformed { why } => write!(f, "the request is malformed: {why}"),
            Refusal::TooLarge { limit } => write!(f, "the request's body has more than {limit} bytes"),
            Refusal::Expectation => f.write_str("only `Expect: 100-continue` is understood"),
            Refusal::MethodNotSupported { method } => write!(f, "{method} is not passed on"),
            Refusal::Loop => f.write_str("the request has come through this gateway before"),
        }
    }
}
