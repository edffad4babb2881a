use switchboard_model::{Health, Name};
use switchboard_registry::InstanceView;

use crate::ask::Ask;
use crate::refusal::Refusal;

/// Which instances a read wants.
#[derive(Debug)]
pub(super) struct Filter {
    status: Wanted,
    tags: Vec<String>,
    metadata: Vec<(String, String)>,
    zone: Option<String>,
    node: Option<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    /// Those that consumers are given.
    Healthy,
    Any,
    Only(Health),
}

impl Filter {
    pub(super) fn take(ask: &mut Ask, default: Wanted) -> Result<Filter, Refusal> {
        let status = match ask.take("status")? {
            None => default,
            Some(word) => wanted(&word)?,
        };
        Ok(Filter {
            status,
            tags: ask.take_all("tag"),
            metadata: ask.take_prefixed("meta."),
            zone: ask.take("zone")?,
            node: ask.take_name("node")?,
        })
    }

    /// What a look-up means when it says nothing else.
    pub(super) fn live() -> Filter {
        Filter { status: Wanted::Healthy, tags: Vec::new(), metadata: Vec::new(), zone: None, node: None }
    }

    pub(super) fn admits(&self, view: &InstanceView) -> bool {
        let instance = &view.instance;
        let status = match self.status {
            Wanted::Healthy => view.is_served(),
            Wanted::Any => true,
            Wanted::Only(health) => view.health == health,
        };
        let node = |want: &Name| instance.key.node.as_ref() == Some(want);
        status
            && self.tags.iter().all(|tag| instance.tags.contains(tag))
            && self.metadata.iter().all(|(key, value)| instance.metadata.get(key) == Some(value))
            && self.zone.as_ref().is_none_or(|zone| instance.zone.as_deref() == Some(zone))
            && self.node.as_ref().is_none_or(node)
    }
}

const STATUSES: [Health; 8] = [
    Health::Passing,
    Health::Warning,
    Health::Suspect,
    Health::Starting,
    Health::Draining,
    Health::OutOfService,
    Health::Critical,
    Health::Lapsed,
];

fn wanted(word: &str) -> Result<Wanted, Refusal> {
    match word {
        "healthy" => Ok(Wanted::Healthy),
        "any" => Ok(Wanted::Any),
        other => {
            STATUSES.into_iter().find(|health| health.as_str() == other).map(Wanted::Only).ok_or_else(|| {
                let known: Vec<&str> = STATUSES.iter().map(|health| health.as_str()).collect();
                Refusal::malformed(
                    "status",
                    format!("{other:?} is not one of healthy, any, {}", known.join(", ")),
                )
            })
        }
    }
}

/// Cuts a page out of `items`, which begin after the last page. Returns the page and where the next one begins.
pub(super) fn cut<T>(
    items: impl Iterator<Item = T>,
    limit: usize,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let mut page: Vec<T> = items.take(limit.saturating_add(1)).collect();
    if page.len() <= limit {
        return (page, None);
    }
    page.truncate(limit);
    let next = page.last().map(name);
    (page, next)
}
