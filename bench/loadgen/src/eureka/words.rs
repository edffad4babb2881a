//! The requests as bytes: the same for both servers, said as Java clients say them.

/// Instances come twenty to an application.
pub(super) const APP_SIZE: u64 = 20;

/// A clock that stands still, so that a heartbeat never knows better than the registration.
const DIRTY_MS: u64 = 1_700_000_000_000;

pub(super) fn app_of(prefix: &str, n: u64) -> String {
    format!("{prefix}-{:05}", n / APP_SIZE)
}

pub(super) fn id_of(prefix: &str, n: u64) -> String {
    format!("{}:{}:8080", host_of(n), app_of(prefix, n))
}

fn host_of(n: u64) -> String {
    let [.., high, middle, low] = n.to_be_bytes();
    format!("10.{high}.{middle}.{low}")
}

fn path_of(prefix: &str, n: u64) -> String {
    format!("/eureka/apps/{}/{}", app_of(prefix, n).to_ascii_uppercase(), id_of(prefix, n))
}

/// The n-th instance, alive for an hour without a word.
pub(super) fn register(prefix: &str, n: u64, version: u64) -> Vec<u8> {
    let (app, host, id) = (app_of(prefix, n), host_of(n), id_of(prefix, n));
    let upper = app.to_ascii_uppercase();
    let dirty = DIRTY_MS + version;
    let body = format!(
        r#"{{"instance":{{"instanceId":"{id}","hostName":"{host}","app":"{upper}","ipAddr":"{host}","status":"UP","overriddenStatus":"UNKNOWN","port":{{"$":8080,"@enabled":"true"}},"securePort":{{"$":443,"@enabled":"false"}},"countryId":1,"dataCenterInfo":{{"@class":"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo","name":"MyOwn"}},"leaseInfo":{{"renewalIntervalInSecs":30,"durationInSecs":3600,"registrationTimestamp":0,"lastRenewalTimestamp":0,"evictionTimestamp":0,"serviceUpTimestamp":0}},"metadata":{{"management.port":"8080","version":"1.4.{version}"}},"homePageUrl":"http://{host}:8080/","statusPageUrl":"http://{host}:8080/actuator/info","healthCheckUrl":"http://{host}:8080/actuator/health","vipAddress":"{app}","secureVipAddress":"{app}","isCoordinatingDiscoveryServer":"false","lastUpdatedTimestamp":"{dirty}","lastDirtyTimestamp":"{dirty}"}}}}"#
    );
    format!(
        "POST /eureka/apps/{upper} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(super) fn heartbeat(prefix: &str, n: u64) -> Vec<u8> {
    let path = path_of(prefix, n);
    // An older clock than the newest registration's is fine to both.
    format!(
        "PUT {path}?status=UP&lastDirtyTimestamp={DIRTY_MS} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

pub(super) fn cancel(prefix: &str, n: u64) -> Vec<u8> {
    format!("DELETE {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path_of(prefix, n)).into_bytes()
}

pub(super) fn instance(prefix: &str, n: u64) -> Vec<u8> {
    Fetch::PLAIN.request(&path_of(prefix, n))
}

/// How an answer is wanted.
#[derive(Clone, Copy)]
pub(super) struct Fetch {
    pub(super) is_json: bool,
    pub(super) is_packed: bool,
}

impl Fetch {
    /// As what is there is counted.
    pub(super) const PLAIN: Fetch = Fetch { is_json: true, is_packed: false };

    pub(super) const ALL: [Fetch; 4] = [
        Fetch { is_json: true, is_packed: false },
        Fetch { is_json: true, is_packed: true },
        Fetch { is_json: false, is_packed: false },
        Fetch { is_json: false, is_packed: true },
    ];

    pub(super) fn request(self, path: &str) -> Vec<u8> {
        let accept = if self.is_json { "application/json" } else { "application/xml" };
        let encoding = if self.is_packed { "gzip" } else { "identity" };
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nAccept-Encoding: {encoding}\r\n\r\n"
        )
        .into_bytes()
    }

    /// How many instances an answer that is not packed has.
    pub(super) fn count(self, body: &[u8]) -> usize {
        let sign: &[u8] = if self.is_json { b"\"instanceId\":" } else { b"<instanceId>" };
        body.windows(sign.len()).filter(|window| *window == sign).count()
    }
}

impl std::fmt::Display for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dialect = if self.is_json { "JSON" } else { "XML" };
        write!(f, "{dialect}{}", if self.is_packed { ", gzip" } else { "" })
    }
}
