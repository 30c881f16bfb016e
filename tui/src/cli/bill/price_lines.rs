//! The price books as lines of the `prices` view.

use analyzer::model::Usd;
use analyzer::pricing::{PriceBook, PriceBooks};

pub(crate) fn price_lines(books: &PriceBooks) -> Vec<[String; 8]> {
    books.iter().flat_map(lines_of_book).collect()
}

fn lines_of_book(book: &PriceBook) -> Vec<[String; 8]> {
    let mut lines = Vec::new();
    let mut add = |region: &str, item: &str, unit: &str, above: String, rate: Usd, source: String| {
        lines.push([
            region.to_owned(),
            book.as_of.clone(),
            "USD".to_owned(),
            item.to_owned(),
            unit.to_owned(),
            above,
            rate.to_decimal(),
            source,
        ]);
    };
    for region in book.regions() {
        if let Some(rate) = book.standard(region) {
            add(region, "standard_transition", "transition", "0".to_owned(), rate.per_transition, book.source.clone());
        }
        if let Some(rates) = book.logs(region) {
            for (above, rate) in &rates.tiers {
                add(region, "vended_logs", "GB", above.to_string(), *rate, book.source.clone());
            }
            add(region, "log_storage", "GB-month", "0".to_owned(), rates.per_gb_month_stored, book.source.clone());
        }
        if let Some(rates) = book.xray(region) {
            add(region, "xray_trace", "trace", rates.free_traces.to_string(), rates.per_trace, book.source.clone());
        }
        if let Some(rates) = book.lambda(region) {
            add(region, "lambda_request", "request", "0".to_owned(), rates.per_request, book.source.clone());
            add(region, "lambda_duration", "GB-second", "0".to_owned(), rates.per_gb_second, book.source.clone());
            add(
                region,
                "lambda_duration_arm",
                "GB-second",
                "0".to_owned(),
                rates.per_gb_second_arm,
                book.source.clone(),
            );
        }
        if let Some(rate) = book.kms_request(region) {
            add(region, "kms_request", "request", "0".to_owned(), rate, book.source.clone());
        }
        if let Some(rates) = book.express(region) {
            let source = if book.is_express_confirmed(region) {
                book.source.clone()
            } else {
                "assumed equal to us-east-1".to_owned()
            };
            add(region, "express_request", "request", "0".to_owned(), rates.per_request, source.clone());
            for (above, rate) in &rates.tiers {
                add(region, "express_duration", "GB-second", above.to_string(), *rate, source.clone());
            }
        }
    }
    lines
}
