//! Definitions of services and checks in files, as agents of Consul have them: read at the start, read again when they change,
//! when the process is told so by SIGHUP, and by `agent/reload`.

mod blocks;
mod follow;
mod keys;
mod read;

use std::collections::BTreeMap;
use std::path::PathBuf;

use switchboard_model::Owner;
use switchboard_registry::Caller;
use tokio::sync::Mutex;

use crate::facade::State;
use crate::lens::{Place, check_from_body};
use crate::plan::{ApplyFiles, FileChecks, FileWish};
use crate::refusal::Refusal;
use read::{Definitions, Found};

pub(crate) use follow::follow;

/// Where the definitions are, and one reading at a time.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) place: Option<PathBuf>,
    reading: Mutex<()>,
}

impl Files {
    pub(crate) fn new(place: Option<PathBuf>) -> Files {
        Files { place, reading: Mutex::new(()) }
    }
}

impl State {
    /// Brings the registry to what the files say. What is wrong with some of them is said; what they brought earlier stays.
    pub(crate) async fn load_files(&self) -> Result<(), Refusal> {
        let Some(place) = self.files.place.clone() else { return Ok(()) };
        let _one = self.files.reading.lock().await;
        let found = tokio::task::spawn_blocking(move || read::all(&place)).await;
        let found = found.map_err(|error| Refusal::failed(format!("reading the definitions: {error}")))?;
        let found = found.map_err(|why| {
            tracing::warn!("service definitions could not be read: {why}; what they brought earlier stays");
            Refusal::failed(why)
        })?;
        let (wish, problems) = self.wish(found)?;
        let names: Vec<_> = wish.files.iter().map(|file| file.name.clone()).collect();
        let committed = self.context.registry.submit(&Caller::internal("consul"), wish).await;
        let committed =
            committed.inspect_err(|why| tracing::warn!(%why, "service definitions were refused"))?;
        if committed.changed {
            tracing::info!(files = names.join(", "), "service definitions were applied");
        }
        for problem in &problems {
            tracing::warn!("{problem}; what it brought earlier stays");
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Refusal::failed(problems.join("\n"))),
        }
    }

    fn wish(&self, found: Vec<Found>) -> Result<(ApplyFiles, Vec<String>), Refusal> {
        let agent = self.here.own();
        let mut wish = ApplyFiles { on: self.ensure(&agent, false)?, files: Vec::new(), broken: Vec::new() };
        let mut problems = Vec::new();
        // By id, in which file it was first.
        let mut services: BTreeMap<String, String> = BTreeMap::new();
        let mut checks: BTreeMap<String, String> = BTreeMap::new();
        for Found { name, read } in found {
            let made = read.and_then(|definitions| {
                let file = self.file_wish(&name, &definitions)?;
                let ids = file.services.iter().map(|service| service.instance.key.id.as_str());
                once(&mut services, "service", ids, &name)?;
                once(&mut checks, "check", file.check_ids(), &name)?;
                Ok(file)
            });
            match made {
                Ok(file) => wish.files.push(file),
                Err(why) => {
                    problems.push(format!("{name}: {why}"));
                    wish.broken.push(name);
                }
            }
        }
        Ok((wish, problems))
    }

    fn file_wish(&self, name: &str, definitions: &Definitions) -> Result<FileWish, String> {
        let agent = self.here.own();
        let mut file = FileWish { name: name.to_owned(), services: Vec::new(), checks: Vec::new() };
        for (place, body) in &definitions.services {
            let made = self.registration(&agent, body, false);
            file.services.push(made.map_err(|refusal| definitions.said(place, &refusal.text))?);
        }
        for (place, body) in &definitions.checks {
            let id = [&body.id, &body.name].into_iter().find(|id| !id.is_empty());
            let said = |refusal: Refusal| definitions.said(place, &refusal.text);
            let id = id.ok_or_else(|| said(Refusal::bad("Missing check name")))?;
            let owner = Owner::Node(agent.key());
            let name = if body.name.is_empty() { id } else { &body.name };
            let made = check_from_body(&Place { owner, id, name, alone: true, is_elsewhere: false }, body);
            let of = Some(body.service_id.clone()).filter(|id| !id.is_empty());
            file.checks.push(FileChecks { of, check: made.map_err(said)? });
        }
        Ok(file)
    }
}

/// An id is for one definition only.
fn once<'a>(
    seen: &mut BTreeMap<String, String>,
    what: &str,
    ids: impl Iterator<Item = &'a str>,
    file: &str,
) -> Result<(), String> {
    let mut own: BTreeMap<&str, ()> = BTreeMap::new();
    let mut fresh = Vec::new();
    for id in ids {
        if let Some(other) = seen.get(id) {
            return Err(format!("{what} {id:?} is in {other}, too"));
        }
        if own.insert(id, ()).is_some() {
            return Err(format!("{what} {id:?} is in it twice"));
        }
        fresh.push(id.to_owned());
    }
    seen.extend(fresh.into_iter().map(|id| (id, file.to_owned())));
    Ok(())
}
