//! Which profiles are there? Read from the files that the SDK reads, so that a name that is not among them is refused by name.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The names of all profiles, in the order of the alphabet.
pub fn profiles() -> BTreeSet<String> {
    let of_config = read("AWS_CONFIG_FILE", "config").lines().filter_map(of_config).collect::<Vec<_>>();
    let of_credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    of_config.into_iter().chain(of_credentials.lines().filter_map(section).map(str::to_owned)).collect()
}

/// Where they are looked for.
pub fn profile_files() -> Vec<PathBuf> {
    [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
        .iter()
        .filter_map(|(variable, name)| place(variable, name))
        .collect()
}

fn place(variable: &str, name: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).filter(|it| !it.is_empty()).map(PathBuf::from);
    given.or_else(|| Some(std::env::home_dir()?.join(".aws").join(name)))
}

fn read(variable: &str, name: &str) -> String {
    let bytes = place(variable, name).and_then(|it| std::fs::read(it).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn section(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split(']').next().map(str::trim)
}

/// In the configuration all but the default are called `profile NAME`.
fn of_config(line: &str) -> Option<String> {
    let name = section(line)?;
    match name.split_once(char::is_whitespace) {
        Some(("profile", name)) => Some(name.trim().trim_matches(['"', '\'']).to_owned()),
        None if name == "default" => Some(name.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_both_files_are_profiles() {
        for (line, expected) in [
            ("[profile prod]", Some("prod")),
            ("  [ profile  a b ]  # a comment", Some("a b")),
            ("[default]", Some("default")),
            ("[profile \"quoted\"]", Some("quoted")),
            ("[sso-session corp]", None),
            ("[plain]", None),
            ("region = eu-west-1", None),
        ] {
            assert_eq!(of_config(line).as_deref(), expected, "{line}");
        }
        assert_eq!(section("[plain]"), Some("plain"));
    }
}
