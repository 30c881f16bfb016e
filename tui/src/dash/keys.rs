//! Which key does what, and where; a configuration may say otherwise.

use std::fmt;

use super::screen::View;

/// A key as it was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Function(u8),
}

const NAMED: [(&str, Key); 15] = [
    ("enter", Key::Enter),
    ("esc", Key::Esc),
    ("tab", Key::Tab),
    ("shift-tab", Key::BackTab),
    ("backspace", Key::Backspace),
    ("up", Key::Up),
    ("down", Key::Down),
    ("left", Key::Left),
    ("right", Key::Right),
    ("pageup", Key::PageUp),
    ("pagedown", Key::PageDown),
    ("home", Key::Home),
    ("end", Key::End),
    ("space", Key::Char(' ')),
    ("return", Key::Enter),
];

impl Key {
    /// Reads `x`, `ctrl-x`, `f5`, `space`, `enter`, …
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_lowercase();
        let mut chars = text.chars();
        if let (Some(only), None) = (chars.next(), chars.next()) {
            return Some(Self::Char(only));
        }
        if let Some(named) = NAMED.iter().find(|it| it.0 == lower) {
            return Some(named.1);
        }
        if let Some(letter) = lower.strip_prefix("ctrl-") {
            let mut letters = letter.chars();
            return letters.next().filter(|_| letters.next().is_none()).map(Self::Ctrl);
        }
        lower.strip_prefix('f').and_then(|it| it.parse().ok()).filter(|it| (1..=12).contains(it)).map(Self::Function)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => out.write_str("space"),
            Self::Char(it) => write!(out, "{it}"),
            Self::Ctrl(it) => write!(out, "ctrl-{it}"),
            Self::Function(it) => write!(out, "F{it}"),
            Self::Up => out.write_str("↑"),
            Self::Down => out.write_str("↓"),
            Self::Left => out.write_str("←"),
            Self::Right => out.write_str("→"),
            named => out.write_str(NAMED.iter().find(|it| it.1 == *named).map_or("?", |it| it.0)),
        }
    }
}

macro_rules! actions {
    ($($name:ident $text:literal $($scope:ident)? [$($key:expr),+] $help:literal,)+) => {
        /// What a key can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $($name,)+ }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }

            /// The only view in which it does something; `None` for all.
            fn scope(self) -> Option<View> {
                match self { $(Self::$name => { let it: Option<View> = None; $(let it = it.or(Some(View::$scope));)? it })+ }
            }

            fn default_keys(self) -> Vec<Key> {
                use Key::{BackTab, Backspace, Char, Ctrl, Down, End, Enter, Esc, Function, Home, Left, PageDown, PageUp, Right, Tab, Up};
                match self { $(Self::$name => vec![$($key),+],)+ }
            }
        }
    };
}

actions! {
    Up "up" [Up, Char('k')] "up",
    Down "down" [Down, Char('j')] "down",
    PageUp "page-up" [PageUp, Ctrl('b')] "a page up",
    PageDown "page-down" [PageDown, Ctrl('f')] "a page down",
    First "first" [Home, Char('g')] "first",
    Last "last" [End, Char('G')] "last",
    Left "left" [Left] "left: back, pan, less",
    Right "right" [Right] "right: open, pan, more",
    Open "open" [Enter] "open",
    Back "back" [Esc, Backspace] "back",
    Forward "forward" [Char('u'), Ctrl('o')] "undo going back",
    NextView "next-view" [Tab] "next view",
    PreviousView "previous-view" [BackTab] "previous view",
    Overview "overview" [Char('O'), Char('1')] "all machines",
    Executions "executions" [Char('l'), Char('2')] "executions",
    Machine "machine" [Char('d'), Char('3')] "definition and states",
    Bottlenecks "bottlenecks" [Char('b'), Char('w'), Char('4')] "bottlenecks, what-if",
    Cost "cost" [Char('c'), Char('5')] "cost",
    Incident "incident" [Char('i'), Char('6')] "incident",
    Collector "collector" [Char('L'), Char('7')] "collector",
    NextMachine "next-machine" [Char('n')] "next machine",
    PreviousMachine "previous-machine" [Char('p')] "previous machine",
    Range "range" [Char('t')] "time range",
    Filter "filter" [Char('/')] "filter",
    Find "find" [Char('F')] "find in stored texts",
    Command "command" [Char(':')] "type a command",
    Sort "sort" [Char('s')] "sort by the next column",
    Reverse "reverse" [Char('S')] "sort the other way round",
    Reload "reload" [Char('r'), Function(5)] "reload",
    Freeze "freeze" [Char('z')] "freeze what is shown",
    Copy "copy" [Char('y')] "copy",
    Export "export" [Char('e')] "export what is shown",
    Theme "theme" [Char('T')] "next theme",
    Help "help" [Char('?'), Function(1)] "help",
    Quit "quit" [Char('q')] "quit",
    Mark "mark" Executions [Char('m'), Char(' ')] "mark for comparison",
    CompareMarked "compare-marked" Executions [Char('x')] "compare the two marked",
    Fold "fold" Timeline [Char(' ')] "fold and unfold",
    ZoomIn "zoom-in" Timeline [Char('+'), Char('=')] "zoom in",
    ZoomOut "zoom-out" Timeline [Char('-')] "zoom out",
    Fit "fit" Timeline [Char('0')] "show all of it",
    Traces "traces" Timeline [Char('x')] "X-Ray below Tasks",
    Twin "twin" Timeline [Char('v')] "beside a typical run",
    Parent "parent" Timeline [Char('P')] "the execution that started it",
    Heat "heat" Machine [Char('h')] "heat by something else",
    NoBackoff "no-backoff" Bottlenecks [Char('o')] "without back-off",
    NoRetries "no-retries" Bottlenecks [Char('R')] "without retries",
    NoColdStarts "no-cold-starts" Bottlenecks [Char('C')] "without cold starts",
    MoreSlots "more-slots" Bottlenecks [Char('+'), Char('=')] "more items at once",
    FewerSlots "fewer-slots" Bottlenecks [Char('-')] "fewer items at once",
    Reset "reset" Bottlenecks [Char('0')] "as recorded",
    MarkBaseline "mark-baseline" Incident [Char('B')] "begin or end the baseline",
    MarkIncident "mark-incident" Incident [Char('I')] "begin or end the incident",
    NextChange "next-change" Incident [Char('}'), Char(']')] "next change found",
    PreviousChange "previous-change" Incident [Char('{'), Char('[')] "previous change found",
    AllCauses "all-causes" Incident [Char('a')] "also what is not significant",
    CompareExample "compare-example" Incident [Char('x')] "example beside its twin",
}

/// The keys in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMap(Vec<(Key, Action)>);

impl Default for KeyMap {
    fn default() -> Self {
        let keys = |action: &Action| action.default_keys().into_iter().map(|key| (key, *action)).collect::<Vec<_>>();
        Self(Action::ALL.iter().flat_map(keys).collect())
    }
}

impl KeyMap {
    /// Gives an action other keys; they lose what they did in the same views.
    pub fn bind(&mut self, action: Action, keys: &[Key]) {
        let collides =
            |other: Action| other.scope().is_none() || action.scope().is_none() || other.scope() == action.scope();
        self.0.retain(|(key, other)| *other != action && !(keys.contains(key) && collides(*other)));
        self.0.extend(keys.iter().map(|key| (*key, action)));
    }

    /// What a key does in a view: the view's own meaning before the general one.
    pub(super) fn action(&self, key: Key, view: View) -> Option<Action> {
        let mut meant = self.0.iter().filter(|it| it.0 == key).map(|it| it.1);
        let own = meant.clone().find(|it| it.scope() == Some(view));
        own.or_else(|| meant.find(|it| it.scope().is_none()))
    }

    /// The first key of an action.
    pub(super) fn key(&self, action: Action) -> Option<Key> {
        self.0.iter().find(|it| it.1 == action).map(|it| it.0)
    }

    /// Every action that does something in a view, with its keys: what is the view's own first.
    pub(super) fn of_view(&self, view: View) -> Vec<(String, &'static str)> {
        let line = |action: &Action| {
            let keys: Vec<String> = self.0.iter().filter(|it| it.1 == *action).map(|it| it.0.to_string()).collect();
            (keys.join(" "), action.help())
        };
        let own = Action::ALL.iter().filter(|it| it.scope() == Some(view));
        let general = Action::ALL.iter().filter(|it| it.scope().is_none());
        own.chain(general).map(line).filter(|it| !it.0.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_view() {
        let map = KeyMap::default();
        for (index, (key, action)) in map.0.iter().enumerate() {
            let twice = map.0[index + 1..].iter().filter(|it| it.0 == *key && it.1.scope() == action.scope()).count();
            assert_eq!(twice, 0, "{key} of {}", action.as_str());
        }
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let known = [Key::Char('q'), Key::Ctrl('o'), Key::Function(5), Key::Char(' '), Key::Enter, Key::BackTab];
        for it in known {
            assert_eq!(Key::parse(&it.to_string()), Some(it), "{it}");
        }
        assert_eq!(["", "ctrl-", "f13", "hyper-x"].map(Key::parse), [None; 4]);
    }

    #[test]
    fn a_key_that_is_bound_anew_loses_what_it_did() {
        let mut map = KeyMap::default();
        map.bind(Action::Freeze, &[Key::Char('q')]);
        assert_eq!(map.action(Key::Char('q'), View::Overview), Some(Action::Freeze));
        assert_eq!((map.key(Action::Quit), map.action(Key::Char('z'), View::Overview)), (None, None));
        map.bind(Action::Mark, &[Key::Char('h')]);
        assert_eq!(map.action(Key::Char('h'), View::Machine), Some(Action::Heat), "another view keeps its own");
    }
}
