//! CDP keys in every shape in which people hold them: each signs, and each token verifies with the public key by a library
//! that is not ours. Broken ones are refused with a reason that names the fault and shows nothing of the key. All keys are
//! made when the tests run.

use aws_lc_rs::{
    encoding::AsDer,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use tickerd::auth::{Credentials, Mended, Scheme, Secret, Signer, Stamp, key::KeyError};

const NAME: &str = "organizations/11111111-2222-3333-4444-555555555555/apiKeys/66666666-7777-8888-9999-000000000000";
const ID: &str = "66666666-7777-8888-9999-000000000000";
const LEGACY: &str = "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl";
const STAMP: Stamp = Stamp { unix: 1_700_000_000, millis: 0, nonce: [0x5a; 16] };

struct Ec {
    sec1: Vec<u8>,
    pkcs8: Vec<u8>,
    spki: Vec<u8>,
    public: Vec<u8>,
}

fn ec(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Ec {
    let pair = EcdsaKeyPair::generate(algorithm).expect("generates");
    Ec {
        sec1: pair.private_key().as_der().expect("writes").as_ref().to_vec(),
        pkcs8: pair.to_pkcs8v1().expect("writes").as_ref().to_vec(),
        spki: pair.public_key().as_der().expect("writes").as_ref().to_vec(),
        public: pair.public_key().as_ref().to_vec(),
    }
}

struct Ed {
    seed: Vec<u8>,
    public: Vec<u8>,
    pkcs8: Vec<u8>,
    pkcs8_v2: Vec<u8>,
    spki: Vec<u8>,
}

fn ed() -> Ed {
    use aws_lc_rs::encoding::AsBigEndian;
    let pair = Ed25519KeyPair::generate().expect("generates");
    Ed {
        seed: pair.seed().expect("has one").as_be_bytes().expect("writes").as_ref().to_vec(),
        public: pair.public_key().as_ref().to_vec(),
        pkcs8: pair.to_pkcs8v1().expect("writes").as_ref().to_vec(),
        pkcs8_v2: pair.to_pkcs8().expect("writes").as_ref().to_vec(),
        spki: pair.public_key().as_der().expect("writes").as_ref().to_vec(),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ascii")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn read(scheme: Scheme, key: &str, secret: &str) -> Result<Credentials, KeyError> {
    Credentials::new("main", scheme, key, &Secret::new(secret.to_owned()))
}

/// Signs a token with each and has it verified by jsonwebtoken.
fn verify(credentials: &Credentials, algorithm: Algorithm, public: &DecodingKey, shape: &str) {
    let Signer::Jwt(key) = credentials.signer() else { panic!("{shape} became a shared secret") };
    for uri in [None, Some("GET api.coinbase.com/api/v3/brokerage/key_permissions")] {
        let token = key.token(credentials.key(), uri, &STAMP);
        assert!(key.verifies(&token), "{shape}");
        // The library asks the machine's clock; ours is told, so the times are compared here.
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.set_issuer(&["cdp"]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "sub"]);
        let read = jsonwebtoken::decode::<Value>(&token, public, &validation)
            .unwrap_or_else(|error| panic!("{shape}: {error}"));
        assert_eq!(read.header.kid.as_deref(), Some(credentials.key()), "{shape}");
        assert_eq!(read.header.typ.as_deref(), Some("JWT"), "{shape}");
        assert_eq!(read.claims["sub"], credentials.key(), "{shape}");
        assert_eq!(read.claims["nbf"], STAMP.unix - 5, "{shape}");
        assert_eq!(read.claims["exp"], STAMP.unix + 115, "{shape}");
        assert_eq!(read.claims.get("uri").and_then(Value::as_str), uri, "{shape}");
    }
}

#[test]
fn every_shape_of_an_es256_key_signs() {
    let key = ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let public = DecodingKey::from_ec_pem(pem("PUBLIC KEY", &key.spki).as_bytes()).expect("a public key");
    let (sec1, pkcs8) = (pem("EC PRIVATE KEY", &key.sec1), pem("PRIVATE KEY", &key.pkcs8));
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (shape, secret) in [
        ("sec1_pem", sec1.clone()),
        ("pkcs8_pem", pkcs8.clone()),
        ("sec1_escaped_newlines", sec1.replace('\n', "\\n")),
        ("sec1_twice_escaped_newlines", sec1.replace('\n', "\\\\n")),
        ("pkcs8_escaped_newlines", pkcs8.replace('\n', "\\n")),
        ("sec1_escaped_crlf", sec1.replace('\n', "\\r\\n")),
        ("sec1_crlf", sec1.replace('\n', "\r\n")),
        ("sec1_spaces_for_newlines", sec1.trim().replace('\n', " ")),
        ("sec1_on_one_line", sec1.replace('\n', "")),
        ("sec1_indented", sec1.replace('\n', "\n    ")),
        ("sec1_quoted", format!("\"{}\"", sec1.replace('\n', "\\n"))),
        ("sec1_escaped_quotes", format!("\\\"{}\\\"", sec1.replace('\n', "\\\\n"))),
        ("sec1_trailing_space", format!("{sec1}  \n")),
        ("sec1_byte_order_mark", format!("\u{feff}{sec1}")),
        ("sec1_body_only", STANDARD.encode(&key.sec1)),
        ("sec1_body_only_lines", sec1.lines().filter(|line| !line.contains("--")).collect::<Vec<_>>().join("\n")),
        ("sec1_mislabelled", pem("PRIVATE KEY", &key.sec1)),
        ("pkcs8_mislabelled", pem("EC PRIVATE KEY", &key.pkcs8)),
        ("sec1_after_parameters", format!("{parameters}{sec1}")),
        ("sec1_without_end", sec1.split("-----END").next().expect("a body").to_owned()),
        ("pkcs8_der_base64", STANDARD.encode(&key.pkcs8)),
        ("pkcs8_der_base64url", URL_SAFE_NO_PAD.encode(&key.pkcs8)),
    ] {
        for scheme in [Scheme::Auto, Scheme::Jwt] {
            let credentials = read(scheme, NAME, &secret).unwrap_or_else(|error| panic!("{shape}: {error}"));
            assert_eq!(credentials.algorithm(), "ES256", "{shape}");
            verify(&credentials, Algorithm::ES256, &public, shape);
        }
    }
}

#[test]
fn every_shape_of_an_eddsa_key_signs() {
    let key = ed();
    let public = DecodingKey::from_ed_pem(pem("PUBLIC KEY", &key.spki).as_bytes()).expect("a public key");
    let both = [&key.seed[..], &key.public].concat();
    let pkcs8 = pem("PRIVATE KEY", &key.pkcs8);
    for (shape, secret) in [
        ("base64_64", STANDARD.encode(&both)),
        ("base64_32", STANDARD.encode(&key.seed)),
        ("base64_64_unpadded", STANDARD_NO_PAD.encode(&both)),
        ("base64url_64", URL_SAFE.encode(&both)),
        ("base64url_32_unpadded", URL_SAFE_NO_PAD.encode(&key.seed)),
        ("base64_64_newline", STANDARD.encode(&both) + "\n"),
        ("base64_64_quoted", format!("'{}'", STANDARD.encode(&both))),
        ("base64_64_escaped_slashes", STANDARD.encode(&both).replace('/', "\\/").replace('+', "\\u002B")),
        ("pkcs8_pem", pkcs8.clone()),
        ("pkcs8_v2_pem", pem("PRIVATE KEY", &key.pkcs8_v2)),
        ("pkcs8_escaped_newlines", pkcs8.replace('\n', "\\n")),
        ("pkcs8_mislabelled", pem("EC PRIVATE KEY", &key.pkcs8)),
        ("pkcs8_der_base64", STANDARD.encode(&key.pkcs8)),
    ] {
        for (scheme, name) in [(Scheme::Auto, ID), (Scheme::Jwt, NAME), (Scheme::Auto, "any")] {
            let credentials = read(scheme, name, &secret).unwrap_or_else(|error| panic!("{shape}: {error}"));
            assert_eq!(credentials.algorithm(), "EdDSA", "{shape}");
            verify(&credentials, Algorithm::EdDSA, &public, shape);
        }
    }
}

#[test]
fn key_files_with_name_or_id_sign() {
    let (ec, ed) = (ec(&ECDSA_P256_SHA256_FIXED_SIGNING), ed());
    let named = serde_json::json!({"name": NAME, "privateKey": pem("EC PRIVATE KEY", &ec.sec1), "enabled": true});
    let identified = serde_json::json!({"id": ID, "privateKey": STANDARD.encode([&ed.seed[..], &ed.public].concat())});
    let open = |json: &Value| Credentials::from_key_file("main", &Secret::new(json.to_string())).expect("a key file");

    let credentials = open(&named);
    assert_eq!((credentials.key(), credentials.mended()), (NAME, &[][..]), "JSON's own escapes are nothing to mend");
    verify(&credentials, Algorithm::ES256, &DecodingKey::from_ec_der(&ec.public), "name");
    let credentials = open(&identified);
    assert_eq!(credentials.key(), ID);
    verify(&credentials, Algorithm::EdDSA, &DecodingKey::from_ed_der(&ed.public), "id");

    assert_eq!(read(Scheme::Auto, NAME, &named.to_string()).unwrap_err(), KeyError::FileAsSecret);
}

/// Every broken shape: key, secret, and what is to be said of it.
fn broken() -> Vec<(&'static str, String, KeyError)> {
    let (key, ed, stranger) = (ec(&ECDSA_P256_SHA256_FIXED_SIGNING), ed(), ed());
    let p384 = ec(&ECDSA_P384_SHA384_FIXED_SIGNING);
    let sec1 = pem("EC PRIVATE KEY", &key.sec1);
    let mut bent = key.sec1.clone();
    *bent.last_mut().expect("has bytes") ^= 1;
    vec![
        ("public_key_pem", pem("PUBLIC KEY", &key.spki), KeyError::Public),
        ("public_key_ec_label", pem("EC PUBLIC KEY", &key.public), KeyError::Public),
        ("public_key_base64", STANDARD.encode(&key.spki), KeyError::Public),
        ("p384_pem", pem("EC PRIVATE KEY", &p384.sec1), KeyError::Curve("P-384")),
        ("p384_pkcs8", pem("PRIVATE KEY", &p384.pkcs8), KeyError::Curve("P-384")),
        ("halves_do_not_match", STANDARD.encode([&ed.seed[..], &stranger.public].concat()), KeyError::HalvesDiffer),
        ("ec_halves_do_not_match", pem("EC PRIVATE KEY", &bent), KeyError::Damaged),
        ("base64_31", STANDARD.encode(&ed.seed[..31]), KeyError::Length(31)),
        ("base64_63", STANDARD_NO_PAD.encode([&ed.seed[..], &ed.public[..31]].concat()), KeyError::Length(63)),
        ("base64_16", STANDARD.encode(&ed.seed[..16]), KeyError::Length(16)),
        ("truncated_pem", sec1[..120].to_owned(), KeyError::Size { have: 66, want: key.sec1.len() }),
        ("truncated_pem_odd", sec1[..119].to_owned(), KeyError::Size { have: 65, want: key.sec1.len() }),
        ("truncated_pem_by_one", sec1[..117].to_owned(), KeyError::Size { have: 63, want: key.sec1.len() }),
        ("first_line_alone", "-----BEGIN EC PRIVATE KEY-----".to_owned(), KeyError::FirstLineOnly),
        (
            "truncated_body",
            STANDARD.encode(&key.sec1)[..32].to_owned(),
            KeyError::Size { have: 24, want: key.sec1.len() },
        ),
        (
            "pasted_twice",
            STANDARD_NO_PAD.encode([&key.sec1[..], &key.sec1].concat()),
            KeyError::Size { have: 2 * key.sec1.len(), want: key.sec1.len() },
        ),
        ("foreign_characters", sec1.replacen("MHc", "MH\u{2026}", 1), KeyError::NotBase64),
        ("foreign_characters_in_base64", STANDARD.encode(&key.sec1) + "!", KeyError::Damaged),
        ("encrypted", pem("ENCRYPTED PRIVATE KEY", b"0"), KeyError::Encrypted),
        ("openssh", pem("OPENSSH PRIVATE KEY", b"openssh-key-v1"), KeyError::Foreign("an OpenSSH key")),
        ("certificate", pem("CERTIFICATE", b"0"), KeyError::Foreign("a certificate")),
        ("the_key_name", NAME.to_owned(), KeyError::NameAsSecret),
        ("the_key_id", ID.to_owned(), KeyError::NameAsSecret),
        ("empty", String::new(), KeyError::NoSecret),
        ("blank", " \n".to_owned(), KeyError::NoSecret),
        ("quotes_alone", "\"\"".to_owned(), KeyError::NoSecret),
        ("placeholder_x", "xxxx".to_owned(), KeyError::Placeholder("secret")),
        ("placeholder_your", "YOUR_SECRET".to_owned(), KeyError::Placeholder("secret")),
        ("placeholder_variable", "${COINBASE_API_SECRET}".to_owned(), KeyError::Placeholder("secret")),
        (
            "placeholder_pem",
            "-----BEGIN EC PRIVATE KEY-----\n...\n-----END EC PRIVATE KEY-----".to_owned(),
            KeyError::Placeholder("secret"),
        ),
        ("legacy_hmac_secret", LEGACY.to_owned(), KeyError::Legacy),
        ("a_word", "tr0ub4dor&3".to_owned(), KeyError::NotAKey(11)),
    ]
}

#[test]
fn every_broken_key_is_refused_and_its_fault_named() {
    for (shape, secret, fault) in broken() {
        assert_eq!(read(Scheme::Jwt, NAME, &secret).err(), Some(fault), "{shape}");
        // Nothing that goes with a CDP key's name is taken for a shared secret.
        assert_eq!(read(Scheme::Auto, NAME, &secret).err(), Some(fault), "{shape}");
    }
}

/// hummingbot falls back to HMAC on any error in a PEM, and the venue then refuses each try without saying why.
#[test]
fn a_broken_key_does_not_become_a_shared_secret() {
    for (shape, secret, fault) in broken() {
        let read = read(Scheme::Auto, "aLegacyKeyOf16Ch", &secret);
        match fault {
            KeyError::Legacy | KeyError::NotAKey(_) => {
                assert_eq!(read.expect(shape).algorithm(), "HMAC-SHA256", "{shape}");
            }
            _ => assert_eq!(read.err(), Some(fault), "{shape}"),
        }
    }
}

/// waifu-capital's collector printed the first 31 and the last 29 characters of a PEM that it could not parse.
#[test]
fn no_error_shows_a_part_of_the_key() {
    let whole = ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let swapped = [(pem("EC PRIVATE KEY", &whole.sec1), NAME.to_owned()), (pem("X", &whole.sec1), "x1".to_owned())];
    let cases = broken().into_iter().map(|(_, secret, _)| (NAME.to_owned(), secret)).chain(swapped);
    for (key, secret) in cases {
        let error = read(Scheme::Jwt, &key, &secret).unwrap_err();
        let said = format!("{error} {error:?}");
        for text in [&key, &secret] {
            // The markers are no part of the key, and the remedy names them.
            let lines = text.lines().filter(|line| !line.contains("--") && *line != NAME);
            for line in lines.map(|line| line.chars().collect::<Vec<_>>()) {
                for window in line.windows(8).map(|window| window.iter().collect::<String>()) {
                    assert!(!said.contains(&window), "{said}");
                }
            }
        }
    }
}

#[test]
fn key_and_secret_in_each_others_place_are_told() {
    let key = ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let (pem, der, seed) = (pem("EC PRIVATE KEY", &key.sec1), STANDARD.encode(&key.pkcs8), STANDARD.encode([7; 32]));
    for private in [&pem, &der, &seed, &pem.replace('\n', "\\n")] {
        for name in [NAME, ID] {
            for scheme in [Scheme::Auto, Scheme::Jwt] {
                assert_eq!(read(scheme, private, name).unwrap_err(), KeyError::Swapped);
                assert_eq!(read(scheme, private, private).unwrap_err(), KeyError::PrivateAsKey);
            }
        }
    }
    for scheme in [Scheme::Auto, Scheme::Hmac] {
        assert_eq!(read(scheme, LEGACY, "aLegacyKeyOf16Ch").unwrap_err(), KeyError::Swapped);
    }
}

#[test]
fn the_key_id_is_trimmed_and_must_be_there() {
    for id in [&format!(" \"{NAME}\" \n"), NAME] {
        assert_eq!(read(Scheme::Jwt, id, &STANDARD.encode([7; 32])).expect("a key").key(), NAME);
    }
    for (id, fault) in [
        ("", KeyError::NoKey),
        (" ", KeyError::NoKey),
        ("YOUR_KEY", KeyError::Placeholder("key")),
        ("organizations/{org_id}/apiKeys/{key_id}", KeyError::Placeholder("key")),
    ] {
        for scheme in [Scheme::Auto, Scheme::Jwt, Scheme::Hmac] {
            assert_eq!(read(scheme, id, LEGACY).unwrap_err(), fault, "{id}");
        }
    }
}

#[test]
fn a_shared_secret_is_taken_as_it_is() {
    let signs_as = |credentials: &Credentials, secret: &str| {
        let Signer::Hmac(key) = credentials.signer() else { panic!("became a private key") };
        key.verifies("1700000000heartbeats", &tickerd::auth::hmac::Key::new(secret).sign("1700000000heartbeats"))
    };
    for scheme in [Scheme::Auto, Scheme::Hmac] {
        let credentials = read(scheme, "aLegacyKeyOf16Ch", &format!(" {LEGACY}\n")).expect("a secret");
        assert!(signs_as(&credentials, LEGACY));
    }
    // Of the Exchange: base64 of 64 bytes, which only the scheme tells from an Ed25519 key.
    let exchange = STANDARD.encode([9; 64]);
    assert!(signs_as(&read(Scheme::Hmac, "0123456789abcdef0123456789abcdef", &exchange).expect("a secret"), &exchange));
    assert!(signs_as(&read(Scheme::Hmac, NAME, "\\n\"kept\\n").expect("a secret"), "\\n\"kept\\n"));

    let pem = pem("EC PRIVATE KEY", &ec(&ECDSA_P256_SHA256_FIXED_SIGNING).sec1);
    assert_eq!(read(Scheme::Hmac, NAME, &pem).unwrap_err(), KeyError::PemAsHmac);
}

#[test]
fn what_was_mended_is_told() {
    let sec1 = pem("EC PRIVATE KEY", &ec(&ECDSA_P256_SHA256_FIXED_SIGNING).sec1);
    let seed = STANDARD.encode([7; 32]);
    let escaped = sec1.replace('\n', "\\n");
    for (secret, mended) in [
        (sec1.clone(), &[][..]),
        (seed.clone() + "\n", &[]),
        (escaped.clone(), &[Mended::EscapedNewlines]),
        (format!("\"{escaped}\""), &[Mended::EscapedNewlines, Mended::Quotes]),
        (sec1.replace('\n', "\r\n"), &[Mended::WhiteSpace]),
        (sec1.replace('\n', " "), &[Mended::WhiteSpace]),
        (format!(" {seed}"), &[Mended::WhiteSpace]),
    ] {
        assert_eq!(read(Scheme::Auto, NAME, &secret).expect("a key").mended(), mended);
    }
    assert_eq!(read(Scheme::Auto, " key", LEGACY).expect("a secret").mended(), [Mended::WhiteSpace]);
}
