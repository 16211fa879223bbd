//! Whom a certificate names.

use crate::base::time::WallMs;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Where in a client's certificate the name of its user stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserField {
    /// The common name of its subject.
    CommonName,
    /// A URI among its other names.
    Uri,
}

/// When this certificate ends; `None` of what is none.
pub fn end_of(certificate: &[u8]) -> Option<WallMs> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let s = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Some(WallMs(s.saturating_mul(1000)))
}

/// The names that stand there, in their order; none in what is no certificate.
pub fn names_in(certificate: &[u8], field: UserField) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return Vec::new() };
    match field {
        UserField::CommonName => {
            let first = certificate.subject().iter_common_name().next();
            first.and_then(|it| it.as_str().ok()).map(str::to_owned).into_iter().collect()
        }
        UserField::Uri => {
            let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
            let uri = |it: &GeneralName<'_>| match it {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            };
            names.value.general_names.iter().filter_map(uri).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn certificate(subject: Option<&str>, uris: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        params.distinguished_name = Default::default();
        if let Some(subject) = subject {
            params.distinguished_name.push(DnType::CommonName, subject);
        }
        let uris = uris.iter().map(|it| SanType::URI((*it).try_into().expect("text")));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("it signs").der().to_vec()
    }

    #[test]
    fn names_stand_where_they_are_looked_for() {
        let both = certificate(Some("alice"), &["urn:one", "spiffe://x/two"]);
        assert_eq!(names_in(&both, UserField::CommonName), ["alice"]);
        assert_eq!(names_in(&both, UserField::Uri), ["urn:one", "spiffe://x/two"]);
        let neither = certificate(None, &[]);
        assert!(names_in(&neither, UserField::CommonName).is_empty());
        assert!(names_in(&neither, UserField::Uri).is_empty());
    }

    #[test]
    fn what_is_no_certificate_names_nobody_and_has_no_end() {
        let whole = certificate(Some("alice"), &[]);
        for len in 0..whole.len() {
            assert!(names_in(&whole[..len], UserField::CommonName).is_empty(), "{len}");
            assert_eq!(end_of(&whole[..len]), None, "{len}");
        }
        assert_eq!(end_of(&whole), Some(WallMs(1_893_456_000_000)), "the first day of 2030");
    }
}
