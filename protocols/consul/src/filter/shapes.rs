//! The targets that Consul filters, with what can be selected in them: `agent/structs` and `api` of Consul 1.16. Indexes,
//! namespaces, localities, opaque configuration and check definitions are not selectable there either.

use super::Shape::{self, Address, Bool, Int, List, Map, Struct, Text, Uint, Unchecked};

/// `agent/services`.
pub(crate) static AGENT_SERVICE: Shape = Struct(&[
    ("Kind", Text),
    ("ID", Text),
    ("Service", Text),
    ("Tags", List(&Text)),
    ("Meta", Map(&Text)),
    ("Port", Int),
    ("Address", Text),
    ("SocketPath", Text),
    ("TaggedAddresses", Map(&SERVICE_ADDRESS)),
    ("Weights", WEIGHTS),
    ("EnableTagOverride", Bool),
    ("Proxy", PROXY),
    ("Connect", CONNECT),
    ("PeerName", Text),
]);

/// `agent/checks`: Consul holds the expression against a check only when there is one.
pub(crate) static AGENT_CHECK: Shape = Unchecked(&HEALTH_CHECK);

/// `agent/members`.
pub(crate) static AGENT_MEMBER: Shape = Struct(&[
    ("Name", Text),
    ("Addr", Address),
    ("Port", Uint { bits: 16 }),
    ("Tags", Map(&Text)),
    ("Status", Int),
    ("ProtocolMin", Uint { bits: 8 }),
    ("ProtocolMax", Uint { bits: 8 }),
    ("ProtocolCur", Uint { bits: 8 }),
    ("DelegateMin", Uint { bits: 8 }),
    ("DelegateMax", Uint { bits: 8 }),
    ("DelegateCur", Uint { bits: 8 }),
]);

/// `catalog/nodes`, and the node of [`CHECK_SERVICE_NODE`].
pub(crate) static NODE: Shape = Struct(NODE_FIELDS);

const NODE_FIELDS: &[(&str, Shape)] = &[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("Partition", Text),
    ("PeerName", Text),
    ("TaggedAddresses", Map(&Text)),
    ("Meta", Map(&Text)),
];

/// `catalog/service/:name`, and the rows that `catalog/services` is made of.
pub(crate) static SERVICE_NODE: Shape = Struct(&[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("TaggedAddresses", Map(&Text)),
    ("NodeMeta", Map(&Text)),
    ("ServiceKind", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", List(&Text)),
    ("ServiceAddress", Text),
    ("ServiceTaggedAddresses", Map(&SERVICE_ADDRESS)),
    ("ServiceWeights", WEIGHTS),
    ("ServiceMeta", Map(&Text)),
    ("ServicePort", Int),
    ("ServiceSocketPath", Text),
    ("ServiceEnableTagOverride", Bool),
    ("ServiceProxy", PROXY),
    ("ServiceConnect", CONNECT),
    ("PeerName", Text),
]);

/// `catalog/node/:node` and `catalog/node-services/:node`, whose services are filtered, and the service of
/// [`CHECK_SERVICE_NODE`].
pub(crate) static NODE_SERVICE: Shape = Struct(NODE_SERVICE_FIELDS);

const NODE_SERVICE_FIELDS: &[(&str, Shape)] = &[
    ("Kind", Text),
    ("ID", Text),
    ("Service", Text),
    ("Tags", List(&Text)),
    ("Address", Text),
    ("TaggedAddresses", Map(&SERVICE_ADDRESS)),
    ("Meta", Map(&Text)),
    ("Port", Int),
    ("SocketPath", Text),
    ("Weights", WEIGHTS),
    ("EnableTagOverride", Bool),
    ("Proxy", PROXY),
    ("Connect", CONNECT),
    ("PeerName", Text),
];

/// `internal/ui/nodes`.
pub(crate) static NODE_INFO: Shape = Struct(&[
    ("ID", Text),
    ("Node", Text),
    ("Partition", Text),
    ("PeerName", Text),
    ("Address", Text),
    ("TaggedAddresses", Map(&Text)),
    ("Meta", Map(&Text)),
    ("Services", List(&NODE_SERVICE)),
    ("Checks", List(&HEALTH_CHECK)),
]);

/// `health/node/:node`, `health/checks/:service` and `health/state/:state`.
pub(crate) static HEALTH_CHECK: Shape = Struct(&[
    ("Node", Text),
    ("CheckID", Text),
    ("Name", Text),
    ("Status", Text),
    ("Notes", Text),
    ("Output", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", List(&Text)),
    ("Type", Text),
    ("Interval", Text),
    ("Timeout", Text),
    ("ExposedPort", Int),
    ("PeerName", Text),
]);

/// `health/service/:service`, `health/connect/:service` and `health/ingress/:service`.
pub(crate) static CHECK_SERVICE_NODE: Shape = Struct(&[
    ("Node", Struct(NODE_FIELDS)),
    ("Service", Struct(NODE_SERVICE_FIELDS)),
    ("Checks", List(&HEALTH_CHECK)),
]);

static SERVICE_ADDRESS: Shape = Struct(&[("Address", Text), ("Port", Int)]);
const WEIGHTS: Shape = Struct(&[("Passing", Int), ("Warning", Int)]);
const CONNECT: Shape = Struct(&[("Native", Bool)]);
const MESH_GATEWAY: Shape = Struct(&[("Mode", Text)]);

const PROXY: Shape = Struct(&[
    ("EnvoyExtensions", List(&ENVOY_EXTENSION)),
    ("DestinationServiceName", Text),
    ("DestinationServiceID", Text),
    ("LocalServiceAddress", Text),
    ("LocalServicePort", Int),
    ("LocalServiceSocketPath", Text),
    ("Mode", Text),
    ("TransparentProxy", Struct(&[("OutboundListenerPort", Int), ("DialedDirectly", Bool)])),
    ("Upstreams", List(&UPSTREAM)),
    ("MeshGateway", MESH_GATEWAY),
    ("Expose", Struct(&[("Checks", Bool), ("Paths", List(&EXPOSED_PATH))])),
    ("AccessLogs", ACCESS_LOGS),
]);

static ENVOY_EXTENSION: Shape =
    Struct(&[("Name", Text), ("Required", Bool), ("ConsulVersion", Text), ("EnvoyVersion", Text)]);

static UPSTREAM: Shape = Struct(&[
    ("DestinationType", Text),
    ("DestinationNamespace", Text),
    ("DestinationPartition", Text),
    ("DestinationPeer", Text),
    ("DestinationName", Text),
    ("Datacenter", Text),
    ("LocalBindAddress", Text),
    ("LocalBindPort", Int),
    ("LocalBindSocketPath", Text),
    ("LocalBindSocketMode", Text),
    ("MeshGateway", MESH_GATEWAY),
]);

static EXPOSED_PATH: Shape = Struct(&[
    ("ListenerPort", Int),
    ("Path", Text),
    ("LocalPathPort", Int),
    ("Protocol", Text),
    ("ParsedFromCheck", Bool),
]);

const ACCESS_LOGS: Shape = Struct(&[
    ("Enabled", Bool),
    ("DisableListenerLogs", Bool),
    ("Type", Text),
    ("Path", Text),
    ("JSONFormat", Text),
    ("TextFormat", Text),
]);
