//! Reads settings from a file, a directory of secrets and the environment.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};

use super::{Profile, Settings};

/// Why settings cannot be used: every mistake, one per line.
#[derive(Debug, thiserror::Error)]
#[error("{} mistake(s) in the settings:\n  {}", .0.len(), .0.join("\n  "))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Reads the settings of `service`: defaults of the profile, then the file, then the secrets, then the environment.
    ///
    /// The profile is production unless `profile = "dev"` is set.
    ///
    /// # Errors
    /// Every mistake in the file, in the secrets and in the environment.
    pub fn load(service: &str, file: Option<&Path>) -> Result<Self, SettingsError> {
        let prefix = service.to_uppercase().replace('-', "_");
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => std::env::var_os(format!("{prefix}_CONFIG")).map(PathBuf::from),
        };
        let mut given = Figment::new();
        if let Some(file) = file {
            given = given.merge(Toml::file_exact(file));
        }
        if let Some(directory) = std::env::var_os(format!("{prefix}_SECRETS")) {
            given = with_secrets(given, Path::new(&directory))?;
        }
        Self::from_given(&given.merge(Env::prefixed(&format!("{prefix}__")).split("__")))
    }

    fn from_given(given: &Figment) -> Result<Self, SettingsError> {
        let values: Dict = given.extract().map_err(|error| SettingsError(vec![error.to_string()]))?;
        let base = match given.extract_inner::<Profile>("profile") {
            Ok(Profile::Dev) => Self::dev(),
            Ok(Profile::Production) | Err(_) => Self::production(),
        };
        let mut leaves = Vec::new();
        for (key, value) in values {
            collect(key, value, &mut leaves);
        }
        // Each value alone over the defaults, so that one mistake does not hide another.
        let mistakes: Vec<String> = leaves
            .into_iter()
            .filter_map(|(path, value)| {
                let alone =
                    Figment::from(Serialized::defaults(&base)).merge(Serialized::default(&path, value));
                alone.extract::<Self>().err().map(|error| format!("{path}: {}", error.kind))
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(SettingsError(mistakes));
        }
        let settings: Self = Figment::from(Serialized::defaults(&base))
            .merge(given)
            .extract()
            .map_err(|error| SettingsError(vec![error.to_string()]))?;
        match settings.mistakes() {
            mistakes if mistakes.is_empty() => Ok(settings),
            mistakes => Err(SettingsError(mistakes)),
        }
    }
}

/// Adds a directory of files: each is named by the setting that it holds, such as `database.url`. This is how Kubernetes
/// mounts a secret; the names that begin with a dot are its own.
fn with_secrets(mut given: Figment, directory: &Path) -> Result<Figment, SettingsError> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
        SettingsError(vec![format!("{}: {error}", path.display())])
    };
    let entries = std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let Some(name) =
            path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'))
        else {
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        given = given.merge(Serialized::default(name, secret(&path, text.trim())?));
    }
    Ok(given)
}

/// Lists and tables are JSON; everything else is text, even if it looks like a number.
fn secret(path: &Path, text: &str) -> Result<serde_json::Value, SettingsError> {
    if !text.starts_with(['[', '{']) {
        return Ok(text.into());
    }
    // The parser's own message might quote what is secret.
    serde_json::from_str(text).map_err(|error| {
        SettingsError(vec![format!("{}: not JSON at column {}", path.display(), error.column())])
    })
}

fn collect(path: String, value: Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Dict(_, entries) if !entries.is_empty() => {
            for (key, value) in entries {
                collect(format!("{path}.{key}"), value, leaves);
            }
        }
        leaf => leaves.push((path, leaf)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Settings, SettingsError> {
        Settings::from_given(&Figment::new().merge(Toml::string(toml)))
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let settings = read(
            r#"
            profile = "dev"
            time_scale = 1
            [database]
            url = "postgres://u@h/d"
            lanes = 2
            [auth.accepted_callers]
            tester = "a-secret"
            "#,
        )
        .unwrap();
        assert_eq!(settings.profile, Profile::Dev);
        assert_eq!(settings.database.lanes, 2);
        assert_eq!(settings.database.read_connections, 4);
        assert_eq!(settings.auth.accepted_callers.len(), 3);
        assert_eq!(settings.auth.tokens.len(), 6);
    }

    #[test]
    fn all_mistakes_come_in_one_report() {
        let error = read(
            r#"
            profile = "dev"
            colour = "green"
            [database]
            url = "postgres://u@h/d"
            lanes = "many"
            read_url = 5
            pool = 3
            [listen]
            public = "here"
            "#,
        )
        .unwrap_err();
        let paths: Vec<&str> = error.0.iter().filter_map(|mistake| mistake.split(':').next()).collect();
        assert_eq!(
            paths,
            ["colour", "database.lanes", "database.pool", "database.read_url", "listen.public"],
            "{error}"
        );
    }

    #[test]
    fn tokens_can_be_set() {
        let settings = read(
            r#"
            profile = "dev"
            [[auth.tokens]]
            token = "t"
            subject = "someone"
            role = "customer"
            customer_id = "customer-c"
            expires_at = "2030-01-01T00:00:00Z"
            "#,
        )
        .unwrap();
        assert_eq!(settings.auth.tokens.len(), 1);
        assert!(settings.auth.tokens[0].expires_at.is_some());
    }

    #[test]
    fn secrets_are_files_named_by_their_setting() {
        let directory = std::env::temp_dir().join(format!("service-kit-secrets-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("..data")).unwrap();
        let tokens = r#"[{"token": "t", "subject": "someone", "role": "admin"}]"#;
        for (name, text) in [
            ("database.url", "postgres://u:p@h/d\n"),
            ("auth.service_secret", "123456789012345678901234"),
            ("auth.accepted_callers.saga-orchestrator", "another-secret"),
            ("auth.tokens", tokens),
        ] {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let read = || with_secrets(Figment::new().merge(Toml::string(r#"profile = "dev""#)), &directory);
        let settings = Settings::from_given(&read().unwrap()).unwrap();
        assert_eq!(settings.database.url, "postgres://u:p@h/d");
        assert_eq!(settings.auth.service_secret, "123456789012345678901234");
        assert_eq!(settings.auth.accepted_callers["saga-orchestrator"], "another-secret");
        assert_eq!(settings.auth.tokens.len(), 1);

        std::fs::write(directory.join("auth.tokens"), r#"["hunter2""#).unwrap();
        let error = read().unwrap_err().to_string();
        assert!(error.contains("auth.tokens") && !error.contains("hunter2"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn without_a_profile_nothing_is_known_and_nothing_starts() {
        let error = read("").unwrap_err();
        assert_eq!(error.0, ["database.url: must be postgres://…"]);
    }
}
