//! Mail.

use std::time::Instant;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use lettre::{SmtpTransport, Transport};

use super::{DeliverError, host_of, timeout};

/// How mail is sent.
pub struct MailServer {
    /// `smtps://user:word@host:465`, `smtp://host:587?tls=required`, or `smtp://localhost:25` without encryption.
    pub url: String,
    pub from: String,
}

/// A letter.
pub struct Letter<'a> {
    pub to: &'a [String],
    pub subject: &'a str,
    pub text: &'a str,
    /// The same as a page, and the name of its file.
    pub page: Option<(&'a str, &'a [u8])>,
}

/// Sends a letter to each address: the words as text, the page attached. Each step of the conversation may take as long as is left until a time.
pub fn mail(server: &MailServer, letter: &Letter<'_>, until: Instant) -> Result<(), DeliverError> {
    let failed = |why: String| DeliverError::Unreachable { host: host_of(&server.url), why };
    let address = |it: &str| it.parse::<Mailbox>().map_err(|_| DeliverError::Address(it.to_owned()));
    let mut message = Message::builder().from(address(&server.from)?).subject(letter.subject);
    for it in letter.to {
        message = message.to(address(it)?);
    }
    let text = SinglePart::plain(letter.text.to_owned());
    let message = match letter.page {
        Some((name, page)) => {
            let attached = Attachment::new(name.to_owned()).body(page.to_vec(), ContentType::TEXT_HTML);
            message.multipart(MultiPart::mixed().singlepart(text).singlepart(attached))
        }
        None => message.singlepart(text),
    };
    let message = message.map_err(|error| failed(error.to_string()))?;
    let transport =
        SmtpTransport::from_url(&server.url).map_err(|_| failed("its address is not understood".to_owned()))?;
    transport.timeout(Some(timeout(until))).build().send(&message).map_err(|error| failed(error.to_string()))?;
    Ok(())
}
