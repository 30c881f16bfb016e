//! What does AWS's Price List say about Step Functions?

use aws_sdk_pricing::Client;
use aws_sdk_pricing::error::{DisplayErrorContext, ProvideErrorMetadata};

use super::{LiveOptions, driver};

/// The service's code in the Price List.
const SERVICE: &str = "AmazonStates";
/// The API is in few regions only, and says the same in each.
const REGION: &str = "us-east-1";

/// Every product with its terms, as JSON texts.
pub(super) async fn products(options: &LiveOptions) -> Result<Vec<String>, String> {
    let region = options.region.clone().or_else(|| Some(REGION.to_owned()));
    let config = driver::config(&LiveOptions { region, ..options.clone() }).await;
    let client = Client::new(&config);
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
