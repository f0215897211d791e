//! Finds programs: on the path, and where distributions hide Postgres.

use std::path::{Path, PathBuf};

/// The full path of a program on `PATH`.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// The directory that holds `postgres` and `initdb`, newest version first where several are installed.
#[must_use]
pub fn postgres_dir() -> Option<PathBuf> {
    let from_path = on_path("postgres")
        .and_then(|found| found.canonicalize().ok())
        .and_then(|found| found.parent().map(Path::to_owned));
    from_path.into_iter().chain(well_known_dirs()).find(|dir| is_complete(dir))
}

fn is_complete(dir: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|name| dir.join(name).is_file())
}

fn well_known_dirs() -> Vec<PathBuf> {
    let mut dirs = versions_under("/usr/lib/postgresql", "bin");
    dirs.extend(versions_under("/opt/homebrew/opt", "bin"));
    dirs.extend(versions_under("/usr/local/opt", "bin"));
    dirs.extend(versions_under("/usr", "bin").into_iter().filter(|d| d.to_string_lossy().contains("pgsql-")));
    dirs.extend(versions_under("/usr/libexec", ""));
    dirs
}

/// `parent/*/suffix`, the highest version number first.
fn versions_under(parent: &str, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort_by_key(|path| std::cmp::Reverse(version_of(path)));
    found.into_iter().map(|path| path.join(suffix)).collect()
}

fn version_of(path: &Path) -> u32 {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let digits: String =
        name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_two_digit_version_is_newer_than_a_one_digit_version() {
        assert!(
            version_of(Path::new("/usr/lib/postgresql/15"))
                > version_of(Path::new("/usr/lib/postgresql/9.6"))
        );
        assert_eq!(version_of(Path::new("/opt/homebrew/opt/postgresql@17")), 17);
        assert_eq!(version_of(Path::new("/opt/homebrew/opt/openssl")), 0);
    }
}
