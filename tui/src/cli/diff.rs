//! `diff`: two definitions, what changed between them, and what each change did where there are runs of both.

use std::path::Path;
use std::process::Command;

use analyzer::asl::{Change, Content, StateMachine, changes, definitions_in};
use analyzer::model::Name;
use clap::Args;
use queries::{DeployedDefinition, Reader};
use serde_json::{Value, json};

use super::bill::Prices;
use super::compare::effect::{Effect, Runs, effect};
use super::compare::sides::around;
use super::{Context, select};
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable, sentences};

#[derive(Args)]
pub(crate) struct DiffArguments {
    /// The old definition: a file, one of a git revision (HEAD~1:orders.asl.json), or a version (orders:3); or a machine alone, for its
    /// two newest stored definitions.
    old: String,
    /// The new definition: a file, a revision's, a version, or a machine for its newest stored one.
    new: Option<String>,
    /// The machine whose runs before and after are looked at, where the definitions come from files.
    #[arg(long, value_name = "MACHINE", requires = "between")]
    machine: Option<String>,
    /// When the new definition was deployed to that machine.
    #[arg(long = "deployed-at", value_name = "TIME", requires = "machine", id = "between")]
    deployed_at: Option<String>,
}

/// A definition, and which executions ran it.
struct Side {
    machine: StateMachine,
    runs: Option<Ran>,
}

enum Ran {
    /// A version that is named by its executions.
    Version { machine: Name, version: String },
    /// A definition that was seen at some time.
    Definition { machine: Name, fingerprint: String },
}

pub(crate) fn run(context: &Context, arguments: &DiffArguments) -> Outcome {
    let (old, new) = if let Some(new) = &arguments.new {
        (side(context, &arguments.old)?, side(context, new)?)
    } else {
        if Path::new(&arguments.old).exists() {
            return Err(
                Failure::usage("a file alone has nothing to be compared with").hint("give two: stepscope diff OLD NEW")
            );
        }
        newest_two(&context.reader()?, &arguments.old)?
    };
    let found = changes(&old.machine, &new.machine);
    let did = did(context, arguments, &old, &new)?;
    report(&found, did.as_ref()).print(context.output)?;
    Ok(0)
}

/// The two newest definitions of a machine.
fn newest_two(reader: &Reader, wanted: &str) -> Result<(Side, Side), Failure> {
    let machine = select::machine(reader, wanted)?;
    let mut texts = reader.definitions(&machine)?.into_iter();
    let (Some(new), Some(old)) = (texts.next(), texts.next()) else {
        return Err(Failure::usage(format!("fewer than two definitions of `{wanted}` are stored"))
            .hint("give two files: stepscope diff OLD NEW"));
    };
    let seen = reader.deployed_definitions(&machine)?;
    let of = |text: &str| {
        let known = seen.iter().rfind(|it| it.kind == "definition" && it.text == text);
        let runs = known.map(|it| Ran::Definition { machine: machine.clone(), fingerprint: it.label.clone() });
        Ok::<_, Failure>(Side { machine: parse(wanted, text)?, runs })
    };
    Ok((of(&old)?, of(&new)?))
}

/// A definition by what the user calls it.
fn side(context: &Context, target: &str) -> Result<Side, Failure> {
    if Path::new(target).exists() {
        let text = std::fs::read_to_string(target)
            .map_err(|error| Failure::usage(format!("`{target}` cannot be read")).because(error.to_string()))?;
        return Ok(Side { machine: in_file(target, &text)?, runs: None });
    }
    // A machine's version comes before a file of that name in a revision called as the machine.
    let version = target.rsplit_once(':').filter(|(_, version)| version.bytes().all(|it| it.is_ascii_digit()));
    if let Some((machine, version)) = version
        && let Ok(reader) = context.reader()
        && let Ok(machine) = select::machine(&reader, machine)
    {
        let seen = reader.deployed_definitions(&machine)?;
        let is_it = |it: &&DeployedDefinition| it.kind == "version" && it.label.ends_with(&format!(":{version}"));
        let it = seen.iter().find(is_it).ok_or_else(|| {
            Failure::usage(format!("the definition of `{target}` is not stored"))
                .hint("`stepscope collect` reads the definitions of all versions")
        })?;
        let runs = Some(Ran::Version { machine, version: version.to_owned() });
        return Ok(Side { machine: parse(target, &it.text)?, runs });
    }
    if let Some(text) = of_revision(target)? {
        return Ok(Side { machine: in_file(target, &text)?, runs: None });
    }
    if super::lint::is_like_a_path(target) {
        return Err(Failure::usage(format!("there is no file `{target}`")));
    }
    let reader = context.reader()?;
    let machine = select::machine(&reader, target)?;
    let newest = reader.definitions(&machine)?.into_iter().next();
    let text = newest.ok_or_else(|| Failure::usage(format!("no definition of `{target}` is stored")))?;
    Ok(Side { machine: parse(target, &text)?, runs: None })
}

/// A file of a revision, as git calls it; `None` where git knows none of that name.
fn of_revision(target: &str) -> Result<Option<String>, Failure> {
    let Some((revision, _)) = target.split_once(':').filter(|it| !it.0.is_empty() && !it.1.is_empty()) else {
        return Ok(None);
    };
    if revision.starts_with('-') || revision == "arn" {
        return Ok(None);
    }
    let Ok(shown) = Command::new("git").args(["show", "--end-of-options", target]).output() else { return Ok(None) };
    if shown.status.success() {
        return Ok(Some(String::from_utf8_lossy(&shown.stdout).into_owned()));
    }
    let is_revision =
        Command::new("git").args(["rev-parse", "--verify", "--quiet", "--end-of-options", revision]).output();
    if is_revision.is_ok_and(|it| it.status.success()) {
        let said = String::from_utf8_lossy(&shown.stderr).trim().to_owned();
        return Err(Failure::usage(format!("git has no `{target}`")).because(said));
    }
    Ok(None)
}

/// The definition in a file, which may be a template with one inside.
fn in_file(source: &str, text: &str) -> Result<StateMachine, Failure> {
    let refuse = |why: String| Failure::usage(format!("`{source}` is no definition")).because(why);
    let found = definitions_in(source, text).map_err(|error| refuse(error.to_string()))?;
    let here = found.into_iter().filter_map(|it| match it.content {
        Content::Here(value) => Some(value),
        Content::File(_) | Content::Unknown => None,
    });
    match here.collect::<Vec<_>>().as_slice() {
        [Ok(one)] => StateMachine::from_value(one).map_err(|error| refuse(error.to_string())),
        [Err(error)] => Err(refuse(error.to_string())),
        [] => Err(refuse("nothing in it has StartAt and States".to_owned())),
        many => Err(refuse(format!("it holds {} definitions; give one of them", many.len()))),
    }
}

fn parse(source: &str, text: &str) -> Result<StateMachine, Failure> {
    StateMachine::parse(text)
        .map_err(|error| Failure::usage(format!("`{source}` is no definition")).because(error.to_string()))
}

/// What the change did, where executions of both sides are known.
fn did(context: &Context, arguments: &DiffArguments, old: &Side, new: &Side) -> Result<Option<Effect>, Failure> {
    let reader = match (&arguments.machine, &old.runs, &new.runs) {
        (Some(_), ..) | (None, Some(_), Some(_)) => context.reader()?,
        _ => return Ok(None),
    };
    let prices = Prices::new(context)?;
    if let (Some(machine), Some(at)) = (&arguments.machine, &arguments.deployed_at) {
        let machine = select::machine(&reader, machine)?;
        let at = super::when::instant(at, context.now()?)?;
        let (before, after) = around_all(&reader, &machine, at)?;
        return effect(&reader, &prices, &machine, [Runs::Between(before), Runs::Between(after)]);
    }
    match (&old.runs, &new.runs) {
        (Some(Ran::Version { machine, version: was }), Some(Ran::Version { machine: same, version: is }))
            if machine == same =>
        {
            effect(&reader, &prices, machine, [Runs::Version(was.clone()), Runs::Version(is.clone())])
        }
        (_, Some(Ran::Definition { machine, fingerprint })) => {
            let all = reader.deployments(machine)?;
            let Some(it) = all.iter().find(|it| it.label == *fingerprint) else { return Ok(None) };
            let (before, after) = around_all(&reader, machine, it.at)?;
            effect(&reader, &prices, machine, [Runs::Between(before), Runs::Between(after)])
        }
        _ => Ok(None),
    }
}

type Spans = (super::compare::sides::Span, super::compare::sides::Span);

fn around_all(reader: &Reader, machine: &str, at: analyzer::model::Timestamp) -> Result<Spans, Failure> {
    let own = reader.machines(None, None)?.into_iter().find(|it| it.arn == machine);
    let span = own.and_then(|it| it.first_at.zip(it.last_at)).unwrap_or_default();
    Ok(around(at, &reader.deployments(machine)?, span))
}

fn report(changes: &[Change], did: Option<&Effect>) -> Report {
    let by_state = did.map(Effect::by_state).unwrap_or_default();
    let at = |it: &Change| it.states.iter().find_map(|state| by_state.get(state).copied());
    let mut table = TextTable::with_columns(&["", "what", "where"]);
    if changes.is_empty() {
        table = TextTable::default();
    } else if did.is_some() {
        table = TextTable::with_columns(&["", "what", "what its state did", "where"]);
    }
    for it in changes {
        let mut row = vec![it.kind.as_str().to_owned(), it.what.clone()];
        if let Some(did) = did {
            row.push(at(it).map_or_else(|| "–".to_owned(), |at| did.told(at)));
        }
        row.push(it.path.clone());
        table.rows.push(row);
    }
    let change = |it: &Change| {
        json!({
            "path": it.path, "kind": it.kind.as_str(), "what": it.what, "states": it.states.iter().map(Name::as_str).collect::<Vec<_>>(),
            "effect": did.zip(at(it)).map(|(did, at)| did.state_to_json(at)),
        })
    };
    let fields = [
        ("changes".to_owned(), Value::from(changes.iter().map(change).collect::<Vec<_>>())),
        ("effect".to_owned(), did.map_or(Value::Null, Effect::to_json)),
    ];
    let footer = did.map(Effect::sentences).unwrap_or_default();
    Report {
        command: "diff",
        fields: fields.into_iter().collect(),
        rows: "changes",
        table,
        heading: if changes.is_empty() {
            "Nothing changed that matters: the same states, ways and fields.".to_owned()
        } else {
            String::new()
        },
        footer: sentences(footer.iter().map(|it| format!("=> {it}"))),
    }
}
