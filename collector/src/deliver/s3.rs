//! Objects in S3, with the SDK's own ways to credentials.

use std::time::Instant;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;

use super::DeliverError;

/// Where objects go.
pub struct Bucket {
    pub name: String,
    pub region: Option<String>,
    pub profile: Option<String>,
    /// An S3 that is not AWS's.
    pub endpoint_url: Option<String>,
}

/// Puts an object into a bucket; the SDK signs, and tries again what is worth it, until a time.
pub fn put(bucket: &Bucket, key: &str, content_type: &str, body: &[u8], until: Instant) -> Result<(), DeliverError> {
    let failed = |why: String| DeliverError::Unreachable { host: format!("s3://{}", bucket.name), why };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let upload = async {
        let client = client(bucket).await;
        let request = client.put_object().bucket(&bucket.name).key(key).content_type(content_type);
        let body = ByteStream::from(body.to_vec());
        request.body(body).send().await.map_err(|error| failed(DisplayErrorContext(&error).to_string()))?;
        Ok(())
    };
    let left = until.saturating_duration_since(Instant::now());
    let late = || Err(failed(format!("no answer within {} s", left.as_secs())));
    runtime.block_on(async { tokio::time::timeout(left, upload).await.unwrap_or_else(|_| late()) })
}

async fn client(bucket: &Bucket) -> aws_sdk_s3::Client {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = &bucket.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &bucket.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &bucket.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = aws_sdk_s3::config::Builder::from(&loader.load().await);
    // Elsewhere a bucket is rarely a host of its own.
    aws_sdk_s3::Client::from_conf(config.force_path_style(bucket.endpoint_url.is_some()).build())
}
