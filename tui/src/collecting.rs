//! How does collecting go? What a collector says about itself, and what that means a while later.
//!
//! ```text
//!   collector ── says what it is, when AWS answered, when it stored, what is in the way ──▶ CollectorState
//!   CollectorState, now ──▶ Light: a sign, a few words for a header, sentences, and what to do
//! ```
//!
//! Nothing here is assumed: a process that runs and has read nothing is not live.

use analyzer::model::{Micros, Timestamp};
use serde::{Deserialize, Serialize};

use crate::text;

/// The name and number of this form.
pub const SCHEMA: &str = "stepscope.collector_state/1";

/// A collector that has said nothing for so long hangs, or was killed.
const SILENT: Micros = Micros(20_000_000);
/// Without an answer for so long, and for so many rounds, nothing is live.
const UNANSWERED: Micros = Micros(30_000_000);
const ROUNDS: i64 = 3;
/// An obstacle of less than this, or right after an answer, is not worth a word.
const PASSING: Micros = Micros(3_000_000);
/// What is read is stored within this, and a few rounds.
const UNSTORED: Micros = Micros(60_000_000);
/// A single run that failed longer ago than this is not worth an alarm.
const A_DAY: Micros = Micros(86_400_000_000);
/// How words begin that say what stops everything.
pub const NOT_COLLECTING: &str = "not collecting: ";
/// How long a start may take.
const TO_START: Micros = Micros(30_000_000);

/// What is in the way of collecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    NoCredentials,
    ExpiredCredentials,
    InvalidCredentials,
    WrongClock,
    Unreachable,
    ServiceError,
    Throttled,
    Denied,
}

/// An API that does not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingApi {
    pub api: String,
    pub obstacle: Obstacle,
    /// The permission that is missing, or the code of the service's error.
    pub detail: Option<String>,
    pub since_us: i64,
}

/// One account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetState {
    pub profile: Option<String>,
    pub region: Option<String>,
    pub account: Option<String>,
    pub answered_at_us: Option<i64>,
    pub failing: Vec<FailingApi>,
    pub next_try_at_us: Option<i64>,
}

/// How a collector ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub at_us: i64,
    /// The exit code, or the signal that ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub reason: Option<String>,
    pub fix: Option<String>,
}

/// What a collector says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorState {
    pub schema: String,
    pub pid: u32,
    /// Whether it goes on until it is stopped.
    pub follows: bool,
    pub interval_s: u64,
    pub started_at_us: i64,
    /// When it last said anything.
    pub spoke_at_us: i64,
    /// When it last stored something.
    pub stored_at_us: Option<i64>,
    pub targets: Vec<TargetState>,
    pub ended: Option<Ended>,
    /// When it is started again.
    pub next_start_at_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Nothing collects, and nothing is wrong with that.
    Off,
    Starting,
    Live,
    /// It collects, but not everything.
    Partly,
    Down,
}

/// How collecting goes at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Light {
    pub colour: Colour,
    /// For a header: without the sign, and in fewer words.
    pub words: String,
    pub short: &'static str,
    /// When the next try is due, in words.
    pub next: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Light {
    /// What is shown before the words: each colour has a sign of its own.
    pub fn sign(&self) -> &'static str {
        match self.colour {
            Colour::Off => "○",
            Colour::Starting => "·",
            Colour::Live => "●",
            Colour::Partly => "▲",
            Colour::Down => "✗",
        }
    }

    /// Everything in one line.
    pub fn sentence(&self) -> String {
        let more = self.next.iter().chain(&self.fix);
        std::iter::once(&self.words).chain(more).map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

impl Obstacle {
    /// Whether nothing can be read at all because of it.
    fn stops_everything(self) -> bool {
        !matches!(self, Self::Throttled | Self::Denied)
    }
}

impl TargetState {
    /// What the user calls it.
    fn name(&self) -> String {
        match (&self.profile, &self.account, &self.region) {
            (Some(profile), ..) => format!("profile `{}`", text::plain(profile)),
            (None, Some(account), Some(region)) => format!("{account} {region}"),
            (None, None, Some(place)) if place.starts_with("s3://") => place.clone(),
            _ => "the default profile".to_owned(),
        }
    }

    fn answered_at(&self) -> Option<Timestamp> {
        self.answered_at_us.map(Timestamp)
    }

    /// What stops everything here, unless it has only just begun after an answer.
    fn blocked(&self, now: Timestamp) -> Option<&FailingApi> {
        let is_old = |it: &&FailingApi| {
            let since = Timestamp(it.since_us);
            self.answered_at().is_none_or(|at| now - at > PASSING && now - since > PASSING)
        };
        let mut failing = self.failing.iter().filter(|it| it.obstacle.stops_everything()).filter(is_old);
        failing.next()
    }

    fn words(&self, it: &FailingApi, now: Timestamp) -> String {
        let since = clock(Timestamp(it.since_us), now);
        let code = it.detail.as_ref().map_or_else(String::new, |it| format!(" ({})", text::plain(it)));
        match it.obstacle {
            Obstacle::NoCredentials => format!("not collecting: no credentials for {}", self.name()),
            Obstacle::ExpiredCredentials => {
                format!("not collecting: the credentials of {} have expired since {since}", self.name())
            }
            Obstacle::InvalidCredentials => {
                format!("not collecting: the credentials of {} are refused{code}", self.name())
            }
            Obstacle::WrongClock => "not collecting: AWS refuses the time of this machine's clock".to_owned(),
            Obstacle::Unreachable => format!("AWS unreachable since {since}"),
            Obstacle::ServiceError => format!("AWS answers with errors since {since}{code}"),
            Obstacle::Throttled => format!("{} is throttled since {since}", it.api),
            Obstacle::Denied => {
                let permission = it.detail.as_deref().unwrap_or(&it.api);
                format!("`{}` is denied since {since}", text::plain(permission))
            }
        }
    }

    fn fix(&self, it: &FailingApi) -> String {
        let profile = self.profile.as_ref().map(|it| text::quoted(it));
        let with_profile = profile.as_ref().map_or_else(String::new, |it| format!(" --profile {it}"));
        match it.obstacle {
            Obstacle::NoCredentials if profile.is_none() => {
                "sign in with `aws sso login` or `aws configure`, or name a profile with --profile".to_owned()
            }
            Obstacle::NoCredentials => {
                format!("sign in: `aws sso login{with_profile}`, or `aws configure{with_profile}` for keys")
            }
            Obstacle::ExpiredCredentials => format!("sign in again: `aws sso login{with_profile}`"),
            Obstacle::InvalidCredentials => {
                format!("check them: `aws sts get-caller-identity{with_profile}`")
            }
            Obstacle::WrongClock => "set the clock: `sudo timedatectl set-ntp true`".to_owned(),
            Obstacle::Unreachable => {
                "check the network, the proxy (HTTPS_PROXY), the region and --endpoint-url".to_owned()
            }
            Obstacle::ServiceError => "it is tried again; see https://health.aws.amazon.com".to_owned(),
            Obstacle::Throttled => "others use this API, too: a lower --share leaves them more".to_owned(),
            Obstacle::Denied => {
                let permission = it.detail.as_deref().unwrap_or(&it.api);
                format!("allow `{}`: `stepscope policy` prints all that is needed", text::plain(permission))
            }
        }
    }
}

impl CollectorState {
    /// Whether it goes on, as far as it says.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now - Timestamp(self.spoke_at_us) <= SILENT
    }

    /// When AWS last gave an answer that could be used.
    pub fn answered_at(&self) -> Option<Timestamp> {
        self.targets.iter().filter_map(TargetState::answered_at).max()
    }

    /// What keeps each target from being read, and what to do about it; nothing where one can be read.
    pub fn obstacle(&self, now: Timestamp) -> Option<(String, String)> {
        let mut blocked = self.targets.iter().map(|it| Some((it, it.blocked(now)?)));
        let (target, failing) = blocked.next()??;
        blocked.all(|it| it.is_some()).then(|| (target.words(failing, now), target.fix(failing)))
    }

    /// What it means now.
    pub fn light(&self, now: Timestamp) -> Light {
        let spoke_at = Timestamp(self.spoke_at_us);
        if let Some(ended) = &self.ended {
            return self.after_end(ended, now);
        }
        if now - spoke_at > SILENT {
            let words = format!("the collector is silent since {}: it hangs, or was killed", clock(spoke_at, now));
            let fix = format!("end process {} if it is still there, and start it again", self.pid);
            return Light { fix: Some(fix), ..Light::new(Colour::Down, words, "silent") };
        }
        let blocked: Vec<(&TargetState, &FailingApi)> =
            self.targets.iter().filter_map(|it| Some((it, it.blocked(now)?))).collect();
        if let Some((target, failing)) = blocked.first() {
            let words = target.words(failing, now);
            let light = if blocked.len() == self.targets.len() {
                Light::new(Colour::Down, words, "not collecting")
            } else {
                let of = format!("{} of {} targets: {words}", blocked.len(), self.targets.len());
                Light::new(Colour::Partly, of, "partly live")
            };
            let next = target.next_try_at_us.and_then(|it| next("next try", Timestamp(it), now));
            return Light { next, fix: Some(target.fix(failing)), ..light };
        }
        self.while_it_answers(now)
    }

    fn while_it_answers(&self, now: Timestamp) -> Light {
        let started_at = Timestamp(self.started_at_us);
        let rounds = Micros(i64::try_from(self.interval_s).unwrap_or(15).saturating_mul(ROUNDS * 1_000_000));
        let Some(answered) = self.answered_at() else {
            if now - started_at <= TO_START {
                return Light::new(Colour::Starting, "starting".to_owned(), "starting");
            }
            let words = format!("not collecting: no answer since the start at {}", clock(started_at, now));
            return Light::new(Colour::Down, words, "not collecting");
        };
        if now - answered > UNANSWERED.max(rounds) {
            let words = format!("no answer from AWS since {}", clock(answered, now));
            return Light::new(Colour::Down, words, "not collecting");
        }
        let stored = self.stored_at_us.map_or(started_at, Timestamp);
        if now - stored > UNSTORED.max(rounds) {
            let words = format!("answers come, but nothing is stored since {}", clock(stored, now));
            let fix = "look at the log of the collector, the disk, and other processes that have the database open";
            return Light { fix: Some(fix.to_owned()), ..Light::new(Colour::Down, words, "not storing") };
        }
        let live = format!("live {} ago", age(answered, now));
        let partly = self.targets.iter().find_map(|it| {
            let failing = it.failing.iter().find(|it| now - Timestamp(it.since_us) > PASSING)?;
            Some((it, failing))
        });
        match partly {
            None => Light::new(Colour::Live, live, "live"),
            Some((target, failing)) => {
                let words = format!("{live}, but {}", target.words(failing, now));
                Light { fix: Some(target.fix(failing)), ..Light::new(Colour::Partly, words, "partly live") }
            }
        }
    }

    fn after_end(&self, ended: &Ended, now: Timestamp) -> Light {
        let at = Timestamp(ended.at_us);
        if ended.code == Some(0) {
            let what = if self.follows { "collector stopped" } else { "collected" };
            return Light::new(Colour::Off, format!("{what} {} ago", age(at, now)), "stored");
        }
        if !self.follows && now - at > A_DAY {
            return Light::new(Colour::Off, format!("a run failed {} ago", age(at, now)), "stored");
        }
        let how = match (ended.code, ended.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "killed".to_owned(),
        };
        // What kept it from reading says more than the error that this led to.
        let obstacle = self.obstacle(at);
        let reason = obstacle.as_ref().map(|it| it.0.trim_start_matches(NOT_COLLECTING)).or(ended.reason.as_deref());
        let reason = reason.map_or_else(String::new, |it| format!(": {}", text::plain(it)));
        let words = format!("collector ended at {} ({how}){reason}", clock(at, now));
        let next = self.next_start_at_us.and_then(|it| next("next start", Timestamp(it), now));
        let fix = obstacle.map(|it| it.1).or_else(|| ended.fix.as_deref().map(text::plain));
        Light { next, fix, ..Light::new(Colour::Down, words, "collector ended") }
    }
}

impl Light {
    fn new(colour: Colour, words: String, short: &'static str) -> Self {
        Self { colour, words, short, next: None, fix: None }
    }
}

/// How it goes where nothing was ever said.
pub fn unknown() -> Light {
    Light::new(Colour::Off, "stored".to_owned(), "stored")
}

fn next(what: &str, at: Timestamp, now: Timestamp) -> Option<String> {
    (at > now).then(|| format!("{what} in {}", age(now, at)))
}

/// A time of day, with the date where it is another day's.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (analyzer::time::format(at), analyzer::time::format(now));
    let is_today = at[..10] == now[..10];
    if is_today { at[11..16].to_owned() } else { format!("{} {}", &at[5..10], &at[11..16]) }
}

/// A time that has passed, in whole seconds below a minute.
fn age(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to - from).0.max(0) / 1_000_000;
    if seconds < 60 { format!("{seconds} s") } else { text::span(Micros(seconds * 1_000_000)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    /// 2026-11-30 19:08:00 UTC.
    const NOW: Timestamp = Timestamp(1_796_065_680 * SECOND);

    fn ago(seconds: i64) -> i64 {
        NOW.0 - seconds * SECOND
    }

    fn failing(obstacle: Obstacle, detail: Option<&str>, seconds: i64) -> FailingApi {
        let api = "ListExecutions".to_owned();
        FailingApi { api, obstacle, detail: detail.map(str::to_owned), since_us: ago(seconds) }
    }

    /// A collector that follows one target, with an answer some time ago and what is in the way.
    fn state(answered: Option<i64>, failing: Vec<FailingApi>) -> CollectorState {
        let target = TargetState {
            profile: Some("x".to_owned()),
            answered_at_us: answered.map(ago),
            failing,
            next_try_at_us: Some(NOW.0 + 12 * SECOND),
            ..TargetState::default()
        };
        CollectorState {
            follows: true,
            interval_s: 15,
            started_at_us: ago(600),
            spoke_at_us: ago(1),
            stored_at_us: Some(ago(4)),
            targets: vec![target],
            ..CollectorState::default()
        }
    }

    fn check(state: &CollectorState, colour: Colour, sentence: &str) {
        let light = state.light(NOW);
        assert_eq!((light.colour, light.sentence().as_str()), (colour, sentence));
    }

    #[test]
    fn live_is_an_answer_and_not_a_process() {
        check(&state(Some(3), vec![]), Colour::Live, "live 3 s ago");
        check(&state(Some(40), vec![]), Colour::Live, "live 40 s ago");
        check(&state(Some(120), vec![]), Colour::Down, "no answer from AWS since 19:06");
        check(&state(None, vec![]), Colour::Down, "not collecting: no answer since the start at 18:58");
        let starting = CollectorState { started_at_us: ago(2), ..state(None, vec![]) };
        check(&starting, Colour::Starting, "starting");
        let unstored = CollectorState { stored_at_us: Some(ago(300)), ..state(Some(3), vec![]) };
        assert!(unstored.light(NOW).words.contains("nothing is stored since 19:03"));
    }

    #[test]
    fn each_obstacle_says_what_it_is_and_what_to_do() {
        for (obstacle, detail, expected) in [
            (
                Obstacle::NoCredentials,
                None,
                "not collecting: no credentials for profile `x`; next try in 12 s; sign in: `aws sso login --profile 'x'`, or `aws configure --profile 'x'` for keys",
            ),
            (
                Obstacle::ExpiredCredentials,
                Some("ExpiredTokenException"),
                "not collecting: the credentials of profile `x` have expired since 19:07; next try in 12 s; sign in again: `aws sso login --profile 'x'`",
            ),
            (
                Obstacle::InvalidCredentials,
                Some("UnrecognizedClientException"),
                "not collecting: the credentials of profile `x` are refused (UnrecognizedClientException); next try in 12 s; check them: `aws sts get-caller-identity --profile 'x'`",
            ),
            (
                Obstacle::WrongClock,
                None,
                "not collecting: AWS refuses the time of this machine's clock; next try in 12 s; set the clock: `sudo timedatectl set-ntp true`",
            ),
            (
                Obstacle::Unreachable,
                None,
                "AWS unreachable since 19:07; next try in 12 s; check the network, the proxy (HTTPS_PROXY), the region and --endpoint-url",
            ),
            (
                Obstacle::ServiceError,
                Some("InternalFailure"),
                "AWS answers with errors since 19:07 (InternalFailure); next try in 12 s; it is tried again; see https://health.aws.amazon.com",
            ),
        ] {
            let sentence = |answered| state(answered, vec![failing(obstacle, detail, 60)]);
            check(&sentence(Some(70)), Colour::Down, expected);
            check(&sentence(None), Colour::Down, expected);
        }
    }

    #[test]
    fn a_permission_that_is_lost_leaves_the_rest_live() {
        let denied = failing(Obstacle::Denied, Some("states:ListExecutions"), 60);
        check(
            &state(Some(3), vec![denied]),
            Colour::Partly,
            "live 3 s ago, but `states:ListExecutions` is denied since 19:07; allow `states:ListExecutions`: `stepscope policy` prints all that is needed",
        );
        let throttled = failing(Obstacle::Throttled, None, 60);
        assert_eq!(state(Some(3), vec![throttled]).light(NOW).colour, Colour::Partly);
    }

    #[test]
    fn what_has_only_just_begun_is_no_alarm() {
        check(&state(Some(2), vec![failing(Obstacle::Unreachable, None, 1)]), Colour::Live, "live 2 s ago");
    }

    #[test]
    fn one_target_of_two_is_not_all() {
        let mut two = state(Some(3), vec![]);
        two.targets.extend(state(None, vec![failing(Obstacle::NoCredentials, None, 60)]).targets);
        let light = two.light(NOW);
        assert_eq!(light.colour, Colour::Partly);
        assert!(light.words.starts_with("1 of 2 targets: not collecting: no credentials"), "{}", light.words);
    }

    #[test]
    fn a_collector_that_has_ended_says_how() {
        let ended = |code, signal, reason: Option<&str>| Ended {
            at_us: ago(60),
            code,
            signal,
            reason: reason.map(str::to_owned),
            fix: None,
        };
        let after = |ended| CollectorState {
            ended: Some(ended),
            next_start_at_us: Some(NOW.0 + 8 * SECOND),
            ..state(Some(70), vec![])
        };
        check(
            &after(ended(Some(1), None, Some("no space left on device"))),
            Colour::Down,
            "collector ended at 19:07 (exit 1): no space left on device; next start in 8 s",
        );
        check(
            &after(ended(None, Some(9), None)),
            Colour::Down,
            "collector ended at 19:07 (killed by signal 9); next start in 8 s",
        );
        check(&after(ended(Some(0), None, None)), Colour::Off, "collector stopped 1 m 00 s ago");
        let once = CollectorState {
            follows: false,
            ended: Some(ended(Some(1), None, Some("nothing could be collected"))),
            ..state(None, vec![failing(Obstacle::NoCredentials, None, 61)])
        };
        let light = once.light(NOW);
        assert_eq!(light.words, "collector ended at 19:07 (exit 1): no credentials for profile `x`");
        assert!(light.fix.is_some_and(|it| it.starts_with("sign in: `aws sso login --profile 'x'`")));
        assert_eq!(once.light(Timestamp(NOW.0 + 2 * A_DAY.0)).colour, Colour::Off);
        let silent = CollectorState { spoke_at_us: ago(90), pid: 7, ..state(Some(95), vec![]) };
        assert!(silent.light(NOW).words.starts_with("the collector is silent since 19:06"));
    }

    #[test]
    fn signs_differ_without_colour() {
        let colours = [Colour::Off, Colour::Starting, Colour::Live, Colour::Partly, Colour::Down];
        let signs: std::collections::BTreeSet<&str> =
            colours.iter().map(|it| Light::new(*it, String::new(), "").sign()).collect();
        assert_eq!(signs.len(), colours.len());
    }
}
