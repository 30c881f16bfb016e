//! `prices`: the price book in force, its date and its source; `prices import` makes one from a bulk offer file of AWS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use collector::live::LiveTarget;

use super::Context;
use super::aws::AwsArguments;
use super::bill::price_lines;
use crate::Outcome;
use crate::failure::Failure;
use crate::report::{Report, TextTable};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PricesArguments {
    /// Only this region.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Make a price book from the bulk offer file of the service (AmazonStates, JSON).
    Import {
        file: PathBuf,
        /// Write the book here.
        #[arg(long, value_name = "PATH", default_value = "prices.toml")]
        to: PathBuf,
    },
    /// Make a price book from AWS's Price List API.
    Refresh {
        /// Write the book here.
        #[arg(long, value_name = "PATH", default_value = "prices.toml")]
        to: PathBuf,
        #[command(flatten)]
        aws: AwsArguments,
    },
}

pub(crate) fn run(context: &Context, arguments: &PricesArguments) -> Outcome {
    match &arguments.action {
        Some(Action::Import { file, to }) => return import(context, file, to),
        Some(Action::Refresh { to, aws }) => return refresh(context, &aws.target(context), to),
        None => {}
    }
    let books = context.price_books()?;
    let book = books.newest();
    let mut lines = price_lines(&books);
    lines.retain(|it| arguments.region.as_deref().is_none_or(|region| it[0] == region));
    if lines.is_empty() {
        let region = arguments.region.as_deref().unwrap_or("any region");
        return Err(Failure::usage(format!("no price is known for {region}"))
            .hint("`stepscope prices` lists the regions; `prices import` reads AWS's own offer file"));
    }
    let mut table = TextTable::with_columns(&["region", "from", "item", "unit", "#above", "#USD", "source"]);
    for [region, as_of, _, item, unit, above, rate, source] in &lines {
        table.rows.push([region, as_of, item, unit, above, rate, source].map(Clone::clone).to_vec());
    }
    let line = |[region, as_of, currency, item, unit, above, rate, source]: &[String; 8]| json!({"region": region, "as_of": as_of, "currency": currency, "item": item, "unit": unit, "above": above, "usd": rate, "source": source});
    let fields = [
        ("as_of".to_owned(), Value::from(book.as_of.as_str())),
        ("source".to_owned(), book.source.as_str().into()),
        ("free_transitions_per_month".to_owned(), book.free_transitions.into()),
        ("transitions_per_execution_extra".to_owned(), book.extra_transitions.into()),
        ("books".to_owned(), books.iter().map(|it| json!({"as_of": it.as_of, "source": it.source})).collect()),
        ("prices".to_owned(), lines.iter().map(line).collect()),
    ];
    Report {
        command: "prices",
        fields: fields.into_iter().collect(),
        rows: "prices",
        table,
        heading: format!("Prices of {} ({}).", book.as_of, book.source),
        footer:
            "`--prices FILE` uses another book, a folder several by their dates; docs/prices.md describes the form."
                .to_owned(),
    }
    .print(context.output)?;
    Ok(0)
}

/// Rates of one region as the offer file has them.
#[derive(Default)]
struct Offer {
    transition: Option<String>,
    request: Option<String>,
    tiers: Vec<(u64, String)>,
}

fn import(context: &Context, file: &Path, to: &Path) -> Outcome {
    let unreadable =
        |why: String| Failure::new(format!("`{}` is no offer file of Step Functions", file.display())).because(why);
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let offer: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    write_book(context, &offer, to, unreadable)
}

/// The products of the Price List API, put together as an offer file has them.
fn refresh(context: &Context, target: &LiveTarget, to: &Path) -> Outcome {
    let failed = |why: String| Failure::new("the Price List cannot be read").because(why);
    let answer = collector::live::price_list(target).map_err(|error| failed(error.to_string()))?;
    let listed = answer.map_err(|why| {
        failed(why).hint("it needs pricing:GetProducts; `prices import FILE` reads an offer file without credentials")
    })?;
    let mut offer = json!({"products": {}, "terms": {"OnDemand": {}}});
    for text in &listed {
        let product: Value = serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
        let Some(sku) = product["product"]["sku"].as_str() else { continue };
        if product["publicationDate"].as_str() > offer["publicationDate"].as_str() {
            offer["publicationDate"] = product["publicationDate"].clone();
        }
        offer["products"][sku] = product["product"].clone();
        offer["terms"]["OnDemand"][sku] = product["terms"]["OnDemand"].clone();
    }
    write_book(context, &offer, to, failed)
}

fn write_book(context: &Context, offer: &Value, to: &Path, unreadable: impl Fn(String) -> Failure) -> Outcome {
    let as_of = offer["publicationDate"]
        .as_str()
        .and_then(|it| it.get(..10))
        .ok_or_else(|| unreadable("it has no publicationDate".to_owned()))?;
    let regions = offers(offer);
    if regions.values().all(|it| it.transition.is_none()) {
        return Err(unreadable("it has no price of a state transition".to_owned()));
    }
    let books = context.price_books()?;
    let book = books.newest();
    let mut text = format!(
        "# From AWS's offer file of {as_of}.\nas_of = \"{as_of}\"\nsource = \"AWS Price List\"\ntransitions_per_execution_extra = {}\nfree_transitions_per_month = {}\n",
        book.extra_transitions, book.free_transitions
    );
    let express = regions.iter().find(|(_, it)| it.request.is_some() && !it.tiers.is_empty());
    if let Some((_, rates)) = express {
        let confirmed: Vec<String> = regions
            .iter()
            .filter(|(_, it)| it.request == rates.request && it.tiers == rates.tiers)
            .map(|it| format!("\"{}\"", it.0))
            .collect();
        text += &format!(
            "\n[express]\nusd_per_request = \"{}\"\nconfirmed_regions = [{}]\n",
            rates.request.as_deref().unwrap_or("0"),
            confirmed.join(", ")
        );
        for (above, rate) in &rates.tiers {
            text += &format!("\n[[express.tiers]]\nabove_gb_s = {above}\nusd_per_gb_s = \"{rate}\"\n");
        }
    } else {
        return Err(unreadable("it has no Express prices".to_owned()));
    }
    text += "\n[standard.usd_per_transition]\n";
    for (region, rates) in &regions {
        if let Some(rate) = &rates.transition {
            text += &format!("{region} = \"{rate}\"\n");
        }
    }
    analyzer::pricing::PriceBook::parse(&text)?;
    std::fs::write(to, text)?;
    eprintln!("{} regions, prices of {as_of}: use them with `--prices {}`", regions.len(), to.display());
    Ok(0)
}

/// The on-demand prices of an offer file by region.
fn offers(offer: &Value) -> BTreeMap<String, Offer> {
    let mut regions: BTreeMap<String, Offer> = BTreeMap::new();
    let empty = serde_json::Map::new();
    for (sku, product) in offer["products"].as_object().unwrap_or(&empty) {
        let attributes = &product["attributes"];
        let (Some(region), Some(usage)) = (attributes["regionCode"].as_str(), attributes["usagetype"].as_str()) else {
            continue;
        };
        let terms = offer["terms"]["OnDemand"][sku].as_object().unwrap_or(&empty);
        let dimensions = terms.values().filter_map(|it| it["priceDimensions"].as_object()).flat_map(|it| it.values());
        for dimension in dimensions {
            let Some(rate) = dimension["pricePerUnit"]["USD"].as_str() else { continue };
            // Rates come with trailing zeros.
            let rate = rate.trim_end_matches('0').trim_end_matches('.').to_owned();
            let it = regions.entry(region.to_owned()).or_default();
            if usage.ends_with("StateTransition") {
                it.transition = Some(rate);
            } else if usage.ends_with("StepFunctions-Request") {
                it.request = Some(rate);
            } else if usage.ends_with("StepFunctions-GB-Second") {
                let above = dimension["beginRange"].as_str().and_then(|it| it.parse().ok()).unwrap_or(0);
                it.tiers.push((above, rate));
            }
        }
    }
    for it in regions.values_mut() {
        it.tiers.sort();
    }
    regions
}
