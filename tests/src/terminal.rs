//! The dashboard in a real terminal: tmux presses the keys, changes the size, and reads the screen.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::stepscope::{Bench, binary};

/// How long keys are pressed at random.
const AT_RANDOM: Duration = Duration::from_secs(61);
/// How long something may take to come to the screen.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Debian's, or the one that was fetched; `None` where there is none and nobody insists.
fn tmux() -> Option<PathBuf> {
    let cache = std::env::var_os("STEPSCOPE_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("XDG_CACHE_HOME").map(|it| PathBuf::from(it).join("stepscope")));
    let cache = cache.or_else(|| std::env::home_dir().map(|it| it.join(".cache/stepscope")));
    let fetched = cache.map(|it| it.join("tools/tmux/tmux")).filter(|it| it.exists());
    let answers = |it: &PathBuf| Command::new(it).arg("-V").output().is_ok_and(|it| it.status.success());
    let found = [PathBuf::from("tmux")].into_iter().chain(fetched).find(answers);
    assert!(found.is_some() || std::env::var_os("STEPSCOPE_NEEDS_TMUX").is_none(), "this test needs tmux");
    found
}

/// A terminal with the dashboard on a demo in it.
struct Terminal {
    tmux: PathBuf,
    socket: String,
    bench: Bench,
}

impl Terminal {
    fn open(tmux: PathBuf) -> Self {
        Self::open_on(tmux, Bench::demo(1_000), "")
    }

    /// The dashboard with more arguments, and with credentials that are good for a stand-in.
    fn open_on(tmux: PathBuf, bench: Bench, more: &str) -> Self {
        let socket = bench.folder.path().join("tmux").to_string_lossy().into_owned();
        let it = Self { tmux, socket, bench };
        let shell = format!(
            "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_EC2_METADATA_DISABLED=true; \
             export AWS_CONFIG_FILE=/nowhere/config AWS_SHARED_CREDENTIALS_FILE=/nowhere/credentials; \
             stty -a > before; '{}' --db '{}' dash {more}; echo code=$?; stty -a > after; echo done; sleep 600",
            binary().display(),
            it.bench.db().display()
        );
        let folder = it.bench.folder.path().to_string_lossy().into_owned();
        it.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-c", &folder, &shell]);
        it.tmux(&["set", "-g", "set-clipboard", "on"]);
        it.tmux(&["set", "-g", "escape-time", "0"]);
        it
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.tmux)
            .args(["-S", &self.socket])
            .args(arguments)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("XDG_STATE_HOME", self.bench.folder.path())
            .env_remove("NO_COLOR")
            .output()
            .expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, keys: &str) {
        for key in keys.split(' ') {
            self.tmux(&["send-keys", key]);
        }
    }

    fn type_in(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of this is on the screen.
    fn shows(&self, words: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if words.iter().all(|it| screen.contains(it)) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "{words:?} is not on the screen:\n{screen}");
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn the_dashboard_is_walked_through_shaken_and_left_as_it_was_found() {
    let Some(tmux) = tmux() else {
        eprintln!("left out: tmux is missing");
        return;
    };
    let terminal = Terminal::open(tmux);
    walk(&terminal);
    at_random(&terminal);
    leave(&terminal);
}

/// What the collector says about itself, next to the database.
fn collector_state(bench: &Bench) -> serde_json::Value {
    let path = format!("{}.collector.json", bench.db().display());
    fs::read_to_string(path).ok().and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default()
}

#[test]
fn a_collector_that_is_killed_is_shown_and_started_again() {
    let Some(tmux) = tmux() else {
        eprintln!("left out: tmux is missing");
        return;
    };
    let (service, address) = crate::live::served_in_real_time();
    let terminal = Terminal::open_on(tmux, Bench::new(), &format!("--region us-east-1 --endpoint-url {address}"));
    terminal.shows(&["● live"]);
    let first = collector_state(&terminal.bench)["pid"].as_u64().expect("a process");
    assert!(Command::new("kill").args(["-9", &first.to_string()]).status().is_ok_and(|it| it.success()));
    terminal.shows(&["✗ collector ended", "killed by signal 9"]);
    let screen = terminal.shows(&["● live"]);
    assert!(!screen.contains("collector ended"), "{screen}");
    assert_ne!(collector_state(&terminal.bench)["pid"].as_u64(), Some(first));
    *service.outage.lock().expect("the lock") = crate::stand_in::Outage::Down;
    terminal.shows(&["✗ AWS unreachable since"]);
    *service.outage.lock().expect("the lock") = crate::stand_in::Outage::None;
    terminal.shows(&["● live"]);
    leave(&terminal);
}

/// Every view by its keys, from what is wrong to who is to blame.
fn walk(terminal: &Terminal) {
    terminal.shows(&["3 machines", "Needs a look", "order-processing", "p95"]);
    terminal.press("Enter");
    terminal.shows(&["[6 Incident]", "ChargeCard", "backoff", "bi"]);
    terminal.press("x");
    terminal.shows(&["twins", "most of the difference"]);
    terminal.press("Escape Enter");
    terminal.shows(&["critical path", "ValidateOrder", "●"]);
    terminal.press("Down Down Down Down Enter");
    terminal.shows(&["TaskStateEntered", "esc close"]);
    terminal.press("Escape y a");
    terminal.shows(&["copied"]);
    let copied = terminal.tmux(&["show-buffer"]);
    assert!(copied.starts_with("arn:aws:states:"), "{copied}");
    terminal.press("Escape Escape l");
    terminal.shows(&["[2 Executions]", "SUCCEEDED", "among"]);
    terminal.press("e c");
    terminal.shows(&["written to stepscope-executions.csv"]);
    let exported = fs::read_to_string(terminal.bench.folder.path().join("stepscope-executions.csv")).expect("a file");
    assert!(exported.lines().count() > 500, "{} lines", exported.lines().count());
    terminal.press("d");
    terminal.shows(&["[3 Machine]", "┌", "visits"]);
    terminal.press("b");
    terminal.shows(&["[4 Bottlenecks]", "What if"]);
    terminal.press("o Left Left");
    terminal.shows(&["[x] no back-off", "80 %", "list price"]);
    terminal.press("c");
    terminal.shows(&["[5 Cost]", "Standard (now)"]);
    terminal.press("L");
    terminal.shows(&["[7 Collector]", "No collector has written"]);
    terminal.press(":");
    terminal.type_in("stat");
    terminal.press("Tab Enter");
    terminal.shows(&["states", "PackItem"]);
    terminal.press("O t 2");
    terminal.shows(&["[1 Overview]", "last 1h"]);
    terminal.press("t 0 ?");
    terminal.shows(&["help"]);
    terminal.press("Escape T T T");
    terminal.shows(&["theme: plain"]);
}

/// Keys that are pressed blindly: all but those that leave.
const KEYS: [&str; 62] = [
    "Up", "Down", "Left", "Right", "PageUp", "PageDown", "Home", "End", "Enter", "Enter", "Enter", "Escape", "Escape",
    "Tab", "BTab", "BSpace", "Space", "F1", "F5", "C-o", "C-f", "C-b", "C-u", "0", "1", "2", "3", "4", "5", "6", "7",
    "+", "-", "/", ":", "?", "B", "C", "F", "G", "I", "L", "O", "R", "S", "T", "a", "b", "c", "d", "h", "i", "j", "k",
    "l", "m", "n", "o", "p", "x", "z", "{",
];

fn at_random(terminal: &Terminal) {
    let mut random: u64 = 7;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let begun = Instant::now();
    let mut pressed = Vec::new();
    while begun.elapsed() < AT_RANDOM {
        let keys: Vec<&str> = (0..6).map(|_| KEYS[usize::try_from(next(KEYS.len() as u64)).unwrap_or(0)]).collect();
        let arguments: Vec<&str> = std::iter::once("send-keys").chain(keys.iter().copied()).collect();
        terminal.tmux(&arguments);
        pressed.extend(keys);
        if next(4) == 0 {
            let (width, height) = ((20 + next(180)).to_string(), (5 + next(55)).to_string());
            terminal.tmux(&["resize-window", "-x", &width, "-y", &height]);
        }
        let screen = terminal.screen();
        let is_over = screen.contains("code=") || screen.contains("panicked");
        assert!(!is_over, "after {:?}:\n{screen}", &pressed[pressed.len().saturating_sub(60)..]);
    }
}

/// Quits, and finds the terminal as it was before.
fn leave(terminal: &Terminal) {
    terminal.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    let begun = Instant::now();
    while !terminal.screen().contains("done") {
        assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", terminal.screen());
        terminal.press("Escape q");
        std::thread::sleep(PAUSE);
    }
    let screen = terminal.shows(&["code=0", "done"]);
    assert!(!screen.contains("Overview"), "the other screen is left:\n{screen}");
    let settings = |name: &str| {
        let text = fs::read_to_string(terminal.bench.folder.path().join(name)).expect("what stty said");
        // The size is what was changed on purpose.
        text.lines().skip(1).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(settings("before"), settings("after"));
}
