use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use switchboard_discover::Source;
use switchboard_facade::{
    Context, Facade, HttpMeters, Limits, Listener, Listening, Metrics, Needs, Stop, serve_http,
};
use switchboard_registry::Registry;

use crate::config::Config;
use crate::gateway::{Front, Gateway};
use crate::upstream::Dialer;
use crate::{admin, follow};

/// Binds the listeners.
pub(crate) fn open(config: Config) -> anyhow::Result<Opened> {
    config.check()?;
    let listener = Listener::bind("gateway", &config.listen())?;
    let admin = match config.admin_listen() {
        None => None,
        Some(listen) => {
            let bound = Listener::bind("gateway", &listen);
            Some(bound.with_context(|| format!("the page gateway.admin.listen = \"{}\"", listen.address))?)
        }
    };
    Ok(Opened { config, listener, admin })
}

pub(crate) struct Opened {
    config: Config,
    listener: Listener,
    admin: Option<Listener>,
}

/// How often connections are looked at that nobody uses.
const SWEEP: Duration = Duration::from_secs(5);

#[async_trait]
impl Facade for Opened {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn listening(&self) -> Vec<Listening> {
        let admin = self.admin.as_ref().map(|admin| admin.listening("admin page"));
        [Some(self.listener.listening("http")), admin].into_iter().flatten().collect()
    }

    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()> {
        self.run(Origin::Registry(context.registry), &context.metrics, context.stop).await
    }
}

/// Where services come from.
pub(crate) enum Origin {
    /// The registry in this process: all that there are.
    Registry(Registry),
    /// A registry elsewhere: those that somebody asks for.
    Source(Arc<dyn Source>),
}

impl Opened {
    /// Serves until told to stop, then finishes what it has begun.
    pub(crate) async fn run(self, from: Origin, metrics: &Metrics, stop: Stop) -> anyhow::Result<()> {
        let Opened { config, listener, admin } = self;
        let own = [Some(listener.address()), admin.as_ref().map(Listener::address)];
        let dialer = Dialer::new(&config, own.into_iter().flatten().collect());
        let limits = config.limits.of_listener();
        let (registry, source) = match from {
            Origin::Registry(registry) => (Some(registry), None),
            Origin::Source(source) => (None, Some(source)),
        };
        let gateway = Gateway::new(config, dialer, listener.address().port(), source, stop.clone())?;
        let gateway = Arc::new(gateway);
        gateway.meters.register(metrics, gateway.services.clone());
        let meters = HttpMeters::default();
        meters.register("gateway", metrics);
        let following = registry.map(|registry| tokio::spawn(follow::follow(gateway.clone(), registry)));
        let sweeping = tokio::spawn(sweep(gateway.clone()));
        let serving = serve_http(listener, limits, meters, Front(gateway.clone()), stop.clone());
        let page = async {
            if let Some(admin) = admin {
                let limits = Limits { connections: 64, ..Limits::default() };
                serve_http(
                    admin,
                    limits,
                    HttpMeters::default(),
                    admin::Page(gateway.clone(), metrics.clone()),
                    stop,
                )
                .await;
            }
        };
        tokio::join!(serving, page);
        gateway.tunnels.ended().await;
        following.iter().for_each(|following| following.abort());
        sweeping.abort();
        Ok(())
    }
}

async fn sweep(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for service in gateway.services.all().iter().chain(gateway.fixed.values()) {
            service.present().iter().for_each(|endpoint| endpoint.state.sweep());
        }
    }
}
