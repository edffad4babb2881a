use std::net::IpAddr;

/// Who asks. Authorisation looks at it in one place for all protocols, on the effect of what is asked.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The protocol, or the part of this program, that the wish came through.
    pub through: &'static str,
    /// The other end of the connection; None: this process itself.
    pub peer: Option<IpAddr>,
}

impl Caller {
    /// A part of this program.
    pub fn internal(through: &'static str) -> Caller {
        Caller { through, peer: None }
    }

    /// On this machine, as far as the connection shows.
    pub fn is_local(&self) -> bool {
        self.peer.is_none_or(|peer| peer.to_canonical().is_loopback())
    }
}
