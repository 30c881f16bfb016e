//! What does AWS's Price List say about Step Functions?

use aws_sdk_pricing::Client;
use aws_sdk_pricing::error::{DisplayErrorContext, ProvideErrorMetadata};

use super::clock::ServiceClock;
use super::run::runtime;
use super::{CollectError, LiveTarget, connection};

/// The service's code in the Price List.
const SERVICE: &str = "AmazonStates";
/// The API is in few regions only, and says the same in each.
const REGION: &str = "us-east-1";

/// The products of Step Functions in AWS's Price List, as JSON texts; what the service said otherwise.
pub fn price_list(target: &LiveTarget) -> Result<Result<Vec<String>, String>, CollectError> {
    Ok(runtime()?.block_on(products(target)))
}

async fn products(target: &LiveTarget) -> Result<Vec<String>, String> {
    let region = target.region.clone().or_else(|| Some(REGION.to_owned()));
    let target = LiveTarget { region, ..target.clone() };
    let client = Client::new(&connection::config(&target, &ServiceClock::default()).await);
    let mut products = Vec::new();
    let mut token = None;
    loop {
        let request = client.get_products().service_code(SERVICE).format_version("aws_v1").set_next_token(token.take());
        let page = request.send().await.map_err(|error| {
            let told = error.as_service_error().and_then(|it| it.message().or(it.code())).map(str::to_owned);
            told.unwrap_or_else(|| DisplayErrorContext(&error).to_string())
        })?;
        products.extend(page.price_list().iter().cloned());
        token = page.next_token().filter(|it| !it.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(products);
        }
    }
}
