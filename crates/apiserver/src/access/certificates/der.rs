//! As much of DER as it takes to give a certificate another subject.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const COMMON_NAME: [u8; 5] = [0x06, 3, 0x55, 4, 3];
const ORGANIZATION: [u8; 5] = [0x06, 3, 0x55, 4, 10];
/// Where the subject stands in the body of a certificate: version, serial number, algorithm, issuer and validity come
/// before it.
const SUBJECT: usize = 5;

/// The name of a user: an organization for each group, and the common name.
pub(super) fn subject(user: &str, groups: &[String]) -> Vec<u8> {
    let attribute = |kind: &[u8], text: &str| {
        tagged(SET, &tagged(SEQUENCE, &[kind, &tagged(UTF8_STRING, text.as_bytes())].concat()))
    };
    let mut names: Vec<u8> = groups.iter().flat_map(|group| attribute(&ORGANIZATION, group)).collect();
    names.extend(attribute(&COMMON_NAME, user));
    tagged(SEQUENCE, &names)
}

/// The body of a certificate, which is what is signed, with another subject.
pub(super) fn with_subject(certificate: &[u8], subject: &[u8]) -> Option<Vec<u8>> {
    let body = *elements(content(certificate)?)?.first()?;
    let mut parts = elements(content(body)?)?;
    *parts.get_mut(SUBJECT)? = subject;
    Some(tagged(SEQUENCE, &parts.concat()))
}

/// The certificate with another body and its signature, made by the same algorithm.
pub(super) fn signed(certificate: &[u8], body: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let algorithm = *elements(content(certificate)?)?.get(1)?;
    // No bit of the last byte is unused.
    let bits = [&[0], signature].concat();
    Some(tagged(SEQUENCE, &[body, algorithm, &tagged(BIT_STRING, &bits)].concat()))
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    if content.len() < 128 {
        element.push(content.len() as u8);
    } else {
        element.push(0x80 | significant.len() as u8);
        element.extend(significant);
    }
    element.extend(content);
    element
}

/// What is in an element.
fn content(element: &[u8]) -> Option<&[u8]> {
    let (header, length) = measure(element)?;
    element.get(header..header + length)
}

/// The elements that stand one behind the other.
fn elements(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let (header, length) = measure(bytes)?;
        let (element, rest) = bytes.split_at_checked(header.checked_add(length)?)?;
        elements.push(element);
        bytes = rest;
    }
    Some(elements)
}

/// How long the header of the first element is, and how long its content.
fn measure(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*bytes.get(1)?);
    if first < 128 {
        return Some((2, first));
    }
    let digits = bytes.get(2..2 + (first & 0x7f))?;
    let length = digits
        .iter()
        .try_fold(0_usize, |length, digit| length.checked_mul(256)?.checked_add(usize::from(*digit)))?;
    Some((2 + digits.len(), length))
}
