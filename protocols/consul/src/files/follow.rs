//! When definitions are read again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::read::is_definition;
use crate::facade::Shared;

/// Whoever writes one file often writes another at once.
const SETTLE: Duration = Duration::from_millis(100);

pub(crate) async fn follow(state: Shared) {
    let Some(place) = state.files.place.clone() else { return std::future::pending().await };
    let (tell, mut told) = mpsc::channel(1);
    // Watching begins before reading, so that no change falls in between.
    let watcher = watch(&place, tell);
    if let Err(error) = &watcher {
        let place = place.display();
        tracing::warn!(%error, %place, "changes of service definitions go unnoticed; SIGHUP has them read again");
    }
    let mut hangup = signal(SignalKind::hangup()).ok();
    load(&state).await;
    loop {
        tokio::select! {
            () = state.context.stop.cancelled() => return,
            Some(()) = told.recv(), if watcher.is_ok() => {
                tokio::time::sleep(SETTLE).await;
                let _ = told.try_recv();
            }
            () = hung_up(&mut hangup) => tracing::info!("SIGHUP: service definitions are read again"),
        }
        load(&state).await;
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    let heard = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

/// What is wrong has been logged.
async fn load(state: &Shared) {
    let _ = state.load_files().await;
}

/// Tells of every change that could matter; one that nobody has looked at yet is told only once.
fn watch(place: &Path, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let is_folder = place.is_dir();
    let only: Option<PathBuf> = (!is_folder).then(|| place.to_owned());
    let matters = move |event: &Event| {
        !matches!(event.kind, EventKind::Access(_))
            && event.paths.iter().any(|path| match &only {
                Some(only) => path.file_name() == only.file_name(),
                // A folder whose files are links into another shows an exchange of it under other names.
                None => is_definition(path) || path.extension().is_none(),
            })
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.map_or(true, |event| matters(&event)) {
            let _ = tell.try_send(());
        }
    })?;
    let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(if is_folder { place } else { parent }, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
