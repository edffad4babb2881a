use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files and connections that this process may have open. None: without limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFiles {
    pub(crate) now: Option<u64>,
    pub(crate) at_most: Option<u64>,
}

pub(crate) fn open_files() -> OpenFiles {
    let limit = getrlimit(Resource::Nofile);
    OpenFiles { now: limit.current, at_most: limit.maximum }
}

/// Shells start programs with a limit made for programs that wait with `select`. A registry has thousands of watchers.
pub(crate) fn raise_open_files() {
    let OpenFiles { at_most, .. } = open_files();
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: at_most, maximum: at_most }) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}
