use std::path::{Path, PathBuf};
use std::process::Command;

/// A filesystem of a few megabytes, gone when this is.
pub(crate) struct Small(PathBuf);

impl Small {
    /// Err: why this machine does not let us.
    pub(crate) fn mount(at: &Path, megabytes: u32) -> Result<Small, String> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        let output = mount.output().map_err(|error| format!("mount: {error}"))?;
        match output.status.success() {
            true => Ok(Small(at.to_owned())),
            false => {
                Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned())
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, because a registry of a test that failed may still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
