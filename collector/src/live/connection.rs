//! How is an account and region reached? By the SDK's own ways to credentials, then through a chain of roles.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::SharedCredentialsProvider;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::config_bag::ConfigBag;

use super::LiveTarget;
use super::clock::ServiceClock;

const TO_CONNECT: Duration = Duration::from_secs(5);
const TO_ANSWER: Duration = Duration::from_secs(60);

/// The services of one account and region.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) sfn: aws_sdk_sfn::Client,
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    /// For streams, which end only when somebody ends them.
    pub(super) tail: aws_sdk_cloudwatchlogs::Client,
    pub(super) xray: aws_sdk_xray::Client,
    pub(super) metrics: aws_sdk_cloudwatch::Client,
    pub(super) sts: aws_sdk_sts::Client,
}

impl Clients {
    pub(super) async fn connect(target: &LiveTarget, clock: &ServiceClock) -> Self {
        let config = config(target, clock).await;
        let tail = config
            .clone()
            .into_builder()
            .timeout_config(TimeoutConfig::builder().connect_timeout(TO_CONNECT).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let tail = aws_sdk_cloudwatchlogs::config::Builder::from(&tail);
        let tail = if target.endpoint_url.is_some() { tail.interceptor(PlainHost) } else { tail };
        let clock = || clock.clone();
        Self {
            sfn: aws_sdk_sfn::Client::from_conf(
                aws_sdk_sfn::config::Builder::from(&config).interceptor(clock()).build(),
            ),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(
                aws_sdk_cloudwatchlogs::config::Builder::from(&config).interceptor(clock()).build(),
            ),
            tail: aws_sdk_cloudwatchlogs::Client::from_conf(tail.build()),
            xray: aws_sdk_xray::Client::from_conf(
                aws_sdk_xray::config::Builder::from(&config).interceptor(clock()).build(),
            ),
            metrics: aws_sdk_cloudwatch::Client::from_conf(
                aws_sdk_cloudwatch::config::Builder::from(&config).interceptor(clock()).build(),
            ),
            sts: aws_sdk_sts::Client::new(&config),
        }
    }

    pub(super) fn region(&self) -> Option<String> {
        self.sfn.config().region().map(ToString::to_string)
    }
}

/// How buckets are reached: with the SDK's own retries and clock.
pub(super) async fn plain_config(target: &LiveTarget) -> SdkConfig {
    let config = config(target, &ServiceClock::default()).await;
    config.into_builder().retry_config(RetryConfig::standard()).build()
}

/// How an account and region are reached.
pub(super) async fn config(target: &LiveTarget, clock: &ServiceClock) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(TO_CONNECT)
        .read_timeout(TO_ANSWER)
        .operation_attempt_timeout(TO_ANSWER)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        // Tries are counted here, so that the report tells every call.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .time_source(clock.clone());
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &target.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &target.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let mut config = loader.load().await;
    // Each role is assumed with the credentials of the one before.
    for role in &target.role_chain {
        let mut provider = AssumeRoleProvider::builder(role).session_name("stepscope").configure(&config);
        if let Some(id) = &target.external_id {
            provider = provider.external_id(id);
        }
        let provider = SharedCredentialsProvider::new(provider.build().await);
        config = config.into_builder().credentials_provider(provider).build();
    }
    config
}

/// At an endpoint of one's own there is no host with the prefix that AWS gives to streams.
#[derive(Debug)]
struct PlainHost;

impl Intercept for PlainHost {
    fn name(&self) -> &'static str {
        "PlainHost"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let plain = request.uri().replace("//streaming-", "//").replace("//stream-", "//");
        request.set_uri(plain)?;
        Ok(())
    }
}
