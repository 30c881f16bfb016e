//! How does a shell get an argument whole, whatever is in it?

use std::fmt::Write;

use super::is_unsafe;

/// A word as a POSIX shell takes it, in single quotes. What a terminal or a page would not leave as it is, is written by
/// `printf`, so that the command can be shown, copied and pasted, and the argument still arrives whole. (An argument
/// cannot hold NUL; U+FFFD stands for it.)
pub fn quoted(word: &str) -> String {
    if !needs_printf(word) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    // The shell takes newlines from the end of what `printf` writes.
    let body = word.trim_end_matches('\n');
    let mut octal = String::new();
    for it in body.chars() {
        let it = if it == '\0' { '\u{fffd}' } else { it };
        if it.is_ascii_alphanumeric() || " _/=,.:@+".contains(it) || !(it.is_ascii() || is_unsafe(it)) {
            octal.push(it);
        } else {
            let mut bytes = [0; 4];
            for byte in it.encode_utf8(&mut bytes).bytes() {
                let _ = write!(octal, "\\{byte:03o}");
            }
        }
    }
    let newlines = &word[body.len()..];
    let newlines = if newlines.is_empty() { String::new() } else { format!("'{newlines}'") };
    format!("\"$(printf '{octal}')\"{newlines}")
}

fn needs_printf(word: &str) -> bool {
    word.contains(['<', '>', '`']) || word.contains("](") || word.chars().any(is_unsafe)
}

/// A command that is suggested: what begins with a hyphen and is an argument must not be read as an option.
#[derive(Clone, Debug)]
pub struct Command {
    start: String,
    arguments: Vec<String>,
    options: String,
}

impl Command {
    /// A command of our own words, such as `stepscope show`.
    pub fn new(start: &str) -> Self {
        Self { start: start.to_owned(), arguments: Vec::new(), options: String::new() }
    }

    #[must_use]
    pub fn argument(mut self, word: &str) -> Self {
        self.arguments.push(word.to_owned());
        self
    }

    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        let separator = if value.starts_with('-') { '=' } else { ' ' };
        self.options += &format!(" {name}{separator}{}", quoted(value));
        self
    }

    /// An option with a value of our own making, such as a range of times, or with none.
    #[must_use]
    pub fn plain_option(mut self, words: &str) -> Self {
        self.options += &format!(" {words}");
        self
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, arguments, options } = self;
        let words: String = arguments.iter().map(|it| format!(" {}", quoted(it))).collect();
        if arguments.iter().any(|it| it.starts_with('-')) {
            write!(f, "{start}{options} --{words}")
        } else {
            write!(f, "{start}{words}{options}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use super::*;

    fn arrived(shell: &str, words: &[&str]) -> Vec<u8> {
        let all: String = words.iter().map(|it| format!(" {}", quoted(it))).collect();
        let script = format!("show() {{ for it do printf '%s|' \"$it\"; done; }}; show{all}");
        Process::new(shell).args(["-c", &script]).output().expect("a shell").stdout
    }

    #[test]
    fn arguments_arrive_whole() {
        let words = [
            "",
            "Don't",
            "a b",
            "$(touch pwned)",
            "`touch pwned`",
            "it'; touch pwned; '",
            "\\",
            "100 %",
            "-n",
            "!!",
            "a\nb",
            "a\n\n",
            "\u{1b}]0;x\u{7}",
            "é\u{202e}x\u{2028}",
            "<b>](c)",
            "\t\r",
            "%s%n",
            "\"x\"",
            "名前",
            "*?[a]~",
            "\u{9b}31m",
            "#x",
            "\n",
        ];
        let expected: String = words.iter().map(|it| format!("{it}|")).collect();
        assert_eq!(String::from_utf8_lossy(&arrived("sh", &words)), expected);
    }

    #[test]
    fn commands_can_be_shown() {
        for word in ["a\u{1b}[2Jb", "x\u{202e}", "a\nb", "`x`", "<script>"] {
            let shown = quoted(word);
            assert!(!shown.chars().any(is_unsafe) && !shown.contains(['<', '`']), "{shown}");
        }
        assert_eq!(quoted("order-processing"), "'order-processing'");
        assert_eq!(quoted("Don't"), r"'Don'\''t'");
    }

    #[test]
    fn a_hyphen_is_no_option() {
        let shown = |it: Command| it.to_string();
        assert_eq!(
            shown(Command::new("stepscope cost").argument("a b").plain_option("--by day")),
            "stepscope cost 'a b' --by day"
        );
        assert_eq!(
            shown(Command::new("stepscope whatif").argument("-x").option("--work", "-y=0.5")),
            "stepscope whatif --work='-y=0.5' -- '-x'"
        );
    }
}
