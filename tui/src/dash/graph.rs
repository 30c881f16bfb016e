//! A definition as boxes and edges, from top to bottom, branches and item processors inside their states.
//!
//! States stand in layers: each below everything that leads to it, except where an edge leads back (it is named instead of
//! drawn). Long edges keep a column free in the layers they pass. Within a layer, states stand near what leads to them.
//!
//! Source: Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981; its
//! crossing reduction is one sweep of barycentres, which is enough for machines that people write.

use std::collections::{BTreeMap, HashMap};

use analyzer::asl::{State, StateMachine};
use analyzer::model::{Name, StateType};
use unicode_width::UnicodeWidthStr;

use super::canvas::Canvas;
use super::line::Tone;
use super::ranks::{Edge, back_edges, edges_of, ranks};
use crate::text;

const NAME: usize = 28;
const GAP: usize = 3;

/// What a box says beside its name, and its tone.
pub(super) struct Caption {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// A drawn definition.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub(super) canvas: Canvas,
    /// Where each state stands: left, top, width, height.
    pub(super) places: HashMap<Name, (usize, usize, usize, usize)>,
}

/// How to draw.
pub(super) struct Style<'a> {
    pub(super) caption: &'a dyn Fn(&State) -> Caption,
    /// What an edge of a Choice is labelled with.
    pub(super) edge: &'a dyn Fn(&Name, &Name) -> Option<String>,
    pub(super) selected: Option<&'a str>,
}

/// Draws a definition.
pub(super) fn draw(machine: &StateMachine, style: &Style<'_>) -> Graph {
    level(machine, style)
}

/// What stands in a layer: a state, or an edge that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    State(usize),
    Passing(usize),
}

struct Level<'a> {
    machine: &'a StateMachine,
    blocks: Vec<Graph>,
    edges: Vec<Edge>,
    layers: Vec<Vec<Item>>,
}

fn level(machine: &StateMachine, style: &Style<'_>) -> Graph {
    let number: HashMap<&Name, usize> =
        machine.states.iter().enumerate().map(|(index, it)| (&it.name, index)).collect();
    let edges = edges_of(machine, &number);
    let start = number.get(&machine.start_at).copied().unwrap_or(0);
    let back = back_edges(machine.states.len(), start, &edges);
    let leads_back = |state: usize| {
        let targets = edges.iter().filter(|it| it.from == state && back.contains(&(it.from, it.to)));
        targets.map(|it| machine.states[it.to].name.clone()).collect::<Vec<_>>()
    };
    let blocks = machine.states.iter().enumerate().map(|(index, it)| block(it, &leads_back(index), style)).collect();
    let forward: Vec<Edge> = edges.into_iter().filter(|it| !back.contains(&(it.from, it.to))).collect();
    let ranks = ranks(machine.states.len(), &forward);
    let mut level = Level { machine, blocks, edges: forward, layers: Vec::new() };
    level.layers = level.layered(&ranks);
    level.drawn(style)
}

/// The box of one state.
fn block(state: &State, leads_back: &[Name], style: &Style<'_>) -> Graph {
    let caption = (style.caption)(state);
    let is_selected = style.selected == Some(&*state.name);
    let mark = match state.kind {
        Some(StateType::Choice) => "◇ ",
        Some(StateType::Wait) => "· ",
        Some(StateType::Succeed) => "✓ ",
        Some(StateType::Fail) => "✗ ",
        Some(StateType::Pass) => "○ ",
        _ => "",
    };
    let back: String = leads_back.iter().map(|it| format!("  ↺ {}", text::cut(it, NAME))).collect();
    let name = format!("{}{mark}{}", if is_selected { "▸ " } else { "" }, text::cut(&state.name, NAME));
    let tone = if is_selected { Tone::Accent } else { caption.tone };
    if state.inner.is_empty() {
        return plain_block(state, &name, &caption, &back, tone);
    }
    let inner: Vec<Graph> = state.inner.iter().map(|it| level(it, style)).collect();
    let title = format!(
        " {name}{}{back} ",
        if caption.text.is_empty() { String::new() } else { format!("  {}", caption.text) }
    );
    let content: usize = inner.iter().map(|it| it.canvas.width()).sum::<usize>() + GAP * (inner.len() - 1);
    let width = (content + 4).max(title.width() + 4);
    let height = inner.iter().map(|it| it.canvas.height()).max().unwrap_or(0) + 2;
    let mut graph = Graph::default();
    graph.canvas.frame((0, 0), (width, height), true, tone);
    graph.canvas.text(2, 0, &title, tone);
    let mut x = (width - content) / 2;
    for it in inner {
        graph.canvas.blit(&it.canvas, x, 1);
        graph
            .places
            .extend(it.places.into_iter().map(|(name, place)| (name, (place.0 + x, place.1 + 1, place.2, place.3))));
        x += it.canvas.width() + GAP;
    }
    graph.places.insert(state.name.clone(), (0, 0, width, height));
    graph
}

fn plain_block(state: &State, name: &str, caption: &Caption, back: &str, tone: Tone) -> Graph {
    let mut graph = Graph::default();
    let caption_width = if caption.text.is_empty() { 0 } else { caption.text.width() + 2 };
    let width = name.width() + caption_width + back.width() + 4;
    graph.canvas.frame((0, 0), (width, 3), false, tone);
    graph.canvas.text(2, 1, name, tone);
    if caption_width > 0 {
        graph.canvas.text(4 + name.width(), 1, &caption.text, caption.tone);
    }
    graph.canvas.text(2 + name.width() + caption_width, 1, back, Tone::Dim);
    graph.places.insert(state.name.clone(), (0, 0, width, 3));
    graph
}

impl Level<'_> {
    /// States by rank, edges that pass between them, each near what leads to it.
    fn layered(&self, ranks: &[usize]) -> Vec<Vec<Item>> {
        let n_layers = ranks.iter().max().map_or(0, |it| it + 1);
        let mut layers: Vec<Vec<Item>> = vec![Vec::new(); n_layers];
        for (state, rank) in ranks.iter().enumerate() {
            layers[*rank].push(Item::State(state));
        }
        for (number, it) in self.edges.iter().enumerate() {
            for layer in &mut layers[ranks[it.from] + 1..ranks[it.to]] {
                layer.push(Item::Passing(number));
            }
        }
        for rank in 1..n_layers {
            let (above, below) = layers.split_at_mut(rank);
            let above = &above[rank - 1];
            let layer = &mut below[0];
            #[expect(clippy::cast_precision_loss, reason = "places in a row")]
            let barycentre = |item: Item| {
                let places: Vec<usize> = self
                    .leading_to(item)
                    .filter_map(|it| above.iter().position(|other| self.is_above(*other, it)))
                    .collect();
                places.iter().sum::<usize>() as f64 / places.len().max(1) as f64
            };
            layer.sort_by(|a, b| barycentre(*a).total_cmp(&barycentre(*b)));
        }
        layers
    }

    /// The edges that end in an item, or pass it.
    fn leading_to(&self, item: Item) -> impl Iterator<Item = usize> {
        let edges: Vec<usize> = match item {
            Item::State(state) => self.edges.iter().enumerate().filter(|it| it.1.to == state).map(|it| it.0).collect(),
            Item::Passing(edge) => vec![edge],
        };
        edges.into_iter()
    }

    /// Whether an edge comes from an item: from the state, or from where it passed.
    fn is_above(&self, item: Item, edge: usize) -> bool {
        match item {
            Item::State(state) => self.edges[edge].from == state,
            Item::Passing(other) => other == edge,
        }
    }

    fn width(&self, item: Item) -> usize {
        match item {
            Item::State(state) => self.blocks[state].canvas.width(),
            Item::Passing(_) => 1,
        }
    }

    /// The left ends of all items.
    fn columns(&self) -> Vec<Vec<i64>> {
        let mut all: Vec<Vec<i64>> = Vec::new();
        for (rank, layer) in self.layers.iter().enumerate() {
            let widths: Vec<i64> = layer.iter().map(|it| signed(self.width(*it))).collect();
            let wanted = |index: usize| {
                let Some(above) = rank.checked_sub(1).map(|it| (&self.layers[it], &all[it])) else { return 0 };
                let centres: Vec<i64> = self
                    .leading_to(layer[index])
                    .filter_map(|edge| {
                        let place = above.0.iter().position(|other| self.is_above(*other, edge))?;
                        Some(above.1[place] + signed(self.width(above.0[place])) / 2)
                    })
                    .collect();
                let n = signed(centres.len());
                if n == 0 { 0 } else { centres.iter().sum::<i64>() / n - widths[index] / 2 }
            };
            let wanted: Vec<i64> = (0..layer.len()).map(wanted).collect();
            all.push(apart(&wanted, &widths));
        }
        let least = all.iter().flatten().copied().min().unwrap_or(0);
        all.iter_mut().flatten().for_each(|it| *it -= least);
        all
    }

    fn drawn(&self, style: &Style<'_>) -> Graph {
        let mut graph = Graph::default();
        let columns = self.columns();
        let left = |rank: usize, index: usize| usize::try_from(columns[rank][index]).unwrap_or(0);
        let mut y = 0;
        for (rank, layer) in self.layers.iter().enumerate() {
            let height = layer.iter().map(|it| self.height(*it)).max().unwrap_or(0);
            for (index, item) in layer.iter().enumerate() {
                let x = left(rank, index);
                match item {
                    Item::State(state) => {
                        let block = &self.blocks[*state];
                        graph.canvas.blit(&block.canvas, x, y);
                        let moved = |(name, it): (&Name, &(usize, usize, usize, usize))| {
                            (name.clone(), (it.0 + x, it.1 + y, it.2, it.3))
                        };
                        graph.places.extend(block.places.iter().map(moved));
                    }
                    Item::Passing(edge) => graph.canvas.down(x, y, y + height - 1, self.tone(*edge)),
                }
            }
            if rank + 1 < self.layers.len() {
                y = self.channel(&mut graph, rank, y, height, &left, style);
            }
        }
        graph
    }

    fn height(&self, item: Item) -> usize {
        match item {
            Item::State(state) => self.blocks[state].canvas.height(),
            Item::Passing(_) => 1,
        }
    }

    fn tone(&self, edge: usize) -> Tone {
        if self.edges[edge].is_catch { Tone::Warn } else { Tone::Dim }
    }

    /// Draws the edges between a layer and the next; the row of the next one.
    fn channel(
        &self,
        graph: &mut Graph,
        rank: usize,
        y: usize,
        height: usize,
        left: &dyn Fn(usize, usize) -> usize,
        style: &Style<'_>,
    ) -> usize {
        let (layer, below) = (&self.layers[rank], &self.layers[rank + 1]);
        let centre = |rank: usize, index: usize| left(rank, index) + self.width(self.layers[rank][index]) / 2;
        // By what they lead to: where they come from, and whether all of them are caught errors.
        let mut joins: BTreeMap<usize, Vec<(usize, usize, Item)>> = BTreeMap::new();
        for (index, item) in below.iter().enumerate() {
            for edge in self.leading_to(*item) {
                if let Some(place) = layer.iter().position(|it| self.is_above(*it, edge)) {
                    joins.entry(index).or_default().push((centre(rank, place), edge, layer[place]));
                }
            }
        }
        let mut tracks: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut routed = Vec::new();
        for (index, sources) in &joins {
            let to = centre(rank + 1, *index);
            let from = sources.iter().map(|it| it.0).chain([to]).min().unwrap_or(to);
            let until = sources.iter().map(|it| it.0).chain([to]).max().unwrap_or(to);
            let track = if from == until { None } else { Some(free_track(&mut tracks, from, until)) };
            routed.push((*index, to, track, sources));
        }
        let first = y + height;
        let next = first + 1 + tracks.len().max(1);
        for (index, to, track, sources) in routed {
            let tone = if sources.iter().all(|it| self.edges[it.1].is_catch) { Tone::Warn } else { Tone::Dim };
            let row = track.map_or(first, |it| first + it);
            for (from, edge, item) in sources {
                let bottom = y + self.height(*item);
                (bottom..row).for_each(|y| graph.canvas.down(*from, y, y, self.tone(*edge)));
                graph.canvas.open(*from, row, true, self.tone(*edge));
                if *from != to {
                    graph.canvas.across(*from, to, row, self.tone(*edge));
                }
            }
            graph.canvas.open(to, row, false, tone);
            (row + 1..next).for_each(|y| graph.canvas.down(to, y, y, tone));
            if let Item::State(state) = below[index] {
                graph.canvas.put(to, next - 1, '▼', tone);
                if let [(_, edge, _)] = sources[..] {
                    let label = (style.edge)(
                        &self.machine.states[self.edges[edge].from].name,
                        &self.machine.states[state].name,
                    );
                    let label = label.or_else(|| self.edges[edge].is_catch.then(|| "on error".to_owned()));
                    if let Some(label) = label {
                        graph.canvas.text(to + 2, next - 1, &label, tone);
                    }
                }
            }
        }
        next
    }
}

/// A row of the channel that is free between two columns.
fn free_track(tracks: &mut Vec<Vec<(usize, usize)>>, from: usize, until: usize) -> usize {
    let is_free = |track: &Vec<(usize, usize)>| track.iter().all(|it| it.1 + 1 < from || it.0 > until + 1);
    let place = tracks.iter().position(is_free).unwrap_or_else(|| {
        tracks.push(Vec::new());
        tracks.len() - 1
    });
    tracks[place].push((from, until));
    place
}

/// Places as near to the wanted ones as their widths and gaps allow: the mean of pushing to the right and to the left.
fn apart(wanted: &[i64], widths: &[i64]) -> Vec<i64> {
    let gap = signed(GAP);
    let mut right = wanted.to_vec();
    for index in 1..right.len() {
        right[index] = right[index].max(right[index - 1] + widths[index - 1] + gap);
    }
    let mut left = wanted.to_vec();
    for index in (0..left.len().saturating_sub(1)).rev() {
        left[index] = left[index].min(left[index + 1] - widths[index] - gap);
    }
    right.iter().zip(&left).map(|(a, b)| (a + b).div_euclid(2)).collect()
}

fn signed(it: usize) -> i64 {
    i64::try_from(it).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check(definition: &str) -> String {
        let machine = StateMachine::parse(definition).expect("a definition");
        let caption = |_: &State| Caption { text: String::new(), tone: Tone::Plain };
        let style = Style { caption: &caption, edge: &|_, _| None, selected: None };
        let graph = draw(&machine, &style);
        let all = (graph.canvas.width(), graph.canvas.height());
        graph.canvas.window((0, 0), all).iter().map(|it| it.text().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_choice_forks_and_the_ways_join_again() {
        insta::assert_snapshot!(check(
            r#"{"StartAt": "Look", "States": {
                "Look": {"Type": "Choice", "Choices": [{"Next": "Pay"}, {"Next": "Refuse"}], "Default": "Wait"},
                "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Look"},
                "Pay": {"Type": "Task", "Resource": "r", "Next": "Tell", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Refuse"}]},
                "Refuse": {"Type": "Pass", "Next": "Tell"},
                "Tell": {"Type": "Succeed"}}}"#
        ));
    }

    #[test]
    fn branches_stand_inside_their_state() {
        insta::assert_snapshot!(check(
            r#"{"StartAt": "Both", "States": {
                "Both": {"Type": "Parallel", "Next": "Done", "Branches": [
                    {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "End": true}}},
                    {"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true,
                        "ItemProcessor": {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": true}}}}}}]},
                "Done": {"Type": "Succeed"}}}"#
        ));
    }

    #[test]
    fn every_real_definition_has_all_of_its_states_drawn_and_none_over_another() {
        let mut n_drawn = 0;
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora/asl")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let Ok(machine) = StateMachine::parse(&text) else { continue };
                let caption = |_: &State| Caption { text: "▓▓ 12 %".to_owned(), tone: Tone::Heat(2) };
                let style = Style { caption: &caption, edge: &|_, _| Some("50 %".to_owned()), selected: None };
                let graph = draw(&machine, &style);
                let states: BTreeSet<&Name> = machine.all_states().into_iter().map(|it| &it.name).collect();
                assert_eq!(graph.places.len(), states.len(), "{}", path.display());
                check_apart(&machine, &graph, &path);
                n_drawn += 1;
            }
        }
        assert!(n_drawn > 50, "{n_drawn} definitions were drawn");
    }

    /// No two states of one level stand over each other.
    fn check_apart(machine: &StateMachine, graph: &Graph, path: &std::path::Path) {
        for (index, a) in machine.states.iter().enumerate() {
            for b in &machine.states[index + 1..] {
                let ((ax, ay, aw, ah), (bx, by, bw, bh)) = (graph.places[&a.name], graph.places[&b.name]);
                let apart = ax + aw <= bx || bx + bw <= ax || ay + ah <= by || by + bh <= ay;
                assert!(apart || a.name == b.name, "{} over {} in {}", a.name, b.name, path.display());
            }
            for inner in &a.inner {
                check_apart(inner, graph, path);
            }
        }
    }
}
