//! IP addresses and CIDRs as fields hold them: read as leniently as Kubernetes always did, validated strictly, with
//! warnings for what is lenient (`k8s.io/apimachinery/pkg/util/validation/ip.go`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{FieldErrors, Path, go_quoted};

/// A network: an address and how many of its leading bits name the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address as it was written, with the bits beyond the prefix.
    pub address: IpAddr,
    /// How many leading bits name the network.
    pub prefix: u8,
}

impl Cidr {
    /// Reads a CIDR leniently: leading zeros, bits beyond the prefix and IPv4-mapped IPv6 addresses are allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address = if address.contains(':') {
            IpAddr::V6(parse_ipv6(address)?)
        } else {
            IpAddr::V4(parse_ipv4(address)?)
        };
        let prefix = decimal(prefix).filter(|(_, used)| *used == prefix.len())?.0;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Some(Self { address, prefix: u8::try_from(prefix).ok().filter(|prefix| *prefix <= bits)? })
    }

    /// The network's first address: the address without the bits beyond the prefix.
    pub fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }

    /// Whether the network has that address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same_family = self.address.is_ipv4() == address.is_ipv4();
        same_family && Cidr { address, prefix: self.prefix }.network() == self.network()
    }

    /// The network as it should be written.
    pub fn canonical(&self) -> String {
        let mapped_prefix = self.prefix.checked_sub(96);
        match (canonical(self.network()), self.network(), mapped_prefix) {
            (IpAddr::V4(address), IpAddr::V6(_), Some(prefix)) => format!("{address}/{prefix}"),
            _ => format!("{}/{}", self.network(), self.prefix),
        }
    }
}

/// Reads an address leniently: leading zeros are ignored, and an IPv4-mapped IPv6 address is the IPv4 address.
pub fn parse(text: &str) -> Option<IpAddr> {
    match text.bytes().find(|b| matches!(b, b'.' | b':'))? {
        b'.' => parse_ipv4(text).map(IpAddr::V4),
        _ => parse_ipv6(text).map(|address| canonical(IpAddr::V6(address))),
    }
}

/// What is wrong with an address in a field that is older than strict validation; addresses that the object already
/// had (`old`) stay valid.
pub fn validate_legacy(errors: &mut FieldErrors, path: &Path<'_>, value: &str, old: &[&str]) {
    if !old.contains(&value) {
        validate_strict(errors, path, value);
    }
}

/// What is wrong with an address in a new field: it must also be in canonical form.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if let Some(address) = validate_strict(errors, path, value).map(|address| address.to_string())
        && address != value
    {
        errors.invalid(path, value, &format!("must be in canonical form ({})", go_quoted(&address)));
    }
}

fn validate_strict(errors: &mut FieldErrors, path: &Path<'_>, value: &str) -> Option<IpAddr> {
    let Some(address) = parse(value) else {
        errors.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return None;
    };
    match value.parse::<IpAddr>() {
        Err(_) => errors.invalid(path, value, "must not have leading 0s"),
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            errors.invalid(path, value, "must not be an IPv4-mapped IPv6 address");
        }
        Ok(_) => return Some(address),
    }
    None
}

/// What is wrong with a CIDR in a field that is older than strict validation; those in `old` stay valid.
pub fn validate_cidr_legacy(errors: &mut FieldErrors, path: &Path<'_>, value: &str, old: &[&str]) {
    if !old.contains(&value) {
        validate_cidr_strict(errors, path, value);
    }
}

/// What is wrong with a CIDR in a new field: it must also be in canonical form.
pub fn validate_cidr(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if let Some(canonical) = validate_cidr_strict(errors, path, value).map(|cidr| cidr.canonical())
        && canonical != value
    {
        errors.invalid(path, value, &format!("must be in canonical form ({})", go_quoted(&canonical)));
    }
}

fn validate_cidr_strict(errors: &mut FieldErrors, path: &Path<'_>, value: &str) -> Option<Cidr> {
    let Some(cidr) = Cidr::parse(value) else {
        errors.invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return None;
    };
    if !is_strict_cidr(value) {
        errors.invalid(path, value, "must not have leading 0s in IP or prefix length");
    } else if matches!(cidr.address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        errors.invalid(path, value, "must not have an IPv4-mapped IPv6 address");
    } else if cidr.address != cidr.network() {
        errors.invalid(path, value, "must not have bits set beyond the prefix length");
    } else {
        return Some(cidr);
    }
    None
}

/// What is wrong with an address together with the length of its network's prefix (`192.168.1.5/24`).
pub fn validate_interface(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    let Some(cidr) = Cidr::parse(value) else {
        let detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        return errors.invalid(path, value, detail);
    };
    let address = canonical(cidr.address);
    let mapped = address.is_ipv4() && cidr.prefix > 32;
    let form = format!("{address}/{}", if mapped { cidr.prefix - 96 } else { cidr.prefix });
    if form != value {
        errors.invalid(path, value, &format!("must be in canonical form ({})", go_quoted(&form)));
    }
}

/// The warning about an address that is valid and should be written otherwise.
pub fn warning(path: &Path<'_>, value: &str) -> Option<String> {
    let address = parse(value)?;
    let quoted = go_quoted(value);
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => (v6.to_string() != value).then(|| {
            let better = go_quoted(&v6.to_string());
            format!("{path}: IPv6 address {quoted} should be in RFC 5952 canonical format ({better})")
        }),
        Ok(IpAddr::V4(_)) => None,
        _ => {
            let better = go_quoted(&address.to_string());
            Some(format!("{path}: non-standard IP address {quoted} is invalid: use {better}"))
        }
    }
}

/// The warnings about a CIDR that is valid and should be written otherwise.
pub fn cidr_warnings(path: &Path<'_>, value: &str) -> Vec<String> {
    let Some(cidr) = Cidr::parse(value) else { return Vec::new() };
    let quoted = go_quoted(value);
    let better = go_quoted(&cidr.canonical());
    let mut warnings = Vec::new();
    if cidr.address != cidr.network() {
        let bits = if cidr.address.is_ipv4() { 32 } else { 128 };
        let single = go_quoted(&format!("{}/{bits}", canonical(cidr.address)));
        warnings.push(format!(
            "{path}: CIDR value {quoted} is ambiguous in this context (should be {better} or {single}?)"
        ));
    }
    let mapped = matches!(cidr.address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if !is_strict_cidr(value) || mapped {
        warnings.push(format!("{path}: non-standard CIDR value {quoted} is invalid: use {better}"));
    }
    let form = format!("{}/{}", cidr.address, cidr.prefix);
    if warnings.is_empty() && cidr.address.is_ipv6() && form != value {
        let form = go_quoted(&form);
        warnings.push(format!(
            "{path}: IPv6 CIDR value {quoted} should be in RFC 5952 canonical format ({form})"
        ));
    }
    warnings
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_strict_cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, prefix)| {
        address.parse::<IpAddr>().is_ok() && !(prefix.len() > 1 && prefix.starts_with('0'))
    })
}

/// A number at the beginning of a text, and how many characters it takes. Go's own reader gives up at 2²⁴.
fn decimal(text: &str) -> Option<(u32, usize)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].bytes().try_fold(0_u32, |number, digit| {
        Some(number * 10 + u32::from(digit - b'0')).filter(|number| *number < 0xFF_FFFF)
    })?;
    (digits > 0).then_some((number, digits))
}

fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let (number, used) = decimal(part)?;
        *octet = u8::try_from(number).ok().filter(|_| used == part.len())?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// `std` refuses leading zeros; everything else it reads as Go does. So groups are stripped of them first.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    if text.contains('%') {
        return None;
    }
    let mut groups: Vec<String> = Vec::new();
    for group in text.split(':').take(10) {
        groups.push(if group.contains('.') {
            parse_ipv4(group)?.to_string()
        } else {
            let bare = group.trim_start_matches('0');
            if bare.is_empty() && !group.is_empty() { "0".to_owned() } else { bare.to_owned() }
        });
    }
    groups.join(":").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(check: fn(&mut FieldErrors, &Path<'_>, &str), value: &str) -> Vec<String> {
        let mut errors = FieldErrors::new();
        check(&mut errors, &Path::new("f"), value);
        errors.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn addresses_are_read_leniently_and_refused_strictly() {
        let lenient: &[(&str, &str)] = &[
            ("010.002.003.004", "10.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("FE80:0:0:0:0:0:0:0abc", "fe80::abc"),
            ("00001::1", "1::1"),
            ("::1.2.3.004", "::102:304"),
        ];
        for (text, want) in lenient {
            let address = parse(text).map(|address| address.to_string());
            // `std` writes the deprecated IPv4-compatible addresses as plain ones, as Go does.
            assert_eq!(address.as_deref(), Some(*want), "{text}");
        }
        for text in
            ["", "a", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1..2.3", "::1%eth0", ":::", "1:2:3:4:5:6:7:8:9"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        for (text, want) in [
            ("10.0.0.1", None),
            (
                "x",
                Some("Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            ),
            ("10.0.0.01", Some("Invalid value: \"10.0.0.01\": must not have leading 0s")),
            (
                "::ffff:1.2.3.4",
                Some("Invalid value: \"::ffff:1.2.3.4\": must not be an IPv4-mapped IPv6 address"),
            ),
            ("FE80::1", Some("Invalid value: \"FE80::1\": must be in canonical form (\"fe80::1\")")),
        ] {
            assert_eq!(problems(validate, text).first().map(String::as_str), want, "{text}");
        }
    }

    #[test]
    fn networks_are_compared_and_written() {
        for (text, want) in [
            ("10.9.8.7/24", "10.9.8.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::1/64", "2001:db8::/64"),
            ("::ffff:1.2.3.4/120", "1.2.3.0/24"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(Cidr::parse(text).map(|cidr| cidr.canonical()).as_deref(), Some(want), "{text}");
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "/8", "10.0.0.0/8/8"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
        let network = Cidr::parse("10.96.0.0/16").unwrap();
        assert!(network.contains([10, 96, 255, 255].into()));
        assert!(!network.contains([10, 97, 0, 0].into()));
        assert_eq!(
            problems(validate_cidr, "10.9.8.7/24"),
            ["Invalid value: \"10.9.8.7/24\": must not have bits set beyond the prefix length"]
        );
        assert_eq!(
            problems(validate_cidr, "10.0.0.0/08"),
            ["Invalid value: \"10.0.0.0/08\": must not have leading 0s in IP or prefix length"]
        );
    }

    #[test]
    fn what_should_be_written_otherwise_is_warned_about() {
        let path = Path::new("f");
        assert_eq!(warning(&path, "10.0.0.1"), None);
        assert_eq!(
            warning(&path, "010.0.0.1").unwrap(),
            "f: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\""
        );
        assert_eq!(
            warning(&path, "FE80::1").unwrap(),
            "f: IPv6 address \"FE80::1\" should be in RFC 5952 canonical format (\"fe80::1\")"
        );
        assert_eq!(
            cidr_warnings(&path, "10.9.8.7/24"),
            [
                "f: CIDR value \"10.9.8.7/24\" is ambiguous in this context (should be \"10.9.8.0/24\" or \"10.9.8.7/32\"?)"
            ]
        );
    }
}
