//! A directory that is thrown away, even if by the next run: its name carries the id of the process that owns it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::keeper::is_alive;

const PREFIX: &str = "brokerage-dev-";

/// Removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn create() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let name = format!("{PREFIX}{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = parent.join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: what stays is swept by the next run.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Removes what processes left behind that were killed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner_of);
        if owner.is_some_and(|pid| !is_alive(pid)) {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_ours_have_an_owner() {
        assert_eq!(owner_of("brokerage-dev-17-00ff00ff"), Some(17));
        assert_eq!(owner_of("brokerage-dev-x"), None);
        assert_eq!(owner_of("somebody-else-17"), None);
    }

    #[test]
    fn a_dropped_scratch_directory_is_gone() {
        let scratch = Scratch::create().unwrap();
        let path = scratch.path().to_owned();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }
}
